package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Kalam is KalamDB in this process, on the memory backend.
type Kalam struct {
	engine    *core.Engine
	session   *core.Session
	namespace ident.NamespaceID
}

var _ Database = (*Kalam)(nil)

// How long a statement may run. KalamDB has the longer time, so that what it
// does not answer within it is a hang and no matter of speed.
const (
	statementTimeout = 30 * time.Second
	otherTimeout     = 5 * time.Second
)

// OpenKalam opens an empty database whose queries may use that many
// goroutines.
func OpenKalam(ctx context.Context, parallelism int) (*Kalam, error) {
	cfg := config.Default()
	cfg.Store.Backend = config.BackendMemory
	cfg.Query.Parallelism = parallelism
	cfg.Query.Timeout = config.Duration(statementTimeout)
	e, err := core.Open(ctx, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("open KalamDB: %w", err)
	}
	s, err := e.Session(core.Principal{User: "oracle", Role: ident.RoleAdmin, ExplicitUser: true}, "")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open KalamDB session: %w", err), e.Close(ctx))
	}
	return &Kalam{engine: e, session: s}, nil
}

// Name is "KalamDB".
func (k *Kalam) Name() string { return "KalamDB" }

// Use makes a namespace and makes it current.
func (k *Kalam) Use(ctx context.Context, namespace string) error {
	if r := k.Exec(ctx, "CREATE NAMESPACE "+namespace); r.Err != nil {
		return r.Err
	}
	k.namespace = ident.NamespaceID(namespace)
	return nil
}

// Select makes an existing namespace current.
func (k *Kalam) Select(_ context.Context, namespace string) error {
	k.namespace = ident.NamespaceID(namespace)
	return nil
}

// Drop removes a namespace.
func (k *Kalam) Drop(ctx context.Context, namespace string) error {
	if r := k.Exec(ctx, "DROP NAMESPACE "+namespace+" CASCADE"); r.Err != nil {
		return r.Err
	}
	return nil
}

// Close stops the engine.
func (k *Kalam) Close() error { return k.engine.Close(context.Background()) }

// Exec runs one statement without parameters.
func (k *Kalam) Exec(ctx context.Context, text string) Result { return k.ExecParams(ctx, text, nil) }

// ExecParams runs one statement with parameters.
func (k *Kalam) ExecParams(ctx context.Context, text string, params []sqltype.Value) (res Result) {
	// A panic is a finding like any other difference, not the end of the run.
	defer func() {
		if p := recover(); p != nil {
			res = Result{Affected: -1, Err: &Error{State: "PANIC", Message: fmt.Sprintf("%v at %s", p, panicPlace(debug.Stack()))}}
		}
	}()
	c := collector{res: Result{Affected: -1}}
	err := k.session.Execute(ctx, core.Request{SQL: text, Params: params, Namespace: k.namespace}, &c)
	if err != nil {
		return Result{Affected: -1, Err: kalamError(err)}
	}
	return c.res
}

// panicPlace is the innermost frame of this repository below the panic.
func panicPlace(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	seen := false
	for _, l := range lines {
		if strings.HasPrefix(l, "panic(") {
			seen = true
		}
		l = strings.TrimSpace(l)
		if i := strings.Index(l, "/sql/"); seen && i >= 0 && strings.Contains(l, ".go:") {
			place, _, _ := strings.Cut(l[i+1:], " ")
			return place
		}
	}
	return "?"
}

func kalamError(err error) *Error {
	var se *core.StatementError
	if errors.As(err, &se) {
		err = se.Err
	}
	if d, ok := dberr.As(err); ok {
		return &Error{State: d.State(), Message: d.Message}
	}
	return &Error{State: dberr.Internal.Info().SQLState, Message: err.Error()}
}

// collector keeps the rows of the last statement.
type collector struct{ res Result }

var _ core.Sink = (*collector)(nil)

// Begin implements core.Sink.
func (c *collector) Begin(cols []sql.ResultColumn) error {
	c.res = Result{Affected: -1, Columns: []string{}}
	for _, col := range cols {
		c.res.Columns = append(c.res.Columns, col.Name)
		c.res.Types = append(c.res.Types, typeName(col.Type))
	}
	return nil
}

func typeName(t sqltype.Type) string {
	switch t.Kind {
	case sqltype.Array:
		return t.Elem.String() + "[]"
	case sqltype.Unknown:
		return "TEXT"
	}
	return t.Kind.String()
}

// Batch implements core.Sink.
func (c *collector) Batch(b *vector.Batch) error {
	for i := range b.Rows() {
		at := b.Row(i)
		row := make(Row, len(b.Cols))
		for j, col := range b.Cols {
			v := col.Value(at)
			row[j] = Cell{Text: strings.Clone(v.Text()), Null: v.IsNull()}
		}
		c.res.Rows = append(c.res.Rows, row)
	}
	return nil
}

// End implements core.Sink.
func (c *collector) End(o core.Outcome) error {
	if o.HasRows {
		return nil
	}
	c.res = Result{Affected: o.RowCount}
	return nil
}
