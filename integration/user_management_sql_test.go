package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// registered is a row of system.users.
type registered struct {
	UserID    string
	Username  string
	Metadata  *string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// people gives an admin and a prefix for user ids that no other test has. The
// users with that prefix are removed with the test.
func people(t *testing.T) (*link.Client, string) {
	t.Helper()
	admin := harness.Shared(t).Admin(t)
	prefix := harness.Name(t)
	t.Cleanup(func() {
		_, _ = admin.Exec(harness.Context(t), "DELETE FROM system.users WHERE user_id LIKE $1", prefix+"%")
	})
	return admin, prefix
}

// register inserts a user.
func register(t *testing.T, admin *link.Client, id, name string, metadata any) {
	t.Helper()
	sum := harness.Exec(t, admin, "INSERT INTO system.users (user_id, username, metadata) VALUES ($1, $2, $3)", id, name, metadata)
	if sum.RowCount != 1 {
		t.Errorf("%d users were inserted", sum.RowCount)
	}
}

// user reads a user; nil when there is none.
func user(t *testing.T, c *link.Client, id string) *registered {
	t.Helper()
	got := harness.Query[registered](t, c, "SELECT * FROM system.users WHERE user_id = $1", id)
	switch len(got) {
	case 0:
		return nil
	case 1:
		return &got[0]
	}
	t.Fatalf("there are %d users %s", len(got), id)
	return nil
}

// TestInsertUserIntoSystemUsers is story 10, scenario 1: a user that was
// inserted is there at once, with what was given, also after a restart.
func TestInsertUserIntoSystemUsers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	admin := s.Admin(t)
	harness.Exec(t, admin, `INSERT INTO system.users (user_id, username, metadata) VALUES ('user123', 'john_doe', '{"role": "admin"}')`)
	harness.Exec(t, admin, `INSERT INTO system.users (user_id, username) VALUES ('auth0|5f7c', 'Ada'), ('bob@example.com', 'Bob')`)
	check := func() {
		t.Helper()
		u := user(t, admin, "user123")
		if u == nil || u.Username != "john_doe" || u.Metadata == nil || !strings.Contains(*u.Metadata, `"admin"`) {
			t.Errorf("the user is %+v", u)
		}
		if u := user(t, admin, "auth0|5f7c"); u == nil || u.Metadata != nil {
			t.Errorf("the user without metadata is %+v", u)
		}
	}
	check()
	if harness.Durable() {
		s.Kill()
		s.Restart()
		check()
	}
	// The registered role is that of a token which does not name one.
	token := harness.Sign(t, harness.Secret, map[string]any{"sub": "user123", "exp": time.Now().Add(time.Hour).Unix()})
	byToken := s.Admin(t, link.WithToken(token))
	harness.Exec(t, byToken, "CREATE NAMESPACE by_role")
	if _, err := s.As(t, "bob@example.com").Exec(harness.Context(t), "INSERT INTO system.users (user_id, username) VALUES ('x', 'x')"); link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a user registers another: %v", err)
	}
}

// TestUpdateUserInSystemUsers is story 10, scenario 2: name and metadata
// change.
func TestUpdateUserInSystemUsers(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	register(t, admin, p+"1", "john_doe", `{"role": "admin"}`)
	register(t, admin, p+"2", "other", nil)
	sum := harness.Exec(t, admin, `UPDATE system.users SET username = 'jane_doe', metadata = '{"role": "user"}' WHERE user_id = '`+p+`1'`)
	if sum.RowCount != 1 {
		t.Errorf("%d users were updated", sum.RowCount)
	}
	if u := user(t, admin, p+"1"); u.Username != "jane_doe" || !strings.Contains(*u.Metadata, `"user"`) {
		t.Errorf("the user is %+v", u)
	}
	if u := user(t, admin, p+"2"); u.Username != "other" {
		t.Errorf("another user became %+v", u)
	}
	// NULL and the empty object are two things.
	harness.Exec(t, admin, "UPDATE system.users SET metadata = '{}' WHERE user_id = $1", p+"1")
	if u := user(t, admin, p+"1"); u.Metadata == nil || *u.Metadata != "{}" {
		t.Errorf("the metadata is %v", u.Metadata)
	}
	harness.Exec(t, admin, "UPDATE system.users SET metadata = NULL WHERE user_id = $1", p+"1")
	if u := user(t, admin, p+"1"); u.Metadata != nil {
		t.Errorf("the metadata is %v", *u.Metadata)
	}
}

