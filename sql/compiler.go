package sql

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/optimizer"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/sql/plancache"
)

// Options configure a Compiler. The zero value is ready for use.
type Options struct {
	// PlanCacheSize is how many plans are kept. Default 1024; negative: none.
	PlanCacheSize int
	// NoPushdown leaves predicates where the statement has them. Tests compare
	// results with and without.
	NoPushdown bool
}

// Compiler prepares statements. It may be used from several goroutines.
type Compiler struct {
	opts  Options
	cache *plancache.Cache[*compiled]
	bufs  sync.Pool
	hits  atomic.Int64
	// compiled counts the queries and changes that were compiled.
	compiled atomic.Int64
}

// CacheStats counts what the plan cache did since the Compiler was made.
type CacheStats struct {
	// Hits are the statements whose plan was there, Misses those that were
	// compiled: because they were new, because their plan had made room for
	// others or was made for other sizes of its tables, or because they are of
	// those that are not kept.
	Hits, Misses int64
	// Evictions are the plans that made room for others, Entries those that
	// are there now.
	Evictions int64
	Entries   int
}

// CacheStats tells what the plan cache did.
func (c *Compiler) CacheStats() CacheStats {
	s := CacheStats{Hits: c.hits.Load(), Misses: c.compiled.Load()}
	if c.cache != nil {
		kept := c.cache.Stats()
		s.Evictions, s.Entries = kept.Evicted, kept.Entries
	}
	return s
}

// NewCompiler makes a Compiler.
func NewCompiler(opts Options) *Compiler {
	if opts.PlanCacheSize == 0 {
		opts.PlanCacheSize = 1024
	}
	c := &Compiler{opts: opts}
	if opts.PlanCacheSize > 0 {
		c.cache = plancache.New[*compiled](opts.PlanCacheSize)
	}
	c.bufs.New = func() any { return new(plancache.Normalized) }
	return c
}

// CachedPlans describes the plans in the cache.
func (c *Compiler) CachedPlans() []plancache.Info {
	if c.cache == nil {
		return nil
	}
	return c.cache.List()
}

// ClearCache forgets every cached plan.
func (c *Compiler) ClearCache() {
	if c.cache != nil {
		c.cache.Clear()
	}
}

// Request is a statement to prepare.
type Request struct {
	// Text is the statement, one and no more.
	Text string
	// Statement is the tree of Text when the caller has parsed it already;
	// nil: Prepare parses. A Request with a Statement does not use the plan
	// cache.
	Statement ast.Statement
	// Namespace is where unqualified names are looked up; empty: nowhere.
	Namespace ident.NamespaceID
	Catalog   binder.Catalog
	// Rows tells about how many rows a table has; several joins are ordered
	// by that. nil: nobody knows.
	Rows func(*ddl.Table) int64
	// Params are the values of $1, $2, …, as loosely typed as their source
	// has them: a TEXT may stand for any type, a BIGINT for any number.
	Params []sqltype.Value
}

// ResultColumn describes a column of a result. Names are unique within it.
type ResultColumn struct {
	Name string
	Type sqltype.Type
}

// Prepare makes a statement ready to run: it parses it, resolves its names and
// types against the catalog, plans it, and converts the parameters to the
// types that their places need. Errors are coded and carry the place in Text.
//
// A plan that the cache has under the same text and namespace is used again, as
// long as every name that it reads means the same; then only the lexer runs.
// One whose order of joins depends on the sizes of tables is made again once a
// table has become eight times as large or as small as it was.
func (c *Compiler) Prepare(ctx context.Context, req Request) (*Prepared, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if req.Statement != nil || c.cache == nil {
		return c.prepare(req, req.Statement, nil)
	}
	norm := c.bufs.Get().(*plancache.Normalized)
	defer c.bufs.Put(norm)
	now := time.Now()
	for _, lifted := range []bool{true, false} {
		if !plancache.Normalize(req.Text, lifted, norm) {
			return c.prepare(req, nil, nil)
		}
		if lifted && len(norm.Literals) == 0 {
			lifted = false
		}
		key := c.key(req, norm)
		if p, ok := c.cache.Get(key, now); ok {
			if p == nil {
				continue // known not to lift
			}
			if p.outdated(req.Catalog) || p.outgrown(req) {
				return c.again(req, norm, lifted, key, now)
			}
			c.hits.Add(1)
			return p.with(req, norm.Literals)
		}
		p, err := c.miss(req, norm, lifted, key, now)
		if p != nil || err != nil {
			return p, err
		}
	}
	return c.prepare(req, nil, nil)
}

// key completes the normalised text to what a plan depends on.
func (c *Compiler) key(req Request, n *plancache.Normalized) string {
	n.Key = append(n.Key, 0)
	n.Key = append(n.Key, req.Namespace...)
	n.Key = append(n.Key, 0)
	for _, p := range req.Params {
		n.Key = append(n.Key, byte(p.Kind()))
	}
	return string(n.Key)
}

// miss makes the plan and keeps it. Without plan and error the literals cannot
// be lifted, and the statement is to be tried as it is.
func (c *Compiler) miss(req Request, norm *plancache.Normalized, lifted bool, key string, now time.Time) (*Prepared, error) {
	req.Text = strings.Clone(req.Text) // a plan keeps it, not the request that it came with
	stmt, err := parser.Parse(req.Text)
	if err != nil {
		return nil, err
	}
	switch stmt.(type) {
	case *ast.Query, *ast.Insert, *ast.Update, *ast.Delete:
	default:
		return c.prepare(req, stmt, nil)
	}
	literals := norm.Literals
	if lifted && !lift(stmt, literals, len(req.Params)) {
		c.cache.Put(key, nil, 0, "", 0, now)
		return nil, nil
	}
	if !lifted {
		literals = nil
	}
	p, err := c.compile(req, stmt, literals)
	if err != nil {
		if lifted {
			// The literal text itself makes the better error.
			return c.prepare(req, nil, nil)
		}
		return nil, err
	}
	p.stmt = nil
	c.cache.Put(key, p, p.bytes, req.Text, time.Since(now), now)
	return p.with(req, literals)
}

