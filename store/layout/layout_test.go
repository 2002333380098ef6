package layout_test

import (
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/layout"
)

const (
	userDefault   = "{storageLocation}/{namespace}/users/{userId}/{tableName}/"
	sharedDefault = "{storageLocation}/{namespace}/{tableName}/"
)

func mustParse(t testing.TB, kind layout.Kind, text string) *layout.Template {
	t.Helper()
	tmpl, err := layout.Parse(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestDefaultTemplates(t *testing.T) {
	v := layout.Values{Namespace: "app", Table: "messages", User: "user1"}
	user := mustParse(t, layout.UserTables, userDefault)
	if got := user.Prefix(v); got != "app/users/user1/messages/" {
		t.Errorf("user table: %q", got)
	}
	if user.String() != userDefault || user.Kind() != layout.UserTables {
		t.Error("the template forgot what it is")
	}
	if got := mustParse(t, layout.SharedTables, sharedDefault).Prefix(v); got != "app/messages/" {
		t.Errorf("shared table: %q", got)
	}
}

func TestTemplates(t *testing.T) {
	v := layout.Values{Namespace: "app", Table: "m", User: "1"}
	tests := []struct {
		name, text, want string
	}{
		{"without location", "{namespace}/{userId}/{tableName}", "app/1/m/"},
		{"shard", "{storageLocation}/{shard}/{userId}/{namespace}/{tableName}/", "other/1/app/m/"},
		{"text around a variable", "v1-{namespace}.d/{userId}/{tableName}", "v1-app.d/1/m/"},
		{"a device made of text and value", "{namespace}/com{userId}/{tableName}", "app/%com1/m/"},
	}
	for _, tt := range tests {
		if got := mustParse(t, layout.UserTables, tt.text).Prefix(v); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestBadTemplates(t *testing.T) {
	rest := "/{namespace}/{userId}/{tableName}"
	tests := []struct {
		name string
		kind layout.Kind
		text string
		want string
	}{
		{"empty", layout.UserTables, "", "is empty"},
		{"location only", layout.UserTables, "{storageLocation}", "empty folder name"},
		{"unknown variable", layout.UserTables, "{storageLocation}/{nope}" + rest, "unknown variable {nope}"},
		{"open brace", layout.UserTables, "{storageLocation}" + rest + "/{x", "{ without a }"},
		{"close brace", layout.UserTables, "{storageLocation}" + rest + "/x}", "may not have"},
		{"no user", layout.UserTables, sharedDefault, "{userId}"},
		{"user in shared", layout.SharedTables, userDefault, "no user"},
		{"shard in shared", layout.SharedTables, "{storageLocation}/{shard}/{namespace}/{tableName}", "no user"},
		{"no table", layout.SharedTables, "{storageLocation}/{namespace}/", "{tableName}"},
		{"no namespace", layout.SharedTables, "{storageLocation}/{tableName}/", "{namespace}"},
		{"absolute", layout.UserTables, rest, "absolute"},
		{"location inside", layout.UserTables, "x/{storageLocation}" + rest, "another place"},
		{"location with text", layout.UserTables, "{storageLocation}x" + rest, "needs a /"},
		{"parent", layout.UserTables, "{storageLocation}/.." + rest, "dot"},
		{"hidden", layout.UserTables, "{storageLocation}/.x" + rest, "dot"},
		{"trailing dot", layout.UserTables, "{storageLocation}/x." + rest, "dot"},
		{"empty component", layout.UserTables, "{storageLocation}/" + rest, "empty folder"},
		{"device", layout.UserTables, "{storageLocation}/NUL.x" + rest, "device"},
		{"backslash", layout.UserTables, `{storageLocation}/a\b` + rest, "may not have"},
		{"zero", layout.UserTables, "{storageLocation}/a\x00b" + rest, "may not have"},
		{"two variables in a component", layout.UserTables, "{namespace}{userId}/{tableName}", "two variables"},
		{"too long", layout.UserTables, strings.Repeat("x", 300) + rest, "at most"},
	}
	for _, tt := range tests {
		_, err := layout.Parse(tt.kind, tt.text)
		if dberr.CodeOf(err) != dberr.InvalidSQL || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want INVALID_SQL with %q", tt.name, err, tt.want)
		}
	}
}

func TestEscape(t *testing.T) {
	tests := []struct{ value, want string }{
		{"user1", "user1"},
		{"jo@example.com", "jo@example.com"},
		{"auth0|5f7c", "auth0%7c5f7c"},
		{"Alice", "%41lice"},
		{"", "%"},
		{"%", "%25"},
		{".", "%2e"},
		{"..", "%2e%2e"},
		{"...", "%2e.%2e"},
		{"../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd"},
		{`..\x`, "%2e.%5cx"},
		{"/abs", "%2fabs"},
		{"a\x00b", "a%00b"},
		{".hidden", "%2ehidden"},
		{"dot.", "dot%2e"},
		{"space ", "space%20"},
		{"C:", "%43%3a"},
		{"con", "%63on"},
		{"CON", "%43%4f%4e"},
		{"nul.txt", "%6eul.txt"},
		{"com1", "%63om1"},
		{"lpt9.x.y", "%6cpt9.x.y"},
		{"console", "console"},
		{"com10", "com10"},
		{"longna~1", "longna%7e1"},
		{"\u00e9", "%c3%a9"},   // é as one character
		{"e\u0301", "e%cc%81"}, // and as two
		{"p\u0430ypal", "p%d0%b0ypal"},
		{"\xff", "%ff"},
	}
	for _, tt := range tests {
		got := layout.Escape(tt.value)
		if got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.value, got, tt.want)
		}
		if back, ok := layout.Unescape(got); !ok || back != tt.value {
			t.Errorf("Unescape(%q) = %q, %t", got, back, ok)
		}
	}
}

func TestLongValuesAreCutAndStayApart(t *testing.T) {
	long := strings.Repeat("\u00e9", 64)
	a, b := layout.Escape(long+"a"), layout.Escape(long+"b")
	if a == b || len(a) > layout.MaxComponent || len(b) > layout.MaxComponent {
		t.Errorf("%q (%d) and %q (%d)", a, len(a), b, len(b))
	}
	if !strings.HasPrefix(a, "%c3%a9%c3%a9") || strings.Contains(strings.Split(a, "%-")[0], "%-") {
		t.Errorf("the beginning is not readable: %q", a)
	}
	if _, ok := layout.Unescape(a); ok {
		t.Error("a hash was turned around")
	}
	if plain := strings.Repeat("x", ident.MaxUserIDLen); layout.Escape(plain) != plain {
		t.Error("a user id of the greatest length was cut without need")
	}
}

func TestUnescapeRefusesWhatEscapeDoesNotMake(t *testing.T) {
	for _, s := range []string{"", "%4", "%zz", "%61", "A", "con", ".x", "a/b", "%-00", "x%", "%2E"} {
		if v, ok := layout.Unescape(s); ok {
			t.Errorf("Unescape(%q) = %q", s, v)
		}
	}
}

func TestShard(t *testing.T) {
	for user, want := range map[ident.UserID]string{
		"alice": "a", "Zoe": "z", "7up": "other", "": "other", "\u00e9lan": "other", "@x": "other", "{": "other", "[": "other", "`": "other",
	} {
		if got := layout.Shard(user); got != want {
			t.Errorf("Shard(%q) = %q, want %q", user, got, want)
		}
	}
}

// checkComponent fails on anything that a file system might take for
// something else than a plain name.
func checkComponent(t *testing.T, c string) {
	t.Helper()
	switch {
	case c == "" || len(c) > 255:
		t.Fatalf("component of %d bytes", len(c))
	case c != strings.ToLower(c):
		t.Fatalf("%q has upper case", c)
	case c[0] == '.' || c[len(c)-1] == '.' || strings.ContainsAny(c, "/\\: \x00*?\"<>|~$"):
		t.Fatalf("%q is no plain name", c)
	case !filepath.IsLocal(c):
		t.Fatalf("%q leaves its folder", c)
	}
	for i := range len(c) {
		if c[i] < 0x21 || c[i] > 0x7e {
			t.Fatalf("%q has the byte %#x", c, c[i])
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"user1", "User1", "..", "a/b", "con", "com1.x", "%41", "\u00e9", "e\u0301", strings.Repeat("|", 100)} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ea, eb := layout.Escape(a), layout.Escape(b)
		checkComponent(t, ea)
		if len(ea) > layout.MaxComponent {
			t.Fatalf("%q has %d bytes", ea, len(ea))
		}
		if (ea == eb) != (a == b) {
			t.Fatalf("%q and %q are %q and %q", a, b, ea, eb)
		}
		if !strings.Contains(ea, "%-") {
			if back, ok := layout.Unescape(ea); !ok || back != a {
				t.Fatalf("%q came back as %q, %t", a, back, ok)
			}
		}
	})
}

