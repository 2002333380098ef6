package httpapi

import (
	"sync"

	"github.com/kalamdb/kalamdb/server/wireconv"
	"github.com/kalamdb/kalamdb/sql"
)

// shape is how the results of a plan look: made once for all of its runs.
type shape struct {
	encoder *wireconv.Encoder
	head    []byte
}

// maxShapes is how many shapes each half of a shapeCache holds, and maxColumns
// how many columns they have together.
const maxShapes, maxColumns = 512, 64 << 10

// shapeCache remembers the shapes of plans that the engine keeps. A plan gives
// the same slice of columns at every run and never changes it, so the slice
// tells the plan; as the cache holds on to it, no other gets its address. The
// cache has two halves: when the new one is full it becomes the old one, and
// what was not asked for since is forgotten.
type shapeCache struct {
	mu       sync.Mutex // guards both maps
	new, old map[shapeKey]shape
	columns  int // of the new half
}

type shapeKey struct {
	first  *sql.ResultColumn
	n      int
	format wireconv.Format
}

func (c *shapeCache) get(cols []sql.ResultColumn, format wireconv.Format) shape {
	if len(cols) == 0 || len(cols) > maxColumns/16 {
		return newShape(cols, format)
	}
	key := shapeKey{&cols[0], len(cols), format}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.new[key]; ok {
		return s
	}
	s, ok := c.old[key]
	if !ok {
		s = newShape(cols, format)
	}
	if c.new == nil || len(c.new) >= maxShapes || c.columns+len(cols) > maxColumns {
		c.old, c.new, c.columns = c.new, make(map[shapeKey]shape), 0
	}
	c.new[key] = s
	c.columns += len(cols)
	return s
}

func newShape(cols []sql.ResultColumn, format wireconv.Format) shape {
	columns := make([]wireconv.Column, len(cols))
	for i, c := range cols {
		columns[i] = wireconv.Column{Name: c.Name, Type: c.Type}
	}
	e := wireconv.NewEncoder(columns, format)
	return shape{encoder: e, head: e.AppendHead(nil)}
}
