package exec

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// writer turns the rows of a plan into a WriteSet.
type writer struct {
	kind  plan.WriteKind
	table *ddl.Table
	// newAt and oldAt are positions in the plan's rows by declared column; -1
	// in newAt is a column that stays.
	newAt, oldAt        []int
	seq, updated, rowID int
	key                 []int
	conflict            *conflict
	// returning is evaluated over the row's declared columns as they are
	// afterwards, then the plan's row.
	returning []*expr.Program
	// returned are the types of those.
	returned []sqltype.Type
	// numbers are the columns of the result that the commit fills.
	numbers []plan.Number
	direct  [][]*expr.Program
}

// conflict is ON CONFLICT; set and where read the existing row, then the one
// that was to be inserted.
type conflict struct {
	update bool
	set    []*expr.Program
	where  *expr.Program
	// query, when not nil, stands for both: it gives a row of the new values,
	// which setAt finds by declared column, or none.
	query node
	setAt []int
	types []sqltype.Type
}

// maxDirect is up to how many rows of VALUES are written without operators.
const maxDirect = 256

func (c *compiler) writer(w *plan.Write, root node, lay []int) (*writer, error) {
	out := &writer{kind: w.Kind, table: w.Table, seq: -1, updated: -1, rowID: -1, key: w.Table.KeyOrdinals()}
	var err error
	for _, id := range w.New {
		at := -1
		if id >= 0 {
			if at, err = position(lay, id); err != nil {
				return nil, err
			}
		}
		out.newAt = append(out.newAt, at)
	}
	if out.oldAt, err = positions(lay, w.Old); err != nil {
		return nil, err
	}
	if w.Seq >= 0 {
		if out.seq, err = position(lay, w.Seq); err != nil {
			return nil, err
		}
		if out.updated, err = position(lay, w.Updated); err != nil {
			return nil, err
		}
	}
	if w.RowID >= 0 {
		if out.rowID, err = position(lay, w.RowID); err != nil {
			return nil, err
		}
	}
	if cf := w.Conflict; cf != nil {
		out.conflict = &conflict{update: cf.Update}
		cl := slices.Concat(cf.Existing, cf.Excluded)
		if out.conflict.set, err = c.programs(cf.Set, cl); err != nil {
			return nil, err
		}
		if out.conflict.where, err = c.program(cf.Where, cl); err != nil {
			return nil, err
		}
		if cf.Query != nil {
			n, lay, err := c.node(cf.Query)
			if err != nil {
				return nil, err
			}
			out.conflict.query, out.conflict.types = n, c.types(cl)
			for _, id := range cf.SetCols {
				at := -1
				if id >= 0 {
					if at, err = position(lay, id); err != nil {
						return nil, err
					}
				}
				out.conflict.setAt = append(out.conflict.setAt, at)
			}
		}
	}
	if w.Returning != nil {
		for _, e := range w.Returning {
			out.returned = append(out.returned, e.Type())
		}
		out.numbers = w.Numbers
		if out.returning, err = c.programs(w.Returning, slices.Concat(w.After, lay)); err != nil {
			return nil, err
		}
	}
	if v, ok := root.(*valuesNode); ok && w.Kind == plan.Insert && len(v.rows) <= maxDirect {
		out.direct = v.rows
	}
	return out, nil
}

// Changes is what a plan that writes gives.
type Changes struct {
	Set *WriteSet
	// Before are the changes of the statement's WITH before this one, in the
	// order in which they commit, all with it.
	Before    []*WriteSet
	Affected  int64
	Returning Rows
	acct      *account
	numbers   []plan.Number
	batches   []*vector.Batch
}

// Release gives back the memory that the changes are accounted with, when they
// are committed or given up. It may be called twice.
func (c *Changes) Release() { c.acct.end() }