// TestDeleteUserFromSystemUsers is story 10, scenario 3: the user is gone, and
// deleting somebody who is not there is an error that says so.
func TestDeleteUserFromSystemUsers(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	register(t, admin, p+"1", "a", nil)
	register(t, admin, p+"2", "b", nil)
	if sum := harness.Exec(t, admin, "DELETE FROM system.users WHERE user_id = '"+p+"1'"); sum.RowCount != 1 {
		t.Errorf("%d users were deleted", sum.RowCount)
	}
	if user(t, admin, p+"1") != nil || user(t, admin, p+"2") == nil {
		t.Error("not the right user is gone")
	}
	_, err := admin.Exec(harness.Context(t), "DELETE FROM system.users WHERE user_id = '"+p+"1'")
	if link.CodeOf(err) != link.CodeNotFound || !strings.Contains(err.Error(), "User with user_id '"+p+"1' not found") {
		t.Errorf("deleted twice: %v", err)
	}
	// Any other condition counts what it met.
	if sum := harness.Exec(t, admin, "DELETE FROM system.users WHERE username = '"+p+"nobody'"); sum.RowCount != 0 {
		t.Errorf("%d users were deleted", sum.RowCount)
	}
	register(t, admin, p+"1", "again", nil)
	if u := user(t, admin, p+"1"); u == nil || u.Username != "again" {
		t.Errorf("the user that came back is %+v", u)
	}
}

// TestDuplicateUserIdValidation is story 10, scenario 4: a user_id is given
// once, also when several try at the same time.
func TestDuplicateUserIdValidation(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	register(t, admin, p+"123", "first", nil)
	_, err := admin.Exec(harness.Context(t), "INSERT INTO system.users (user_id, username) VALUES ($1, 'second')", p+"123")
	if link.CodeOf(err) != link.CodeAlreadyExists && link.CodeOf(err) != link.CodeUniqueViolation || !strings.Contains(err.Error(), "User with user_id '"+p+"123' already exists") {
		t.Errorf("inserted twice: %v", err)
	}
	if le, ok := err.(*link.Error); ok && le.HTTPStatus != 409 {
		t.Errorf("HTTP %d", le.HTTPStatus)
	}
	if u := user(t, admin, p+"123"); u.Username != "first" {
		t.Errorf("the user is %+v", u)
	}
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("racer ", i)
			_, err := admin.Exec(harness.Context(t), "INSERT INTO system.users (user_id, username) VALUES ($1, $2)", p+"race", name)
			if err == nil {
				won <- name
			} else if !strings.Contains(err.Error(), "already exists") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	close(won)
	var winners []string
	for name := range won {
		winners = append(winners, name)
	}
	if u := user(t, admin, p+"race"); len(winners) != 1 || u == nil || u.Username != winners[0] {
		t.Errorf("%v won, the user is %+v", winners, u)
	}
}

