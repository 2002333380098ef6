package integration

import (
	"strings"
	"testing"
)

// TestHabitsOfOtherDatabases shows that what users of PostgreSQL, MySQL and
// SQLite type by habit works, or ends in an error whose hint says what to write
// instead.
func TestHabitsOfOtherDatabases(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	for _, sql := range []string{
		"CREATE TABLE a (id SERIAL PRIMARY KEY, name VARCHAR(20))",
		"CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), at DATETIME DEFAULT CURRENT_TIMESTAMP)",
		"CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
		"CREATE TABLE d (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tags TEXT[])",
		"CREATE SCHEMA IF NOT EXISTS " + r.ns, "SHOW SCHEMAS", "SHOW TABLES", "DESC a", "SHOW COLUMNS FROM a", "TRUNCATE a",
		`CREATE TABLE "user" (id INT PRIMARY KEY, "order" INT)`, `SELECT "order" FROM "user"`,
		"SELECT current_database(), current_schema(), version()", "SELECT id FROM a ORDER BY id FETCH FIRST 2 ROWS ONLY",
		"SELECT IFNULL(name, 'x'), name::text, CONCAT(name, 'x') FROM a WHERE name ILIKE 'A%' OR name ~ 'x'",
	} {
		if a := r.server.Post(t, map[string]any{"sql": sql, "namespace_id": r.ns}); a.HTTPStatus != 200 {
			t.Errorf("%s: HTTP %d %s", sql, a.HTTPStatus, a.Body)
		}
	}
	for sql, hint := range map[string]string{
		"BEGIN": "WITH", "CREATE INDEX i ON messages (content)": "primary key", "CREATE DATABASE x": "CREATE NAMESPACE",
		"SHOW DATABASES": "SHOW NAMESPACES", "SHOW CREATE TABLE messages": "DESCRIBE", "SHOW PROCESSLIST": "system.sessions",
		"INSERT OR REPLACE INTO messages VALUES (1, 'x')": "ON CONFLICT", "REPLACE INTO messages VALUES (1, 'x')": "ON CONFLICT",
		"INSERT INTO messages VALUES (1, 'x') ON DUPLICATE KEY UPDATE content = 'y'": "ON CONFLICT",
		"SELECT * FROM messages LIMIT 1, 2":                                          "OFFSET", "SELECT TOP 3 id FROM messages": "LIMIT",
		"SELECT `id` FROM messages": "double quotes", `SELECT id FROM messages WHERE content = "x"`: "single quotes",
		"SELECT id FROM messages WHERE content == 'x'": "=", "SELECT id FROM messages WHERE content REGEXP 'x'": "~",
		"SELECT group_concat(content) FROM messages": "string_agg", "SELECT getdate()": "now()", "SELECT last_insert_id()": "RETURNING",
		"DELETE FROM messages LIMIT 1": "WHERE", "PRAGMA table_info(messages)": "DESCRIBE", "SELECT * FROM mesages": "SHOW TABLES",
		"ALTER TABLE messages RENAME TO x": "INSERT INTO", "CREATE TABLE x (id INT) ENGINE=InnoDB": "options", "CREATE TABLE user (id INT)": `"user"`,
	} {
		a := r.server.Post(t, map[string]any{"sql": sql, "namespace_id": r.ns})
		if a.HTTPStatus == 200 || a.Error == nil || !strings.Contains(a.Error.Hint, hint) {
			t.Errorf("%s: HTTP %d, want a hint with %s: %s", sql, a.HTTPStatus, hint, a.Body)
		}
	}
}