// Committed completes Returning with what the commit has written into Set. It
// must be called before Returning is read.
func (c *Changes) Committed() {
	if len(c.numbers) == 0 {
		return
	}
	writes := c.Set.Writes // one for each row returned
	for i, b := range c.batches {
		cols := slices.Clone(b.Cols)
		for _, n := range c.numbers {
			out := vector.NewBuilder(cols[n.Col].Type, b.Rows())
			for k := range b.Rows() {
				if n.Updated {
					out.Append(sqltype.NewInt(sqltype.Timestamp, c.Set.Time.UnixMicro()))
				} else {
					out.Append(sqltype.NewBigInt(int64(writes[k].NewSeq)))
				}
			}
			cols[n.Col] = out.Finish()
		}
		c.batches[i] = vector.NewBatch(cols, b.Rows())
		writes = writes[b.Rows():]
	}
}

// Modify runs a plan that writes, up to its commit. The changes must be
// released.
func (p *Plan) Modify(ctx context.Context, env *Env, params []sqltype.Value) (*Changes, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := p.newRun(ctx, env, params)
	out := &Changes{acct: r.acct}
	var seen map[ident.TableID]map[string]struct{}
	if len(p.before) > 0 {
		seen = map[ident.TableID]map[string]struct{}{}
	}
	for _, step := range p.before {
		m, err := step.modify(ctx, r, seen)
		if err != nil {
			r.acct.end()
			return nil, err
		}
		m.flush()
		out.Before, r.earlier = append(out.Before, m.set), append(r.earlier, m.batches)
	}
	m, err := p.modify(ctx, r, seen)
	if err != nil {
		r.acct.end()
		return nil, err
	}
	out.Set, out.Affected = m.set, m.affected
	if p.write.returning != nil || p.then != nil {
		out.Returning = m.returned()
		out.numbers, out.batches = p.write.numbers, m.batches
	}
	return out, nil
}

// modify runs one change. Where there are several, seen are the rows that
// those before it have changed, by table: none is changed twice.
func (p *Plan) modify(ctx context.Context, r *run, seen map[ident.TableID]map[string]struct{}) (*modification, error) {
	m := &modification{w: p.write, r: r, set: &WriteSet{Table: p.write.table}}
	m.mem.acct = r.acct
	for _, t := range p.write.returned {
		m.ret = append(m.ret, vector.NewBuilder(t, 1))
	}
	if seen != nil {
		if m.seen = seen[m.set.Table.ID]; m.seen == nil {
			m.seen = map[string]struct{}{}
			seen[m.set.Table.ID] = m.seen
		}
	}
	err := m.run(ctx, p)
	if err == nil && p.then != nil {
		err = m.then(ctx, p.then)
	}
	return m, err
}

// modification is one execution of a writer.
type modification struct {
	w        *writer
	r        *run
	set      *WriteSet
	mem      reservation
	table    Table
	affected int64
	ret      []*vector.Builder
	batches  []*vector.Batch
	// seen are the keys that the statement has written, for ON CONFLICT, and
	// the rows that it has changed, because a join may give one twice.
	seen    map[string]struct{}
	key     []byte
	scratch sqltype.Row
}

func (m *modification) run(ctx context.Context, p *Plan) error {
	w := m.w
	if w.direct != nil {
		m.set.Writes = make([]Write, 0, len(w.direct))
		for _, progs := range w.direct {
			row := make(sqltype.Row, len(progs))
			for i, prog := range progs {
				v, err := prog.EvalRow(m.r.ectx, nil)
				if err != nil {
					return m.columnError(err, i)
				}
				row[i] = v
			}
			if err := m.insert(ctx, row, row); err != nil {
				return err
			}
		}
		return nil
	}
	op := m.r.open(p.root)
	defer op.Close()
	types := p.root.types()
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.mem.add(2 * int64(b.Size())); err != nil {
			return err
		}
		// The rows outlive the batch, so they share a copy of it.
		b = copyBatch(b)
		for i := range b.Rows() {
			row := make(sqltype.Row, len(types))
			b.ReadRow(i, row)
			switch w.kind {
			case plan.Insert:
				in := make(sqltype.Row, len(w.newAt))
				for c, at := range w.newAt {
					in[c] = row[at]
				}
				err = m.insert(ctx, in, row)
			default:
				err = m.change(row)
			}
			if err != nil {
				return err
			}
		}
	}
}

