package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Node is a piece of SQL text with pieces in it.
type Node struct {
	// Type is an expression's type; None for what is no expression.
	Type Type
	// Parts are strings and *Nodes, in order.
	Parts []any
	// Optional pieces may be left out.
	Optional bool
	// Sep makes Parts the elements of a list, of which at least Min stay.
	Sep string
	Min int
	// Query marks a whole SELECT, which another whole SELECT may replace.
	Query bool
	// Value is a literal's value, which may be given as a parameter.
	Value *sqltype.Value

	hidden bool
}

// text makes a node of strings and nodes.
func text(parts ...any) *Node { return &Node{Parts: parts} }

// expression makes an expression of a type.
func expression(t Type, parts ...any) *Node { return &Node{Type: t, Parts: parts} }

// list makes a list.
func list(sep string, min int, elems ...*Node) *Node {
	n := &Node{Sep: sep, Min: min}
	for _, e := range elems {
		n.Parts = append(n.Parts, e)
	}
	return n
}

// optional makes a piece that may be left out.
func optional(parts ...any) *Node { return &Node{Optional: true, Parts: parts} }

// String is the SQL text.
func (n *Node) String() string {
	var b strings.Builder
	n.write(&b, nil)
	return b.String()
}

// WithParams is the SQL text with parameters in the place of literals, and
// their values, and the text with literals that means the same: both cast each
// of them to its type.
func (n *Node) WithParams() (withParams, withLiterals string, params []sqltype.Value) {
	var p, l strings.Builder
	numbers := map[*Node]int{}
	n.write(&p, func(b *strings.Builder, lit *Node) {
		if numbers[lit] == 0 {
			params = append(params, *lit.Value)
			numbers[lit] = len(params)
		}
		fmt.Fprintf(b, "CAST($%d AS %s)", numbers[lit], lit.Type.SQL())
	})
	n.write(&l, func(b *strings.Builder, lit *Node) {
		fmt.Fprintf(b, "CAST(%s AS %s)", lit.Parts[0], lit.Type.SQL())
	})
	return p.String(), l.String(), params
}

func (n *Node) write(b *strings.Builder, literal func(*strings.Builder, *Node)) {
	if n.hidden {
		return
	}
	if n.Value != nil && literal != nil {
		literal(b, n)
		return
	}
	first := true
	for _, p := range n.Parts {
		k, isNode := p.(*Node)
		if isNode && k.hidden {
			continue
		}
		if !first {
			b.WriteString(n.Sep)
		}
		first = false
		if isNode {
			k.write(b, literal)
		} else {
			b.WriteString(p.(string))
		}
	}
}

// walk visits the visible nodes, outer ones first.
func (n *Node) walk(visit func(*Node)) {
	if n.hidden {
		return
	}
	visit(n)
	for _, p := range n.Parts {
		if k, ok := p.(*Node); ok {
			k.walk(visit)
		}
	}
}

// Literals is how many literals the tree has.
func (n *Node) Literals() int {
	c := 0
	n.walk(func(k *Node) {
		if k.Value != nil {
			c++
		}
	})
	return c
}

// Shrink makes the tree smaller for as long as keep says of the smaller text
// that it still shows what is to be shown. It asks keep at most tries times.
func (n *Node) Shrink(tries int, keep func() bool) {
	s := shrinker{root: n, tries: tries, keep: keep}
	for s.round() && s.tries > 0 {
	}
}

type shrinker struct {
	root  *Node
	tries int
	keep  func() bool
}

// try makes a change and takes it back unless it may stay.
func (s *shrinker) try(do, undo func()) bool {
	if s.tries <= 0 {
		return false
	}
	s.tries--
	do()
	if s.keep() {
		return true
	}
	undo()
	return false
}

func (s *shrinker) round() bool {
	changed := false
	var nodes []*Node
	s.root.walk(func(n *Node) { nodes = append(nodes, n) })
	for _, n := range nodes {
		if s.tries <= 0 {
			return changed
		}
		if s.one(n) {
			changed = true
		}
	}
	return changed
}

func (s *shrinker) one(n *Node) bool {
	if n.hidden {
		return false
	}
	if n.Optional && s.try(func() { n.hidden = true }, func() { n.hidden = false }) {
		return true
	}
	changed := false
	if n.Sep != "" {
		changed = s.shorten(n)
	}
	if n.Type != None || n.Query {
		changed = s.replace(n) || changed
	}
	return changed
}

func (s *shrinker) shorten(n *Node) bool {
	changed := false
	for i := len(n.Parts) - 1; i >= 0 && len(n.Parts) > n.Min; i-- {
		old := n.Parts
		less := append(append([]any(nil), old[:i]...), old[i+1:]...)
		if s.try(func() { n.Parts = less }, func() { n.Parts = old }) {
			changed = true
		}
	}
	return changed
}