func FuzzPrefix(f *testing.F) {
	f.Add("app", "messages", "user1", "app", "messages", "User1")
	f.Add("..", "a/b", "com1", "a", "../b", "com2")
	f.Add("users", "x", "y", "users", "y", "x")
	templates := []*layout.Template{
		mustParse(f, layout.UserTables, userDefault),
		mustParse(f, layout.UserTables, "com{userId}/{shard}/{namespace}.x/lp-{tableName}"),
	}
	f.Fuzz(func(t *testing.T, ns1, t1, u1, ns2, t2, u2 string) {
		a := layout.Values{Namespace: ident.NamespaceID(ns1), Table: ident.TableName(t1), User: ident.UserID(u1)}
		b := layout.Values{Namespace: ident.NamespaceID(ns2), Table: ident.TableName(t2), User: ident.UserID(u2)}
		for _, tmpl := range templates {
			pa, pb := tmpl.Prefix(a), tmpl.Prefix(b)
			if (pa == pb) != (a == b) {
				t.Fatalf("%+v and %+v are %q and %q", a, b, pa, pb)
			}
			if pa != pb && strings.HasPrefix(pa, pb) {
				t.Fatalf("%q lies in %q", pa, pb)
			}
			if path.Clean(pa)+"/" != pa || strings.Count(pa, "/") != strings.Count(pb, "/") || len(pa) > 1024 {
				t.Fatalf("%q is no plain path", pa)
			}
			for c := range strings.SplitSeq(strings.TrimSuffix(pa, "/"), "/") {
				checkComponent(t, c)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(userDefault)
	f.Add("{storageLocation}/../{namespace}/{userId}/{tableName}")
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := layout.Parse(layout.UserTables, text)
		if err != nil {
			return
		}
		p := tmpl.Prefix(layout.Values{Namespace: "..", Table: "/", User: "\\"})
		if !utf8.ValidString(p) || !filepath.IsLocal(p) || path.Clean(p)+"/" != p {
			t.Fatalf("%q gives %q", text, p)
		}
	})
}

func BenchmarkPrefix(b *testing.B) {
	tmpl := mustParse(b, layout.UserTables, userDefault)
	v := layout.Values{Namespace: "app", Table: "messages", User: "auth0|5f7c8ec7c33c6c004bbafe82"}
	b.ReportAllocs()
	for b.Loop() {
		tmpl.Prefix(v)
	}
}