// columnError names the column in an error about a value of an INSERT.
func (m *modification) columnError(err error, i int) error {
	e, ok := err.(*dberr.Error)
	if !ok || e.Code != dberr.TypeMismatch && e.Code != dberr.ValueOutOfRange && e.Code != dberr.InvalidJSON {
		return err
	}
	c := &m.w.table.Columns[i]
	d := *e
	d.Message = fmt.Sprintf("column %q of type %s: %s", c.Name, c.Type, e.Message)
	return &d
}

// notNull checks a finished row.
func (m *modification) notNull(row sqltype.Row) error {
	t := m.w.table
	for i := range t.Columns {
		if row[i].IsNull() && (t.Columns[i].NotNull || slices.Contains(m.w.key, i)) {
			return dberr.Newf(dberr.NotNullViolation, "null value in column %q of table %s violates not-null constraint", t.Columns[i].Name, t.Ident())
		}
	}
	return nil
}

func (m *modification) insert(ctx context.Context, row, src sqltype.Row) error {
	if err := m.notNull(row); err != nil {
		return err
	}
	w := Write{Op: change.Insert, New: row}
	if m.w.conflict != nil && len(m.w.key) > 0 {
		w.Upsert = true
		if done, err := m.resolve(ctx, row, src); done || err != nil {
			return err
		}
	}
	return m.add(w, row, src)
}

func (m *modification) add(w Write, after, src sqltype.Row) error {
	m.set.Writes = append(m.set.Writes, w)
	m.affected++
	if m.ret == nil {
		return nil
	}
	if m.scratch == nil {
		m.scratch = make(sqltype.Row, len(after)+len(src))
	}
	copy(m.scratch, after)
	copy(m.scratch[len(after):], src)
	for i, p := range m.w.returning {
		v, err := p.EvalRow(m.r.ectx, m.scratch)
		if err != nil {
			return err
		}
		m.ret[i].Append(v)
	}
	if len(m.ret) > 0 && m.ret[0].Len() >= m.r.batch {
		m.flush()
	}
	return nil
}

func (m *modification) flush() {
	if len(m.ret) == 0 || m.ret[0].Len() == 0 {
		return
	}
	n := m.ret[0].Len()
	cols := make([]*vector.Vector, len(m.ret))
	for i, b := range m.ret {
		cols[i] = b.Finish()
	}
	m.batches = append(m.batches, vector.NewBatch(cols, n))
}

func (m *modification) returned() Rows {
	m.flush()
	return &batchRows{batches: m.batches}
}

// written tells whether the statement has noted the key already; m.key is the
// key then.
func (m *modification) written(values ...sqltype.Value) bool {
	m.key = m.key[:0]
	for _, v := range values {
		m.key = appendOrdered(append(m.key, 1), v)
	}
	_, dup := m.seen[string(m.key)]
	return dup
}

// note remembers m.key.
func (m *modification) note() {
	if m.seen == nil {
		m.seen = map[string]struct{}{}
	}
	m.seen[string(m.key)] = struct{}{}
}

// firstTime tells whether the statement meets the key for the first time.
func (m *modification) firstTime(values ...sqltype.Value) bool {
	if m.written(values...) {
		return false
	}
	m.note()
	return true
}

