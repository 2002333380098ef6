package app

import "github.com/kalamdb/kalamdb/commons/dberr"

// Outcomes of a cell of the matrix beside error codes.
const (
	ok          dberr.Code = ""
	denied                 = dberr.PermissionDenied
	unsupported            = dberr.Unsupported
	// unknown is how a live query of somebody else looks: as if there were none.
	unknown = dberr.SubscriptionNotFound
)

// row is a statement and what comes of it for each role. What stands between
// percent signs is made for the cell: %LIVE:me% and %LIVE:other% live queries
// of the actor and of somebody else, %JOB% a job of somebody else, %KEY% an API
// key, %BACKUP% a backup of app, %DIR% a folder, %N% a new name.
type row struct {
	sql                  string
	user, service, admin dberr.Code
	// bypass is the outcome for the localhost bypass; empty: that of admin.
	bypass dberr.Code
}

// matrix is who may do what: the rules of core's authorize for every statement,
// with objects of one's own, of others, and missing ones.
var matrix = []row{
	// Rows of one's own. Another user's rows have no name to ask for them by;
	// TestNobodySeesAnothersRows looks at the answers.
	{"SELECT * FROM app.notes", ok, ok, ok, ok},
	{"SELECT * FROM app.user.notes", ok, ok, ok, denied},
	{"INSERT INTO app.notes VALUES (7, 'x') ON CONFLICT DO NOTHING", ok, ok, ok, ok},
	{"UPDATE app.notes SET body = 'y'", ok, ok, ok, ok},
	{"DELETE FROM app.notes WHERE id = 7", ok, ok, ok, ok},
	{"TRUNCATE app.notes", ok, ok, ok, ok},
	{"SELECT * FROM app.events", ok, ok, ok, ok},
	{"INSERT INTO app.events VALUES (1, 'x')", ok, ok, ok, ok},
	{"DELETE FROM app.events", ok, ok, ok, ok},
	{"SELECT * FROM app.own_view", ok, ok, ok, ok},
	{"SUBSCRIBE TO app.notes", ok, ok, ok, ok},
	{"EXPLAIN SELECT * FROM app.notes", ok, ok, ok, ok},
	{"DESCRIBE app.notes", ok, ok, ok, ok},
	{"SHOW TABLE STATS app.notes", ok, ok, ok, ok},

	// SHARED tables by their access.
	{"SELECT * FROM app.public_t", ok, ok, ok, ok},
	{"INSERT INTO app.public_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, ok, ok, ok},
	{"UPDATE app.public_t SET body = 'y'", denied, ok, ok, ok},
	{"DELETE FROM app.public_t WHERE id = 7", denied, ok, ok, ok},
	{"TRUNCATE app.public_t", denied, ok, ok, ok},
	{"SELECT * FROM app.open_t", ok, ok, ok, ok},
	{"INSERT INTO app.open_t VALUES (7, 'x') ON CONFLICT DO NOTHING", ok, ok, ok, ok},
	{"UPDATE app.open_t SET body = 'y'", ok, ok, ok, ok},
	{"DELETE FROM app.open_t WHERE id = 7", ok, ok, ok, ok},
	{"SELECT * FROM app.restricted_t", denied, ok, ok, ok},
	{"INSERT INTO app.restricted_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, ok, ok, ok},
	{"UPDATE app.restricted_t SET body = 'y'", denied, ok, ok, ok},
	{"DELETE FROM app.restricted_t WHERE id = 7", denied, ok, ok, ok},
	{"TRUNCATE app.restricted_t", denied, ok, ok, ok},
	{"SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"INSERT INTO app.private_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE app.private_t SET body = 'y'", denied, denied, ok, ok},
	{"DELETE FROM app.private_t WHERE id = 7", denied, denied, ok, ok},
	{"TRUNCATE app.private_t", denied, denied, ok, ok},

	// Every way to a table that one may not read.
	{"SELECT (SELECT max(body) FROM app.private_t)", denied, denied, ok, ok},
	{"SELECT 1 WHERE EXISTS (SELECT 1 FROM app.private_t)", denied, denied, ok, ok},
	{"WITH p AS (SELECT * FROM app.private_t) SELECT * FROM p", denied, denied, ok, ok},
	{"SELECT n.id FROM app.notes n JOIN app.private_t p ON p.id = n.id", denied, denied, ok, ok},
	{"SELECT 1 AS id UNION ALL SELECT id FROM app.private_t", denied, denied, ok, ok},
	{"INSERT INTO app.open_t SELECT id + 100, body FROM app.private_t ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE app.notes SET body = (SELECT max(body) FROM app.private_t)", denied, denied, ok, ok},
	{"DELETE FROM app.notes WHERE id IN (SELECT id FROM app.private_t)", denied, denied, ok, ok},
	{"SELECT * FROM app.private_view", denied, denied, ok, ok},
	{"EXPLAIN SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN ANALYZE SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN DELETE FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN ANALYZE INSERT INTO app.public_t VALUES (8, 'x')", unsupported, unsupported, unsupported, ""},
	{"EXPLAIN INSERT INTO app.public_t VALUES (8, 'x')", denied, ok, ok, ok},
	{"EXPLAIN UPDATE app.public_t SET body = 'y'", denied, ok, ok, ok},
	{"EXPLAIN SUBSCRIBE TO app.notes", ok, ok, ok, ok},
	{"EXPLAIN SUBSCRIBE TO app.private_t", denied, denied, ok, ok},
	{"SUBSCRIBE TO app.private_t", denied, denied, unsupported, ""},
	{"SUBSCRIBE TO app.public_t", unsupported, unsupported, unsupported, ""},
	{"SUBSCRIBE TO app.events", ok, ok, ok, ok},
	{"SUBSCRIBE TO app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},

	// What is wrong with a statement is not told of tables that one may not
	// read: their columns and types are none of the caller's business.
	{"SELECT nothing FROM app.private_t", denied, denied, dberr.ColumnNotFound, ""},
	{"SELECT * FROM app.private_t WHERE body + 1 > DATE '2025-01-01'", denied, denied, dberr.FunctionNotFound, ""},
	{"SELECT nothing FROM app.restricted_t", denied, dberr.ColumnNotFound, dberr.ColumnNotFound, ""},
	{"INSERT INTO app.private_t (nothing) VALUES (1)", denied, denied, dberr.ColumnNotFound, ""},
	{"UPDATE app.private_t SET nothing = 1", denied, denied, dberr.ColumnNotFound, ""},
	{"DELETE FROM app.private_t WHERE nothing = 1", denied, denied, dberr.ColumnNotFound, ""},
	{"EXPLAIN SELECT nothing FROM app.private_t", denied, denied, dberr.ColumnNotFound, ""},
	{"SUBSCRIBE TO app.private_t WHERE nothing = 1", denied, denied, dberr.ColumnNotFound, ""},
	{"DESCRIBE app.private_t", denied, denied, ok, ok},
	{"SHOW TABLE STATS app.private_t", denied, denied, ok, ok},
	{"DESCRIBE app.restricted_t", denied, ok, ok, ok},

	// Missing objects.
	{"SELECT * FROM app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"SELECT * FROM nothing.nothing", dberr.NamespaceNotFound, dberr.NamespaceNotFound, dberr.NamespaceNotFound, ""},
	{"INSERT INTO app.nothing VALUES (1)", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"UPDATE app.nothing SET a = 1", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"DELETE FROM app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"TRUNCATE app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"DESCRIBE app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"USE nothing", dberr.NamespaceNotFound, dberr.NamespaceNotFound, dberr.NamespaceNotFound, ""},
	{"USE app", ok, ok, ok, ok},
	{"KILL LIVE QUERY 'nothing'", dberr.SubscriptionNotFound, dberr.SubscriptionNotFound, dberr.SubscriptionNotFound, ""},
	{"KILL JOB 'nothing'", dberr.NotFound, dberr.NotFound, dberr.NotFound, ""},

	// System tables.
	{"SELECT * FROM system.users", ok, ok, ok, ok},
	{"SELECT * FROM system.api_keys", ok, ok, ok, ok},
	{"SELECT * FROM system.live_queries", ok, ok, ok, ok},
	{"SELECT * FROM system.tables", ok, ok, ok, ok},
	{"SELECT * FROM information_schema.columns", ok, ok, ok, ok},
	{"INSERT INTO system.users (user_id, username) VALUES ('eve', 'Eve') ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE system.users SET metadata = '{\"role\":\"admin\"}' WHERE user_id = 'nobody'", denied, denied, dberr.NotFound, ""},
	{"DELETE FROM system.users WHERE user_id = 'eve'", denied, denied, ok, ""},
	{"DELETE FROM system.users WHERE user_id = 'nobody'", denied, denied, dberr.NotFound, ""},
	{"INSERT INTO system.users (user_id, username) VALUES ('key-user', 'Eve')", denied, denied, dberr.AlreadyExists, ""},
	{"INSERT INTO system.api_keys (key_id) VALUES ('x')", denied, denied, denied, ""},
	{"DELETE FROM system.live_queries", denied, denied, denied, ""},
	{"UPDATE system.tables SET access = 'open'", denied, denied, denied, ""},
	{"TRUNCATE system.tables", denied, denied, denied, ""},
	{"SHOW TABLES", ok, ok, ok, ok},
	{"SHOW TABLES IN app", ok, ok, ok, ok},
	{"SHOW NAMESPACES", ok, ok, ok, ok},
	{"SHOW STORAGES", ok, ok, ok, ok},
	{"CLEAR CACHE", ok, ok, ok, ok},

	// Live queries and jobs. Those of others look to whoever may not end them
	// as if there were none.
	{"KILL LIVE QUERY '%LIVE:me%'", ok, ok, ok, ok},
	{"KILL LIVE QUERY '%LIVE:other%'", unknown, unknown, ok, ok},
	{"KILL JOB '%JOB%'", dberr.NotFound, dberr.NotFound, dberr.Conflict, ""}, // it has ended

	// Definitions and the rest of administration.
	{"CREATE NAMESPACE IF NOT EXISTS app2", denied, denied, ok, ok},
	{"CREATE NAMESPACE app", denied, denied, dberr.AlreadyExists, ""},
	{"ALTER NAMESPACE app SET OPTIONS (a = 'b')", denied, denied, ok, ok},
	{"ALTER NAMESPACE nothing SET OPTIONS (a = 'b')", denied, denied, dberr.NamespaceNotFound, ""},
	{"DROP NAMESPACE IF EXISTS app2", denied, denied, ok, ok},
	{"DROP NAMESPACE nothing", denied, denied, dberr.NamespaceNotFound, ""},
	{"DROP NAMESPACE app", denied, denied, dberr.Conflict, ""},
	{"CREATE TABLE IF NOT EXISTS app.notes (id BIGINT)", denied, denied, ok, ok},
	{"CREATE TABLE app.notes (id BIGINT)", denied, denied, dberr.AlreadyExists, ""},
	{"CREATE TABLE nothing.t (id BIGINT)", denied, denied, dberr.NamespaceNotFound, ""},
	{"CREATE SHARED TABLE IF NOT EXISTS app.copied AS SELECT * FROM app.private_t", denied, denied, ok, ""},
	{"ALTER TABLE app.public_t ADD COLUMN IF NOT EXISTS more TEXT", denied, denied, ok, ""},
	{"ALTER TABLE app.public_t RENAME COLUMN more TO less", denied, denied, ok, ""},
	{"ALTER TABLE app.public_t DROP COLUMN less", denied, denied, ok, ""},
	{"ALTER TABLE app.public_t SET (access = 'public')", denied, denied, ok, ""},
	{"ALTER TABLE app.nothing DROP COLUMN a", denied, denied, dberr.TableNotFound, ""},
	{"DROP TABLE IF EXISTS app.nothing", denied, denied, ok, ok},
	{"DROP TABLE app.nothing", denied, denied, dberr.TableNotFound, ""},
	{"CREATE OR REPLACE VIEW app.own_view AS SELECT * FROM app.notes", denied, denied, ok, ok},
	{"CREATE VIEW app.mine AS SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"DROP VIEW app.mine", denied, denied, ok, ok},
	{"DROP VIEW IF EXISTS app.nothing", denied, denied, ok, ok},
	{"FLUSH TABLE app.notes", denied, denied, ok, ""},
	{"FLUSH TABLE app.nothing", denied, denied, dberr.TableNotFound, ""},
	{"FLUSH TABLE app.events", denied, denied, unsupported, ""},
	{"FLUSH ALL TABLES", denied, denied, ok, ""},
	{"FLUSH ALL TABLES IN app", denied, denied, ok, ""},
	{"FLUSH ALL TABLES IN nothing", denied, denied, dberr.NamespaceNotFound, ""},
	{"COMPACT TABLE app.notes", denied, denied, ok, ""},
	{"COMPACT TABLE app.nothing", denied, denied, dberr.TableNotFound, ""},
	{"COMPACT TABLE app.events", denied, denied, unsupported, ""},
	{"CREATE STORAGE s TYPE filesystem PATH '%DIR%/s'", denied, denied, ok, ""},
	{"CREATE STORAGE s TYPE filesystem PATH '%DIR%/s'", denied, denied, dberr.AlreadyExists, ""},
	{"ALTER STORAGE s SET NAME 'x'", denied, denied, ok, ""},
	{"ALTER STORAGE nothing SET NAME 'x'", denied, denied, dberr.NotFound, ""},
	{"DROP STORAGE s", denied, denied, ok, ""},
	{"DROP STORAGE s", denied, denied, dberr.NotFound, ""},
	{"DROP STORAGE IF EXISTS s", denied, denied, ok, ""},
	{"DROP STORAGE local", denied, denied, dberr.Conflict, ""},
	{"BACKUP DATABASE app TO '%DIR%/%N%'", denied, denied, ok, ""},
	{"BACKUP DATABASE app TO '%BACKUP%'", denied, denied, dberr.AlreadyExists, ""},
	{"BACKUP DATABASE nothing TO '%DIR%/%N%'", denied, denied, dberr.NamespaceNotFound, ""},
	{"SHOW BACKUP '%BACKUP%'", denied, denied, ok, ""},
	{"SHOW BACKUP FOR DATABASE app", denied, denied, ok, ""},
	{"SHOW BACKUP '%DIR%/nothing'", denied, denied, dberr.NotFound, ""},
	{"RESTORE DATABASE app FROM '%BACKUP%' AS restored", denied, denied, ok, ""},
	{"DROP NAMESPACE restored CASCADE", denied, denied, ok, ""},
	{"RESTORE DATABASE app FROM '%BACKUP%'", denied, denied, dberr.AlreadyExists, ""},
	{"RESTORE DATABASE app FROM '%DIR%/nothing' AS restored", denied, denied, dberr.NotFound, ""},
	{"CREATE API KEY FOR 'nobody'", denied, denied, ok, ""},
	{"DROP API KEY '%KEY%'", denied, denied, ok, ""},
	{"DROP API KEY 'nothing'", denied, denied, dberr.NotFound, ""},
}
