package core

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

func TestStorages(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		dir := t.TempDir()
		d.script([]line{
			{sql: "CREATE NAMESPACE app", want: "-- Namespace app created"},
			{sql: fmt.Sprintf("CREATE STORAGE archive TYPE filesystem NAME 'Archive' DESCRIPTION 'old things' PATH '%s/a'", dir), want: "-- Storage archive created"},
			{sql: fmt.Sprintf("CREATE STORAGE archive TYPE filesystem PATH '%s/b'", dir), want: "!ALREADY_EXISTS archive"},
			{sql: fmt.Sprintf("CREATE STORAGE IF NOT EXISTS archive TYPE filesystem PATH '%s/b'", dir), want: "-- Storage archive exists already"},
			{sql: `CREATE STORAGE cloud TYPE s3 PATH 's3://bucket/prefix?endpoint=http://127.0.0.1:9' CREDENTIALS '{"access_key_id":"AK","secret_access_key":"verysecret"}' USER_TABLES_TEMPLATE '{namespace}/{shard}/{userId}/{tableName}/'`, want: "-- Storage cloud created"},
			{sql: "SHOW STORAGES", want: fmt.Sprintf("local|Local filesystem|filesystem|%s|0\narchive|Archive|filesystem|%s/a|0\ncloud|NULL|s3|s3://bucket/prefix?endpoint=http://127.0.0.1:9|0", d.cfg.Storage.DefaultLocation, dir)},
			{sql: "SELECT storage_id, description, credentials, user_tables_template FROM system.storages WHERE storage_id <> 'local' ORDER BY 1",
				want: `archive|old things|NULL|{storageLocation}/{namespace}/users/{userId}/{tableName}/` + "\n" + `cloud|NULL|{"access_key_id":"***","secret_access_key":"***"}|{namespace}/{shard}/{userId}/{tableName}/`},
			{as: "ann", sql: "SELECT storage_id, uri, credentials FROM system.storages ORDER BY 1", want: "archive|NULL|NULL\ncloud|NULL|NULL\nlocal|NULL|NULL"},
			{as: "ann", sql: "DROP STORAGE archive", want: "!PERMISSION_DENIED admin"},
			// Definitions that are wrong.
			{sql: "CREATE STORAGE x TYPE tape PATH '/x'", want: "!INVALID_SQL tape"},
			{sql: "CREATE STORAGE x TYPE filesystem PATH 'relative'", want: "!INVALID_SQL absolute"},
			{sql: "CREATE STORAGE x TYPE filesystem PATH 'http://host/x'", want: "!INVALID_SQL http"},
			{sql: "CREATE STORAGE x TYPE filesystem PATH '/dev/null/x'", want: "!STORAGE_UNAVAILABLE "},
			{sql: "CREATE STORAGE x TYPE s3 PATH 's3://bucket' CREDENTIALS 'no json'", want: "!INVALID_JSON "},
			{sql: fmt.Sprintf("CREATE STORAGE x TYPE filesystem PATH '%s' USER_TABLES_TEMPLATE '{namespace}/{tableName}/'", dir), want: "!INVALID_SQL userId"},
			{sql: fmt.Sprintf("CREATE STORAGE x TYPE filesystem PATH '%s' SHARED_TABLES_TEMPLATE '../{namespace}/{tableName}/'", dir), want: "!INVALID_SQL "},
			// Use.
			{sql: "CREATE TABLE app.t (id INT) STORAGE nowhere", want: "!NOT_FOUND Storage 'nowhere'"},
			{sql: "CREATE TABLE app.t (id INT) STORAGE archive", want: "-- Table app.t created"},
			{sql: "DROP STORAGE archive", want: "!CONFLICT 1 table(s) use it"},
			{sql: fmt.Sprintf("ALTER STORAGE archive SET PATH '%s/c'", dir), want: "!CONFLICT 1 table(s) use it"},
			{sql: "ALTER STORAGE archive SET NAME 'Attic'", want: "-- Storage archive altered"},
			{sql: "SELECT storage_name, updated_at >= created_at FROM system.storages WHERE storage_id = 'archive'", want: "Attic|t"},
			{sql: "ALTER TABLE app.t SET (storage = 'nowhere')", want: "!NOT_FOUND nowhere"},
			{sql: "ALTER TABLE app.t SET (storage = 'local')", want: "-- Table app.t altered: schema version 2"},
			{sql: "DROP STORAGE archive", want: "-- Storage archive dropped"},
			{sql: "DROP STORAGE archive", want: "!NOT_FOUND archive"},
			{sql: "DROP STORAGE IF EXISTS archive", want: "-- Storage archive does not exist"},
			{sql: "DROP STORAGE local", want: "!CONFLICT always there"},
			{sql: "ALTER STORAGE local SET NAME 'x'", want: "!CONFLICT always there"},
			{sql: "ALTER STORAGE nowhere SET NAME 'x'", want: "!NOT_FOUND nowhere"},
		})
	})
}

func TestStoragesSurviveARestart(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, fmt.Sprintf("CREATE STORAGE a TYPE filesystem PATH '%s'; CREATE NAMESPACE app; CREATE TABLE app.t (id INT) STORAGE a", filepath.ToSlash(t.TempDir())))
	const q = "SELECT * FROM system.storages WHERE storage_id = 'a'"
	before := d.rows(admin, q)
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	if got := d.rows(admin, q); got != before || !strings.HasPrefix(got, "a|") {
		t.Errorf("after a restart %q, before %q", got, before)
	}
}
