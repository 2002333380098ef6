package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/session"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/core/user"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/vector"
)

// maxTries is how often a statement is run that others get in the way of. From
// the second try on it takes turns with them, so it is far from needed: it is
// for tables that are dropped and created again and again.
const maxTries = 100

// statement is one statement of a request on its way. Everything that it needs
// is in this one allocation.
type statement struct {
	s      *Session
	text   string
	params []sqltype.Value
	// namespace is the current one; USE changes it for what follows.
	namespace ident.NamespaceID
	sink      Sink
	start     time.Time
	// deadline is the request's, or zero.
	deadline time.Time
	turn     *slot.Turn
	// sound says that queries leave out damaged files.
	sound bool
	// elapsed is how long it took, once that is known.
	elapsed time.Duration

	ctx  statementContext
	view table.View
	env  exec.Env
}

var _ table.System = (*statement)(nil)

// Open implements table.System: computed tables show the caller what it may
// see.
func (st *statement) Open(_ context.Context, v *table.View, t *ddl.Table) (exec.Table, error) {
	return st.s.e.system.Open(st.caller(v), t)
}

func (st *statement) caller(v *table.View) *systable.Caller {
	return &systable.Caller{User: st.s.principal.User, Role: st.s.principal.Role, View: v, Host: st.s.e.host}
}

// run prepares, authorises and runs the statement.
func (st *statement) run(ctx context.Context) error {
	e := st.s.e
	st.start = time.Now()
	st.ctx.Context, st.ctx.stopped, st.ctx.turn = ctx, e.stopped, st.turn
	st.ctx.deadline = st.deadline
	if limit := e.cfg.Query.Timeout.Std(); limit > 0 {
		if own := st.start.Add(limit); st.deadline.IsZero() || own.Before(st.deadline) {
			st.ctx.deadline = own
		}
	}
	defer st.ctx.end()
	err := st.dispatch(&st.ctx)
	if st.elapsed == 0 {
		st.elapsed = time.Since(st.start)
	}
	if errors.Is(err, context.DeadlineExceeded) && st.turn.Starved(st.elapsed) {
		err = slot.Stopped(st.elapsed)
	}
	st.s.slow(st.text, st.elapsed)
	return err
}

func (st *statement) dispatch(ctx context.Context) error {
	state := st.s.e.store.Acquire()
	defer func() { state.Release() }()
	prep, err := st.prepare(ctx, state)
	if err != nil {
		return err
	}
	switch prep.Kind() {
	case sql.Query:
		return st.query(ctx, state, prep)
	case sql.Modify:
		// The state is not needed while the result is given to the sink.
		out, rows, err := st.modify(ctx, &state, prep)
		if err != nil {
			return err
		}
		return st.changed(ctx, prep, out, rows)
	}
	return st.utility(ctx, state, prep.Statement())
}

// prepare compiles the statement against a state and checks that the caller
// may run it.
func (st *statement) prepare(ctx context.Context, state *table.State) (*sql.Prepared, error) {
	return st.prepareText(ctx, state, st.text, st.params)
}

func (st *statement) prepareText(ctx context.Context, state *table.State, text string, params []sqltype.Value) (*sql.Prepared, error) {
	req := sql.Request{Text: text, Namespace: st.namespace, Catalog: state.Catalog, Rows: st.s.e.rows, Params: params}
	p, own := st.s.principal, st.s.state
	key := session.Key{Text: text, Namespace: st.namespace, Role: p.Role, Explicit: p.ExplicitUser}
	if r := own.Statement(key); r != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// It was authorized for the same definitions, or is not taken.
		if prep, ok, err := r.Handle.Prepare(req, st.start); ok && (err != nil || r.Use(st.start)) {
			return prep, err
		}
	}
	prep, err := st.s.e.compiler.Prepare(ctx, req)
	if err != nil {
		return nil, st.s.withhold(state.Catalog, st.namespace, text, err)
	}
	if err := st.s.authorize(prep); err != nil {
		return nil, err
	}
	tables := st.register(prep)
	if prep.Kind() != sql.Utility && own.Repeats(key) {
		req.Text = strings.Clone(text) // the handle keeps parts of it
		if h := st.s.e.compiler.Handle(req, prep); h != nil {
			own.Register(key, h, tables, st.start)
		}
	}
	return prep, nil
}

// register notes that the session uses the statement's tables, and gives them.
// The server's own are always there and not worth remembering.
func (st *statement) register(prep *sql.Prepared) (tables []*ddl.Table) {
	tables = prep.Reads()
	if t := prep.Writes(); t != nil && !slices.Contains(tables, t) {
		tables = append(slices.Clip(tables), t)
	}
	for _, t := range prep.AlsoWrites() {
		if !slices.Contains(tables, t) {
			tables = append(slices.Clip(tables), t)
		}
	}
	if slices.ContainsFunc(tables, isSystem) {
		tables = slices.DeleteFunc(slices.Clone(tables), isSystem)
	}
	for _, t := range tables {
		st.s.state.Touch(t, st.start)
	}
	return tables
}

func isSystem(t *ddl.Table) bool { return t.Type == ident.SystemTable }