// resolve looks for the row that an INSERT … ON CONFLICT would meet. done
// means that the row is dealt with: skipped, or an update instead.
func (m *modification) resolve(ctx context.Context, row, src sqltype.Row) (done bool, err error) {
	cf, t := m.w.conflict, m.w.table
	key := make(sqltype.Row, len(m.w.key))
	for i, k := range m.w.key {
		key[i] = row[k]
	}
	if m.written(key...) {
		if cf.update {
			return true, dberr.New(dberr.InvalidSQL, "ON CONFLICT DO UPDATE command cannot affect row a second time").
				WithState("21000").WithHint("Ensure that no rows proposed for insertion within the same command have duplicate key values.")
		}
		return true, nil
	}
	if m.table == nil {
		if m.table, err = m.r.env.Snapshot.Table(ctx, t); err != nil {
			return true, err
		}
	}
	cols := make([]int, len(t.Columns), len(t.Columns)+2)
	for i := range cols {
		cols[i] = i
	}
	if t.HasSystemColumns() {
		cols = append(cols, t.SeqOrdinal(), t.UpdatedOrdinal())
	}
	old := make(sqltype.Row, len(cols))
	found, err := m.table.Get(ctx, key, cols, false, old)
	if err != nil {
		return true, err
	}
	if !found {
		m.note()
		return false, nil
	}
	if !cf.update {
		return true, nil
	}
	w := Write{Op: change.Update, Old: old[:len(t.Columns):len(t.Columns)]}
	if t.HasSystemColumns() {
		w.version(old[len(t.Columns)], old[len(t.Columns)+1])
	}
	both := slices.Concat(w.Old, row)
	if w.New, err = m.assigned(ctx, w.Old, both); w.New == nil || err != nil {
		return true, err // what WHERE leaves out may be met again
	}
	m.note()
	if err := m.notNull(w.New); err != nil {
		return true, err
	}
	return true, m.add(w, w.New, src)
}

// assigned gives the row that ON CONFLICT makes of an existing one; nil when
// WHERE leaves it out. both is the existing row, then the new one.
func (m *modification) assigned(ctx context.Context, old, both sqltype.Row) (sqltype.Row, error) {
	cf := m.w.conflict
	if cf.query != nil {
		m.r.changed = []*vector.Batch{vector.FromRow(cf.types, both)}
		op := m.r.open(cf.query)
		defer op.Close()
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		row := slices.Clone(old)
		for i, at := range cf.setAt {
			if at >= 0 {
				row[i] = b.Cols[at].Value(b.Row(0)).Clone()
			}
		}
		return row, nil
	}
	if cf.where != nil {
		if ok, err := cf.where.MatchRow(m.r.ectx, both); err != nil || !ok {
			return nil, err
		}
	}
	row := slices.Clone(old)
	for i, p := range cf.set {
		if p == nil {
			continue
		}
		v, err := p.EvalRow(m.r.ectx, both)
		if err != nil {
			return nil, m.columnError(err, i)
		}
		row[i] = v
	}
	return row, nil
}

// then runs the query over the changed rows that gives the result.
func (m *modification) then(ctx context.Context, n node) error {
	m.flush()
	m.r.changed, m.batches = m.batches, nil
	op := m.r.open(n)
	defer op.Close()
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := m.mem.add(int64(b.Size())); err != nil {
			return err
		}
		m.batches = append(m.batches, copyBatch(b))
	}
}

// version takes the system columns of the row that was read.
func (w *Write) version(seq, updated sqltype.Value) {
	w.OldSeq, w.OldTime = change.Seq(seq.Int()), time.UnixMicro(updated.Int()).UTC()
}

// change is one row of an UPDATE or DELETE.
func (m *modification) change(row sqltype.Row) error {
	w := m.w
	out := Write{Op: change.Delete, Old: make(sqltype.Row, len(w.oldAt))}
	for i, at := range w.oldAt {
		out.Old[i] = row[at]
	}
	if w.seq >= 0 {
		out.version(row[w.seq], row[w.updated])
	}
	if w.rowID >= 0 {
		out.RowID = row[w.rowID].Int()
		if !m.firstTime(row[w.rowID]) {
			return nil
		}
	} else {
		key := make(sqltype.Row, len(w.key))
		for i, k := range w.key {
			key[i] = out.Old[k]
		}
		if !m.firstTime(key...) {
			return nil
		}
	}
	after := out.Old
	if w.kind == plan.Update {
		out.Op = change.Update
		out.New = slices.Clone(out.Old)
		for i, at := range w.newAt {
			if at >= 0 {
				out.New[i] = row[at]
			}
		}
		if err := m.notNull(out.New); err != nil {
			return err
		}
		after = out.New
	}
	return m.add(out, after, row)
}
