package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNoPostgres says that no PostgreSQL server is installed.
var ErrNoPostgres = errors.New("no PostgreSQL server found below /usr/lib/postgresql (Debian: apt-get install postgresql)")

// Server is a PostgreSQL server of its own: its data lies in a temporary
// folder. Unless settings say otherwise, it listens on a socket in there only,
// and syncs nothing.
type Server struct {
	dir string
	bin string
	cmd *exec.Cmd
	log bytes.Buffer
}

// postgresBin finds the newest installed server's programs.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", ErrNoPostgres
	}
	version := func(p string) int {
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p))))
		if err != nil {
			return 0
		}
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	return filepath.Dir(found[0]), nil
}

// credential is the account that the server runs as: the tests' own, or
// postgres when the tests run as root, which the server refuses.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find the account that runs PostgreSQL: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read user id: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read group id: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// StartPostgres makes a cluster and starts its server, with settings of its
// configuration such as "fsync=on". Stop must be called. ErrNoPostgres says
// that there is none on this machine.
func StartPostgres(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "oracle-pg-")
	if err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	s := &Server{dir: dir, bin: bin}
	if err := s.start(ctx, cred, settings); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cred *syscall.Credential, settings []string) error {
	if cred != nil {
		if err := os.Chown(s.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return fmt.Errorf("hand over data folder: %w", err)
		}
	}
	data := filepath.Join(s.dir, "data")
	init := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres",
		"-E", "UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C", "--no-sync")
	init.Dir = s.dir
	init.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// Not bound to ctx: Stop ends it. Pdeathsig ends it with a test that is
	// killed.
	args := []string{"-D", data, "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "timezone=UTC", "-c", "autovacuum=off", "-c", "max_connections=8", "-c", "log_min_messages=fatal",
		"-c", "log_min_error_statement=panic", "-c", "jit=off"}
	for _, one := range settings {
		args = append(args, "-c", one) // the last one counts
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGQUIT}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("start postgres: %w", err)
	}
	return nil
}