// environment is what an execution at a state, at a time, reads its world
// from.
func (st *statement) environment(state *table.State, now time.Time) *exec.Env {
	e := st.s.e
	now = now.UTC().Truncate(time.Microsecond)
	st.view.Reset(e.store, state, st.s.principal.User, now, st)
	st.env = exec.Env{
		Snapshot: &st.view, Now: now,
		User: st.s.principal.User, Role: st.s.principal.Role, Namespace: st.namespace,
		IDs: e.ids, Version: e.version, MemoryLimit: e.cfg.Query.MemoryLimit.Bytes(), Memory: e.memory, Parallelism: e.parallelism,
	}
	return &st.env
}

// query runs a SELECT and its like.
func (st *statement) query(ctx context.Context, state *table.State, prep *sql.Prepared) error {
	env := st.environment(state, st.start)
	env.Pauser = st.turn
	if st.sound {
		st.view.Sound = &table.Sound{}
	}
	rows, err := prep.Query(ctx, env)
	if err != nil {
		return err
	}
	defer rows.Close()
	n, err := st.give(ctx, prep.Columns(), rows)
	if err != nil {
		return err
	}
	st.elapsed = time.Since(st.start)
	return st.sink.End(Outcome{HasRows: true, RowCount: n, Message: st.leftOut(), Elapsed: st.elapsed})
}

// leftOut says which damaged files a query has left out; nothing for none.
func (st *statement) leftOut() string {
	if st.view.Sound == nil {
		return ""
	}
	files := st.view.Sound.LeftOut()
	if len(files) == 0 {
		return ""
	}
	return fmt.Sprintf("%s damaged or missing, and left out: %s", plural(int64(len(files)), "file"), strings.Join(files, ", "))
}

// give streams rows to the sink. The first batch is read before the sink hears
// of the statement, so that a failure by then leaves no half result.
func (st *statement) give(ctx context.Context, cols []sql.ResultColumn, rows exec.Rows) (n int64, err error) {
	b, err := rows.Next(ctx)
	if err != nil {
		return 0, err
	}
	if err := st.sink.Begin(cols); err != nil {
		return 0, err
	}
	for b != nil {
		n += int64(b.Rows())
		if err := st.sink.Batch(b); err != nil {
			return n, err
		}
		if b, err = rows.Next(ctx); err != nil {
			return n, err
		}
	}
	return n, nil
}

// modify runs INSERT, UPDATE or DELETE to the end of its commit. When another
// statement has got in the way it is prepared and run again on the newest
// state, which takes the place of the one given, and from then on takes turns.
func (st *statement) modify(ctx context.Context, state **table.State, prep *sql.Prepared) (affected int64, rows exec.Rows, err error) {
	e := st.s.e
	var way obstacles
	var held []demand
	give := nothing
	defer func() { give() }()
	for try := 1; ; try++ {
		demands := st.demands(prep, &way)
		missing := slices.ContainsFunc(demands, func(d demand) bool { return !slices.Contains(held, d) })
		if missing || try > 1 {
			(*state).Release()
			if missing {
				give()
				held = demands
				give, err = e.turns.take(ctx, demands)
			}
			*state = e.store.Acquire()
			if err == nil {
				prep, err = st.prepareText(ctx, *state, st.text, st.params)
			}
			if err != nil {
				return 0, nil, err
			}
		}
		affected, rows, err = st.attempt(ctx, *state, prep)
		var c *table.Conflict
		if !errors.As(err, &c) {
			return affected, rows, err
		}
		if try == maxTries {
			return 0, nil, dberr.Newf(dberr.Conflict, "The statement could not be completed: %v.", c).WithHint("Try again.")
		}
		way.add(c, try)
		err = nil
	}
}

// obstacles are what has got in a statement's way so far.
type obstacles struct {
	// altered: a table has another definition.
	altered bool
	// row is the last row that was changed; several: there was another one
	// before, so having a turn about one at a time leads nowhere.
	row     string
	several bool
}

func (o *obstacles) add(c *table.Conflict, try int) {
	if c.Key == "" {
		o.altered = true
		return
	}
	o.several = o.several || o.row != "" && o.row != c.Key || try >= maxTries/2
	o.row = c.Key
}

// demands are the turns that the next try needs.
func (st *statement) demands(prep *sql.Prepared, way *obstacles) (out []demand) {
	turns := &st.s.e.turns
	barred := turns.alone.Load() > 0
	if !barred && *way == (obstacles{}) {
		return nil
	}
	one := func(t *ddl.Table) {
		if way.altered {
			out = append(out, besideAlter(t.ID))
		}
		if barred || way.several {
			p := claim{onPartition, string(partitionOf(t, st.s.principal.User))}
			out = append(out, demand{p, !way.several})
		}
	}
	main := prep.Writes()
	one(main)
	for _, t := range prep.AlsoWrites() {
		if t.ID != main.ID {
			one(t)
		}
	}
	if way.row != "" && !way.several {
		out = append(out, demand{claim{onRow, way.row}, false})
	}
	return out
}