// TestUpdateNonexistentUserError is story 10, scenario 5.
func TestUpdateNonexistentUserError(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	for _, sql := range []string{"UPDATE system.users SET username = 'x' WHERE user_id = '%s'", "UPDATE system.users SET metadata = NULL WHERE user_id = '%s'"} {
		_, err := admin.Exec(harness.Context(t), fmt.Sprintf(sql, p))
		if link.CodeOf(err) != link.CodeNotFound || !strings.Contains(err.Error(), "User with user_id '"+p+"' not found") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := admin.Exec(harness.Context(t), "UPDATE system.users SET username = 'x' WHERE user_id = $1", p); link.CodeOf(err) != link.CodeNotFound {
		t.Errorf("with a parameter: %v", err)
	}
	a := harness.Shared(t).Post(t, map[string]any{"sql": "UPDATE system.users SET username = 'x' WHERE user_id = '" + p + "'"})
	if a.HTTPStatus != 404 {
		t.Errorf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	if sum := harness.Exec(t, admin, "UPDATE system.users SET username = 'x' WHERE username = '"+p+"'"); sum.RowCount != 0 {
		t.Errorf("%d users were updated", sum.RowCount)
	}
}

// TestJsonMetadataValidation is story 10, scenario 6: metadata is JSON or
// NULL.
func TestJsonMetadataValidation(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	register(t, admin, p+"1", "a", `{"role": "user"}`)
	for _, bad := range []string{`{"invalid}`, `{invalid}`, `{"a": }`, `{"a": 1} extra`, ``, `{'a': 1}`} {
		for _, sql := range []string{"INSERT INTO system.users (user_id, username, metadata) VALUES ('" + p + "2', 'b', $1)", "UPDATE system.users SET metadata = $1 WHERE user_id = '" + p + "1'"} {
			_, err := admin.Exec(harness.Context(t), sql, bad)
			if link.CodeOf(err) != link.CodeInvalidJSON || !strings.Contains(err.Error(), "JSON") {
				t.Errorf("%s with %q: %v", sql, bad, err)
			}
		}
	}
	if u := user(t, admin, p+"1"); u == nil || *u.Metadata != `{"role":"user"}` && *u.Metadata != `{"role": "user"}` {
		t.Errorf("the user is %+v", u)
	}
	if user(t, admin, p+"2") != nil {
		t.Error("a user with broken metadata was inserted")
	}
	for i, good := range []string{`{}`, `{"a":{"b":[1,2,null]}}`, `{"naïve":"日本"}`} {
		register(t, admin, fmt.Sprint(p, "good", i), "g", good)
	}
}

// TestAutomaticTimestamps is story 10 with FR-139 and FR-140: created_at is
// set once, updated_at with every change.
func TestAutomaticTimestamps(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	before := time.Now().Truncate(time.Millisecond)
	register(t, admin, p, "a", nil)
	first := user(t, admin, p)
	if first.CreatedAt.Before(before) || first.CreatedAt.After(time.Now()) || !first.UpdatedAt.Equal(first.CreatedAt) {
		t.Errorf("inserted after %s: %+v", before, first)
	}
	harness.Exec(t, admin, "UPDATE system.users SET username = 'b' WHERE user_id = $1", p)
	second := user(t, admin, p)
	if !second.CreatedAt.Equal(first.CreatedAt) || !second.UpdatedAt.After(first.UpdatedAt) || second.UpdatedAt.After(time.Now()) {
		t.Errorf("from %+v to %+v", first, second)
	}
	if _, err := admin.Exec(harness.Context(t), "UPDATE system.users SET user_id = $2 WHERE user_id = $1", p, p+"x"); err == nil && user(t, admin, p+"x") == nil {
		t.Error("a user changed the id and is gone")
	}
}

// TestPartialUpdatePreservesFields is story 10 with FR-142: what SET does not
// name stays.
func TestPartialUpdatePreservesFields(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	register(t, admin, p, "a", `{"team":"red"}`)
	harness.Exec(t, admin, "UPDATE system.users SET username = 'b' WHERE user_id = $1", p)
	if u := user(t, admin, p); u.Username != "b" || u.Metadata == nil || !strings.Contains(*u.Metadata, "red") {
		t.Errorf("the user is %+v", u)
	}
	harness.Exec(t, admin, `UPDATE system.users SET metadata = '{"team":"blue"}' WHERE user_id = $1`, p)
	if u := user(t, admin, p); u.Username != "b" || !strings.Contains(*u.Metadata, "blue") {
		t.Errorf("the user is %+v", u)
	}
}

// TestRequiredFieldsValidation is story 10 with FR-143 to FR-145.
func TestRequiredFieldsValidation(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	for _, tc := range []struct{ sql, column string }{
		{"INSERT INTO system.users (username) VALUES ('x')", "user_id"},
		{"INSERT INTO system.users (user_id) VALUES ('" + p + "')", "username"},
		{"INSERT INTO system.users (user_id, username) VALUES (NULL, 'x')", "user_id"},
		{"INSERT INTO system.users (user_id, username) VALUES ('" + p + "', NULL)", "username"},
		{"INSERT INTO system.users (metadata) VALUES ('{}')", "user"},
	} {
		_, err := admin.Exec(harness.Context(t), tc.sql)
		if link.CodeOf(err) != link.CodeNotNullViolation || !strings.Contains(err.Error(), tc.column) {
			t.Errorf("%s: %v", tc.sql, err)
		}
	}
	for _, sql := range []string{
		"INSERT INTO system.users (user_id, username) VALUES ('', 'x')",
		"INSERT INTO system.users (user_id, username) VALUES ('" + p + "', '')",
		"INSERT INTO system.users (user_id, username) VALUES ('" + p + "' || chr(10), 'x')",
		"INSERT INTO system.users (user_id, username) VALUES (repeat('x', 129), 'x')",
	} {
		if _, err := admin.Exec(harness.Context(t), sql); err == nil {
			t.Errorf("%s was accepted", sql)
		}
	}
	if user(t, admin, p) != nil {
		t.Error("a refused user is there")
	}
	register(t, admin, p, "x", nil)
	if _, err := admin.Exec(harness.Context(t), "UPDATE system.users SET username = NULL WHERE user_id = $1", p); link.CodeOf(err) != link.CodeNotNullViolation {
		t.Errorf("the name was taken away: %v", err)
	}
}

// TestSelectWithFiltering is story 10, scenario 7 with FR-141.
func TestSelectWithFiltering(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	for i, name := range []string{"john_doe", "Ada", "little john", "bob"} {
		register(t, admin, fmt.Sprint(p, i), name, fmt.Sprintf(`{"n":%d}`, i))
	}
	names := func(sql string, want ...string) {
		t.Helper()
		got := harness.Query[string](t, admin, "SELECT username FROM system.users WHERE user_id LIKE '"+p+"%' AND "+sql)
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
	}
	names("username LIKE '%john%' ORDER BY user_id", "john_doe", "little john")
	names("username ILIKE 'a%' ORDER BY user_id", "Ada")
	names("true ORDER BY username DESC LIMIT 2", "little john", "john_doe")
	names("true ORDER BY user_id LIMIT 2 OFFSET 1", "Ada", "little john")
	names("username = 'nobody'")
	names("metadata->>'n' = '3'", "bob")
	a := harness.Shared(t).Post(t, map[string]any{"sql": "SELECT * FROM system.users WHERE user_id = $1", "params": []string{p + "0"}})
	if got := strings.Join(a.Results[0].Columns, ","); got != "user_id,username,metadata,created_at,updated_at" {
		t.Errorf("the columns are %s", got)
	}
	// A user reads the own entry at most.
	if got := harness.Query[string](t, harness.Shared(t).As(t, p+"1"), "SELECT username FROM system.users"); len(got) > 1 || len(got) == 1 && got[0] != "Ada" {
		t.Errorf("a user reads %v", got)
	}
}