func (c *Compiler) prepare(req Request, stmt ast.Statement, literals []plancache.Literal) (*Prepared, error) {
	if stmt == nil {
		var err error
		if stmt, err = parser.Parse(req.Text); err != nil {
			return nil, err
		}
	}
	p, err := c.compile(req, stmt, literals)
	if err != nil {
		return nil, err
	}
	return p.with(req, literals)
}

// again replaces a plan that was made for other tables, or other sizes of them.
func (c *Compiler) again(req Request, norm *plancache.Normalized, lifted bool, key string, now time.Time) (*Prepared, error) {
	p, err := c.miss(req, norm, lifted, key, now)
	if p == nil && err == nil {
		return c.prepare(req, nil, nil)
	}
	return p, err
}

// tableSize is about how many rows a table had when a plan was made.
type tableSize struct {
	table *ddl.Table
	rows  int64
}

// outgrown tells whether a table that the plan's join order depends on has
// another magnitude by now.
func (c *compiled) outgrown(req Request) bool {
	if req.Rows == nil {
		return false
	}
	for _, s := range c.sizes {
		if now := req.Rows(s.table); now > 8*s.rows+1000 || s.rows > 8*now+1000 {
			return true
		}
	}
	return false
}

// compile binds, optimizes and compiles a statement.
func (c *Compiler) compile(req Request, stmt ast.Statement, literals []plancache.Literal) (*compiled, error) {
	out := &compiled{stmt: stmt}
	inner := stmt
	if e, ok := stmt.(*ast.Explain); ok {
		out.explain = e
		inner = e.Stmt
		if s, ok := inner.(*ast.Subscribe); ok {
			inner = s.Query
		}
	}
	switch inner.(type) {
	case *ast.Query, *ast.Insert, *ast.Update, *ast.Delete:
	default:
		if out.explain != nil {
			return nil, dberr.New(dberr.Unsupported, "EXPLAIN is supported for SELECT, INSERT, UPDATE and DELETE").At(inner.Position().In(req.Text))
		}
		out.kind = Utility
		return out, nil
	}
	c.compiled.Add(1)
	// The version comes first: what changes meanwhile is found by the next user.
	out.current.Store(req.Catalog.Version())
	names := &names{Catalog: req.Catalog}
	opts := binder.Options{Catalog: names, Namespace: req.Namespace, Text: req.Text}
	if literals != nil {
		opts.FirstLiteral = len(req.Params)
		for _, l := range literals {
			opts.Literals = append(opts.Literals, l.Type)
		}
	}
	st, err := binder.Bind(inner, opts)
	if err != nil {
		return nil, err
	}
	out.names = names.found
	out.literals = len(literals)
	out.paramTypes, out.paramColumns = st.Params, st.ParamColumns
	out.reads, out.userQ = st.Tables, st.UserQualified
	out.columns = resultColumns(st)
	if w := st.Write; w != nil {
		out.kind, out.writes = Modify, w.Table
		for _, s := range st.Before {
			out.also = append(out.also, s.Write.Table)
		}
		switch w.Kind {
		case plan.Insert:
			out.ops = WriteInsert
			if w.Conflict != nil && w.Conflict.Update {
				out.ops |= WriteUpdate
			}
		case plan.Update:
			out.ops = WriteUpdate
		case plan.Delete:
			out.ops = WriteDelete
		}
	}
	if w := st.Write; w == nil {
		out.live, out.liveErr = newLive(st)
	}
	if optimizer.Optimize(st, optimizer.Options{NoPushdown: c.opts.NoPushdown, Rows: req.Rows}) {
		for _, t := range st.Tables {
			out.sizes = append(out.sizes, tableSize{t, req.Rows(t)})
		}
	}
	if out.plan, err = exec.Compile(st); err != nil {
		return nil, err
	}
	out.bytes = weigh(st)
	if out.explain != nil {
		out.kind = Query
		if out.explain.Analyze && st.Write != nil {
			return nil, dberr.New(dberr.Unsupported, "EXPLAIN ANALYZE is supported for queries").
				At(inner.Position().In(req.Text)).WithHint("EXPLAIN without ANALYZE shows the plan and changes nothing.")
		}
		out.columns = []ResultColumn{{Name: "plan", Type: sqltype.TText}}
		if out.explain.Format == ast.ExplainJSON {
			out.columns[0].Type = sqltype.TJSON
		}
	}
	return out, nil
}

// resultColumns makes the names of a result unique: a, a_2.
func resultColumns(st *plan.Statement) []ResultColumn {
	out := make([]ResultColumn, len(st.Output))
	used := make(map[string]bool, len(out))
	for i, id := range st.Output {
		used[st.Names[i]] = used[st.Names[i]] || false
		out[i] = ResultColumn{Name: st.Names[i], Type: st.Types[id]}
	}
	seen := make(map[string]int, len(out))
	for i := range out {
		name := out[i].Name
		seen[name]++
		if seen[name] == 1 {
			continue
		}
		for n := seen[name]; ; n++ {
			unique := name + "_" + itoa(n)
			if _, taken := used[unique]; !taken {
				out[i].Name, used[unique], seen[name] = unique, true, n
				break
			}
		}
	}
	return out
}