// attempt runs the statement once.
func (st *statement) attempt(ctx context.Context, state *table.State, prep *sql.Prepared) (int64, exec.Rows, error) {
	e := st.s.e
	env := st.environment(state, time.Now())
	res, err := prep.Modify(ctx, env)
	if err != nil {
		return 0, nil, err
	}
	defer res.Release()
	isUsers := prep.Writes().ID == systable.UsersID
	if isUsers {
		if res.Affected == 0 {
			err = st.missingUser(prep)
		} else {
			err = e.users.Complete(res.Writes, env.Now)
		}
	}
	if err == nil {
		sets := []*exec.WriteSet{res.Writes}
		if len(res.Before) > 0 {
			sets = append(res.Before, res.Writes)
		}
		err = e.store.Commit(ctx, state, st.s.principal.User, sets...)
		if err == nil && isUsers {
			e.endKeysOf(ctx, res.Writes)
		}
	}
	if err == nil {
		res.Committed()
	} else {
		if res.Returning != nil {
			res.Returning.Close()
		}
		if isUsers {
			err = user.Failure(err)
		}
		return 0, nil, err
	}
	return res.Affected, res.Returning, nil
}

// missingUser is the answer to an UPDATE or DELETE on system.users that names
// one user by its id and found nothing; nil for any other.
func (st *statement) missingUser(prep *sql.Prepared) error {
	if prep.WriteOps()&sql.WriteInsert != 0 {
		return nil
	}
	tree, err := parser.Parse(st.text)
	if err != nil {
		return err
	}
	var where ast.Expr
	switch x := tree.(type) {
	case *ast.Update:
		where = x.Where
	case *ast.Delete:
		where = x.Where
	}
	eq, ok := where.(*ast.BinaryExpr)
	if !ok || eq.Op != ast.OpEq {
		return nil
	}
	id, ok := st.userIn(eq.L, eq.R)
	if !ok {
		if id, ok = st.userIn(eq.R, eq.L); !ok {
			return nil
		}
	}
	return user.NotFound(ident.UserID(id))
}

func (st *statement) userIn(col, val ast.Expr) (string, bool) {
	if c, ok := col.(*ast.ColumnRef); !ok || c.Name != "user_id" {
		return "", false
	}
	switch v := val.(type) {
	case *ast.StringLit:
		return v.Value, true
	case *ast.Param:
		if v.Index <= len(st.params) {
			return st.params[v.Index-1].Text(), true
		}
	}
	return "", false
}

// changed answers a statement that changed rows.
func (st *statement) changed(ctx context.Context, prep *sql.Prepared, n int64, rows exec.Rows) error {
	out := Outcome{RowCount: n, Message: changedMessage(prep, n)}
	if rows != nil {
		defer rows.Close()
		if _, err := st.give(ctx, prep.Columns(), rows); err != nil {
			return err
		}
		out.HasRows = true
	}
	out.Elapsed = time.Since(st.start)
	return st.sink.End(out)
}

func changedMessage(prep *sql.Prepared, n int64) string {
	verb := "inserted"
	switch ops := prep.WriteOps(); {
	case ops&sql.WriteInsert != 0:
	case ops&sql.WriteUpdate != 0:
		verb = "updated"
	case ops&sql.WriteDelete != 0:
		verb = "deleted"
	}
	msg := plural(n, "row") + " " + verb
	if verb == "deleted" && n > 0 && prep.Writes().ID == systable.UsersID {
		msg += "; the rows of USER tables that belong to the user are kept"
	}
	return msg
}

func plural(n int64, what string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// answer ends a statement that gives no rows.
func (st *statement) answer(message string) error {
	return st.sink.End(Outcome{Message: message, Elapsed: time.Since(st.start)})
}

// table is a result that is made as a whole.
type result struct {
	cols []sql.ResultColumn
	rows []sqltype.Row
}

// col adds a column.
func (r *result) col(name string, t sqltype.Type) {
	r.cols = append(r.cols, sql.ResultColumn{Name: name, Type: t})
}

// texts adds columns of TEXT.
func (r *result) texts(names ...string) {
	for _, n := range names {
		r.col(n, sqltype.TText)
	}
}

// add adds a row with a value for each column.
func (r *result) add(row ...sqltype.Value) { r.rows = append(r.rows, row) }

// show answers with a result.
func (st *statement) show(r *result, out Outcome) error {
	if err := st.sink.Begin(r.cols); err != nil {
		return err
	}
	for from := 0; from < len(r.rows); from += vector.BatchSize {
		rows := r.rows[from:min(len(r.rows), from+vector.BatchSize)]
		cols := make([]*vector.Vector, len(r.cols))
		for c := range r.cols {
			b := vector.NewBuilder(r.cols[c].Type, len(rows))
			for _, row := range rows {
				b.Append(row[c])
			}
			cols[c] = b.Finish()
		}
		if err := st.sink.Batch(vector.NewBatch(cols, len(rows))); err != nil {
			return err
		}
	}
	out.HasRows, out.RowCount, out.Elapsed = true, int64(len(r.rows)), time.Since(st.start)
	return st.sink.End(out)
}
