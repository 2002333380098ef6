package sql

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
)

// Options configure a Compiler. The zero value is ready for use.
type Options struct {
	// PlanCacheSize is how many plans are kept. Default 1024; negative: none.
	PlanCacheSize int
}

// Compiler prepares statements. It may be used from several goroutines.
type Compiler struct {
	opts Options
}

// NewCompiler makes a Compiler.
func NewCompiler(opts Options) *Compiler {
	if opts.PlanCacheSize == 0 {
		opts.PlanCacheSize = 1024
	}
	return &Compiler{opts: opts}
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
func (c *Compiler) Prepare(ctx context.Context, req Request) (*Prepared, error) {
	return nil, ctx.Err()
}