// Stop ends the server and removes its data.
func (s *Server) Stop() error {
	var errs []error
	if s.cmd != nil {
		errs = append(errs, s.cmd.Process.Signal(syscall.SIGQUIT)) // immediate shutdown
		// The exit status of an immediate shutdown says nothing.
		_ = s.cmd.Wait()
		s.cmd = nil
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// Postgres is a connection to a Server.
type Postgres struct {
	conn *pgconn.PgConn
}

var _ Database = (*Postgres)(nil)

// connectTries times connectPause is how long a server may take to start.
const (
	connectTries = 200
	connectPause = 50 * time.Millisecond
)

// Connect opens a connection, waiting for the server to be ready.
func (s *Server) Connect(ctx context.Context) (*Postgres, error) {
	var last error
	for range connectTries {
		conn, err := pgconn.Connect(ctx, "host="+s.dir+" user=postgres dbname=postgres")
		if err == nil {
			p := &Postgres{conn: conn}
			if r := p.Exec(ctx, fmt.Sprintf("SET statement_timeout = %d", otherTimeout.Milliseconds())); r.Err != nil {
				return nil, r.Err
			}
			return p, nil
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(connectPause):
		}
	}
	return nil, fmt.Errorf("connect to postgres: %w: %s", last, s.log.String())
}

// Name is "PostgreSQL".
func (p *Postgres) Name() string { return "PostgreSQL" }

// Use makes a schema and puts it into the search path.
func (p *Postgres) Use(ctx context.Context, namespace string) error {
	return p.run(ctx, "CREATE SCHEMA "+namespace+"; SET search_path = "+namespace)
}

// Select makes an existing schema current.
func (p *Postgres) Select(ctx context.Context, namespace string) error {
	return p.run(ctx, "SET search_path = "+namespace)
}

// Drop removes a schema.
func (p *Postgres) Drop(ctx context.Context, namespace string) error {
	return p.run(ctx, "DROP SCHEMA "+namespace+" CASCADE")
}

func (p *Postgres) run(ctx context.Context, sql string) error {
	if r := p.Exec(ctx, sql); r.Err != nil {
		return r.Err
	}
	return nil
}

// Close ends the connection.
func (p *Postgres) Close() error { return p.conn.Close(context.Background()) }

// Exec runs a statement by the simple protocol, which gives values as text.
func (p *Postgres) Exec(ctx context.Context, sql string) Result {
	res := Result{Affected: -1}
	all := p.conn.Exec(ctx, sql)
	for all.NextResult() {
		res = readResult(all.ResultReader())
	}
	if err := all.Close(); err != nil {
		return Result{Affected: -1, Err: postgresError(err)}
	}
	return res
}

// ExecPlanned runs a query as other settings of the planner make it run.
func (p *Postgres) ExecPlanned(ctx context.Context, settings []string, sql string) Result {
	var b strings.Builder
	b.WriteString("BEGIN; ")
	for _, s := range settings {
		b.WriteString("SET LOCAL " + s + "; ")
	}
	if r := p.Exec(ctx, b.String()); r.Err != nil {
		return r
	}
	res := p.Exec(ctx, sql)
	if r := p.Exec(ctx, "ROLLBACK"); r.Err != nil {
		return r
	}
	return res
}

// readResult reads the rows of one statement. Its error is told when all are
// closed.
func readResult(rr *pgconn.ResultReader) Result {
	res := Result{Affected: -1}
	fields := rr.FieldDescriptions()
	for _, f := range fields {
		res.Columns = append(res.Columns, f.Name)
		res.Types = append(res.Types, oidName(f.DataTypeOID))
	}
	var zoned []bool
	for _, f := range fields {
		zoned = append(zoned, f.DataTypeOID == oidTimestamptz)
	}
	for rr.NextRow() {
		raw := rr.Values()
		row := make(Row, len(raw))
		for i, b := range raw {
			row[i] = Cell{Text: string(b), Null: b == nil}
			if zoned[i] {
				row[i].Text = strings.TrimSuffix(row[i].Text, "+00")
			}
		}
		res.Rows = append(res.Rows, row)
	}
	tag, err := rr.Close()
	if err == nil && (tag.Insert() || tag.Update() || tag.Delete()) {
		res.Affected = tag.RowsAffected()
	}
	return res
}

func postgresError(err error) *Error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return &Error{State: pe.Code, Message: pe.Message}
	}
	return &Error{Message: err.Error()}
}

const oidTimestamptz = 1184

// oidNames are PostgreSQL's types in KalamDB's spelling. A time stamp with a
// time zone is KalamDB's only time stamp; text has several names there.
var oidNames = map[uint32]string{
	16: "BOOLEAN", 21: "SMALLINT", 23: "INT", 20: "BIGINT", 700: "FLOAT", 701: "DOUBLE", 1700: "DECIMAL",
	25: "TEXT", 1043: "TEXT", 1042: "TEXT", 19: "TEXT", 18: "TEXT", 705: "TEXT",
	1082: "DATE", 1083: "TIME", 1114: "TIMESTAMP", oidTimestamptz: "TIMESTAMP", 1186: "INTERVAL",
	2950: "UUID", 17: "BYTES", 114: "JSON", 3802: "JSON", 2249: "RECORD", 2278: "VOID",
	1000: "BOOLEAN[]", 1005: "SMALLINT[]", 1007: "INT[]", 1016: "BIGINT[]", 1021: "FLOAT[]", 1022: "DOUBLE[]", 1231: "DECIMAL[]",
	1009: "TEXT[]", 1015: "TEXT[]", 1182: "DATE[]", 1183: "TIME[]", 1115: "TIMESTAMP[]", 1185: "TIMESTAMP[]", 1187: "INTERVAL[]",
	2951: "UUID[]", 1001: "BYTES[]",
}

func oidName(oid uint32) string {
	if n, ok := oidNames[oid]; ok {
		return n
	}
	return "OID" + strconv.FormatUint(uint64(oid), 10)
}