// replace puts something simpler in an expression's or a query's place: one of
// its own parts of the same kind, or a plain value.
func (s *shrinker) replace(n *Node) bool {
	if n.Value != nil {
		return false
	}
	var inner []*Node
	n.walk(func(k *Node) {
		if k != n && (n.Query && k.Query || n.Type != None && k.Type == n.Type) {
			inner = append(inner, k)
		}
	})
	old := *n
	undo := func() { *n = old }
	for _, k := range inner {
		k := *k
		k.Optional = old.Optional
		if s.try(func() { *n = k }, undo) {
			return true
		}
	}
	if n.Type == None || len(n.Parts) == 1 && len(n.String()) < 8 {
		return false
	}
	for _, plain := range []string{n.Type.plain(), "NULL"} {
		if n.String() == plain {
			continue
		}
		if s.try(func() { *n = Node{Type: old.Type, Parts: []any{plain}} }, undo) {
			return true
		}
	}
	return false
}

// Without calls visit once for every way to take one piece out of the tree:
// an optional piece left out, an element of a list left out, an expression
// replaced by a part of itself, by a plain value or by NULL. The tree is whole
// again when it returns. It ends early when visit gives false.
func (n *Node) Without(visit func() bool) {
	var nodes []*Node
	n.walk(func(k *Node) { nodes = append(nodes, k) })
	for _, k := range nodes {
		if !k.without(visit) {
			return
		}
	}
}

// Instead calls visit once for every expression of the tree, the inner ones
// first: put writes another value of the expression's type in its place, and
// tells whether there is a next one. The tree is whole again when it returns.
// It ends early when visit gives false. What stands under CASE, coalesce,
// FILTER, AND or OR is left out when only what is free is asked for: they say
// what is computed.
func (n *Node) Instead(free bool, visit func(put func() bool) bool) {
	var nodes []*Node
	var collect func(k *Node)
	collect = func(k *Node) {
		if k.hidden {
			return
		}
		if k.Type != None && k.Value == nil {
			nodes = append(nodes, k)
		}
		if free && k.guards() {
			return
		}
		for _, p := range k.Parts {
			if p, ok := p.(*Node); ok {
				collect(p)
			}
		}
	}
	collect(n)
	for _, k := range slices.Backward(nodes) {
		old, at := *k, 0
		values := k.Type.others()
		more := visit(func() bool {
			if at == len(values) {
				return false
			}
			*k = Node{Type: old.Type, Parts: []any{values[at]}}
			at++
			return true
		})
		if *k = old; !more {
			return
		}
	}
}

// guards tells whether a node says which of its parts are computed.
func (n *Node) guards() bool {
	for _, p := range n.Parts {
		switch p := p.(type) {
		case string:
			for _, word := range []string{"CASE", "coalesce(", "FILTER (", " AND ", " OR "} {
				if strings.Contains(p, word) {
					return true
				}
			}
		case *Node:
			if len(p.Parts) > 0 && !p.hidden && p.Parts[0] == " FILTER (WHERE " {
				return true
			}
		}
	}
	return false
}

// Wrap calls visit once for every expression of a type, which stands between
// two texts meanwhile. It ends early when visit gives false.
func (n *Node) Wrap(t Type, before, after string, visit func() bool) {
	var nodes []*Node
	n.walk(func(k *Node) {
		if k.Type == t {
			nodes = append(nodes, k)
		}
	})
	for _, k := range nodes {
		old := *k
		*k = Node{Type: t, Parts: []any{before, &old, after}}
		more := visit()
		if *k = old; !more {
			return
		}
	}
}

func (n *Node) without(visit func() bool) bool {
	old := *n
	defer func() { *n = old }()
	if n.Optional {
		n.hidden = true
		if !visit() {
			return false
		}
		n.hidden = false
	}
	if n.Sep != "" && len(n.Parts) > n.Min {
		for i := range old.Parts {
			n.Parts = append(append([]any(nil), old.Parts[:i]...), old.Parts[i+1:]...)
			if !visit() {
				return false
			}
		}
		*n = old
	}
	if n.Type == None {
		return true
	}
	for _, p := range old.Parts {
		if k, ok := p.(*Node); ok && k.Type == n.Type {
			*n = *k
			if !visit() {
				return false
			}
		}
	}
	for _, plain := range []string{old.Type.plain(), "NULL"} {
		*n = Node{Type: old.Type, Parts: []any{plain}}
		if !visit() {
			return false
		}
	}
	return true
}
