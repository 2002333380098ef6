package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Codec is how pages are compressed.
type Codec uint8

// The codecs. Their numbers are in the files.
const (
	// Snappy is fast.
	Snappy Codec = iota
	// Zstd makes files about a fifth smaller and takes longer to write.
	Zstd
)

func (c Codec) codec() compress.Codec {
	if c == Zstd {
		return &parquet.Zstd
	}
	return &parquet.Snappy
}

// maxBlockRows is how many rows a block may have in any file.
const maxBlockRows = 1 << 20

// WriterOptions sets how a segment is written. The zero value of each field
// means its default.
type WriterOptions struct {
	Codec Codec
	// BlockRows and BlockBytes end a block: how many rows it has, and how many
	// bytes they took in the hot tier. Default 2048 rows, 256 KiB.
	BlockRows  int
	BlockBytes int
	// GroupRows and GroupBytes end a row group, which is what the writer holds
	// in memory, compressed. Default 128 Ki rows, 32 MiB before compression.
	GroupRows  int
	GroupBytes int
	// BitsPerKey is the size of the bloom filters. Default 10, which is wrong
	// about one key in a hundred.
	BitsPerKey int
	// Layouts are the schema versions of the rows that AppendRow gets. Nil: it
	// gets none.
	Layouts rowenc.Layouts
}

func (o WriterOptions) withDefaults() WriterOptions {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.BlockRows, vector.BatchSize)
	o.BlockRows = min(o.BlockRows, vector.BatchSize)
	def(&o.BlockBytes, 256<<10)
	def(&o.GroupRows, 128<<10)
	def(&o.GroupBytes, 32<<20)
	def(&o.BitsPerKey, 10)
	return o
}

// dictionaryBytes is the largest dictionary of a column in a row group; past
// it the column goes on without one.
const dictionaryBytes = 128 << 10

// Summary is what a finished segment holds; the manifest keeps it.
type Summary struct {
	// Bytes is the size of the file.
	Bytes int64
	// Checksum is that of the annex, which has the checksums of all the rest:
	// a file with another one is another file.
	Checksum uint64
	// Rows counts all rows, Deleted those that are soft-deleted.
	Rows, Deleted int64
	SchemaVersion uint32
	// FirstKey and LastKey are the first and the last row's keys.
	FirstKey, LastKey []byte
	MinSeq, MaxSeq    change.Seq
	// MinUpdated and MaxUpdated are microseconds since 1970-01-01 UTC.
	MinUpdated, MaxUpdated int64
	// Columns are the bounds of declared columns that have an order.
	Columns []ColumnRange
}

// ColumnRange is what a column's values lie between.
type ColumnRange struct {
	ID   uint32
	Kind sqltype.Kind
	ValueRange
}

// maxSummaryText is how many bytes of a text a Summary keeps.
const maxSummaryText = 64

// Writer writes one segment. Rows come in ascending order of their keys, each
// key once. A Writer belongs to one goroutine.
//
// It holds one row group in memory, compressed, and of everything before it
// the bloom filters and the index: about 2 bytes a row.
type Writer struct {
	ctx    context.Context // holds for the writing, which this is
	schema Schema
	opts   WriterOptions
	out    *output
	pw     *parquet.GenericWriter[any] // made with the first block
	dec    *rowenc.Decoder
	enc    encoder
	a      annex

	builders []*vector.Builder
	keys     *vector.Builder
	bytes    int // of the present block
	lastKey  []byte

	groupRows, groupBytes int
	groupFirst            int      // its first block
	hashes                []uint64 // of the present group's keys
	filters               [][]byte
	statBytes             [][]byte // by column
	ranges                []ValueRange
	err                   error
}

// Create begins a segment. Nothing of it is visible before Finish.
func Create(ctx context.Context, b object.Bucket, name string, schema Schema, opts WriterOptions) (*Writer, error) {
	cols, err := storedColumns(&schema)
	if err != nil {
		return nil, err
	}
	w := &Writer{ctx: ctx, schema: schema, opts: opts.withDefaults()}
	w.a = annex{table: schema.Table, version: schema.Version, codec: opts.Codec, cols: cols, key: schema.Key, rowID: len(schema.Key) == 0,
		minUpdated: math.MaxInt64, maxUpdated: math.MinInt64}
	if w.a.rowID {
		w.a.key = []int{len(cols) - 1}
	}
	w.a.pages = make([]pages, len(cols))
	w.a.stats = make([]place, len(cols))
	w.statBytes = make([][]byte, len(cols))
	w.ranges = make([]ValueRange, len(cols))
	want := make([]rowenc.Want, 0, len(cols))
	for i := range cols {
		c := &cols[i]
		w.builders = append(w.builders, vector.NewBuilder(c.typ, 0))
		if c.id == RowIDColumn {
			continue
		}
		n := rowenc.Want{Column: rowenc.Column{ID: c.id, Type: c.typ}}
		if i < len(schema.Columns) {
			n.Default = schema.Columns[i].Default
		}
		want = append(want, n)
	}
	w.keys = vector.NewBuilder(sqltype.TBytes, 0)
	if opts.Layouts != nil {
		w.dec = rowenc.NewDecoder(opts.Layouts, want)
	}
	ow, err := b.Create(ctx, name, object.CreateOptions{IfAbsent: true})
	if err != nil {
		return nil, err
	}
	w.out = &output{w: ow}
	return w, nil
}

// Rows is how many rows were appended.
func (w *Writer) Rows() int64 { return w.a.rows + int64(w.keys.Len()) }

// next checks a key and makes room for its row.
func (w *Writer) next(key []byte, size int) error {
	switch {
	case w.err != nil:
		return w.err
	case w.Rows() > 0 && bytes.Compare(key, w.lastKey) <= 0:
		return w.fail(dberr.New(dberr.Internal, "the rows of a segment do not come in the order of their keys"))
	case w.a.rowID && len(key) != 8:
		return w.fail(dberr.Newf(dberr.Internal, "a row id of %d bytes", len(key)))
	}
	if n := w.keys.Len(); n >= w.opts.BlockRows || n > 0 && w.bytes+size > w.opts.BlockBytes {
		if err := w.flushBlock(); err != nil {
			return err
		}
	}
	w.bytes += size
	w.lastKey = append(w.lastKey[:0], key...)
	w.keys.AppendBytes(key)
	if w.a.rowID {
		w.builders[len(w.builders)-1].AppendInt(int64(binary.BigEndian.Uint64(key)))
	}
	return nil
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// AppendRow appends a row as it stands in the backend, of any schema version.
func (w *Writer) AppendRow(key, row []byte) error {
	if w.dec == nil {
		return w.fail(dberr.New(dberr.Internal, "a segment's writer has no layouts for rows"))
	}
	if err := w.next(key, len(key)+len(row)); err != nil {
		return err
	}
	cols := w.builders
	if w.a.rowID {
		cols = cols[:len(cols)-1]
	}
	if err := w.dec.DecodeInto(row, cols...); err != nil {
		return w.fail(err)
	}
	return nil
}

// AppendBatch appends rows as a Scanner gives them: the declared columns in
// declared order, then _seq, _updated and _deleted, and the keys of all
// positions, selected or not.
func (w *Writer) AppendBatch(b *vector.Batch, keys *vector.Vector) error {
	n := len(w.schema.Columns) + 3
	if len(b.Cols) != n || keys.Len() != b.Len() {
		return w.fail(dberr.Newf(dberr.Internal, "a batch of %d columns and %d keys for %d columns of %d rows", len(b.Cols), keys.Len(), n, b.Len()))
	}
	if b.Rows() == 0 {
		return w.err
	}
	size := b.Size() / max(b.Len(), 1)
	for i := range b.Rows() {
		r := b.Row(i)
		if err := w.next([]byte(keys.Str(r)), size); err != nil {
			return err
		}
		for c, col := range b.Cols {
			w.builders[c].AppendFrom(col, r)
		}
	}
	return nil
}

// open makes the Parquet writer, which needs to know of the first block which
// columns are better off with a dictionary.
func (w *Writer) open(first []*vector.Vector) {
	dictionary := make([]bool, len(w.a.cols))
	opts := []parquet.WriterOption{
		parquet.Compression(w.opts.Codec.codec()),
		parquet.DataPageStatistics(false),
		parquet.ColumnIndexSizeLimit(func([]string) int { return maxStatText }),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		// Pages are cut by Flush; the size is only what is reserved.
		parquet.PageBufferSize(8 << 10),
		parquet.WriteBufferSize(0),
		parquet.CreatedBy("kalamdb", "1", "segment"),
	}
	for i := range w.a.cols {
		c := &w.a.cols[i]
		dictionary[i] = c.class == classBytes && !c.list && !c.required && repeats(first[i])
		if c.noBounds() {
			opts = append(opts, parquet.SkipPageBounds(c.path()...))
		}
	}
	var sorting []parquet.SortingColumn
	for _, k := range w.a.key {
		sorting = append(sorting, parquet.Ascending(w.a.cols[k].path()...))
	}
	opts = append(opts, parquet.SortingWriterConfig(parquet.SortingColumns(sorting...)), parquetSchema(w.a.cols, dictionary))
	w.pw = parquet.NewGenericWriter[any](w.out, opts...)
}

// repeats tells whether a column's first values are few and short enough for
// a dictionary.
func repeats(v *vector.Vector) bool {
	if v.Len() < 64 {
		return false
	}
	distinct, size := map[string]bool{}, 0
	for i := range v.Len() {
		if v.IsNull(i) || distinct[v.Str(i)] {
			continue
		}
		s := v.Str(i)
		distinct[s] = true
		if size += len(s); len(distinct) > v.Len()/4 || size > dictionaryBytes/4 {
			return false
		}
	}
	return true
}

// flushBlock writes the rows gathered so far as one page of each column.
func (w *Writer) flushBlock() error {
	n := w.keys.Len()
	if n == 0 {
		return nil
	}
	if err := context.Cause(w.ctx); err != nil {
		return w.fail(err)
	}
	keys := w.keys.Finish()
	cols := make([]*vector.Vector, len(w.builders))
	for i, b := range w.builders {
		if cols[i] = b.Finish(); cols[i].Len() != n {
			return w.fail(dberr.New(dberr.Internal, "columns of a segment have different lengths"))
		}
	}
	if w.pw == nil {
		w.open(cols)
	}
	for i, cw := range w.pw.ColumnWriters() {
		// A block takes a millisecond, for which those who serve somebody need
		// not wait.
		runtime.Gosched()
		values, err := w.enc.column(&w.a.cols[i], cols[i], i)
		if err != nil {
			return w.fail(err)
		}
		if _, err := cw.WriteRowValues(values); err != nil {
			return w.fail(fmt.Errorf("write column %s: %w", w.a.cols[i].name, err))
		}
		if err := cw.Flush(); err != nil {
			return w.fail(fmt.Errorf("write column %s: %w", w.a.cols[i].name, err))
		}
	}
	w.measure(keys, cols)
	w.groupRows += n
	w.groupBytes += w.bytes
	w.bytes = 0
	if w.groupRows >= w.opts.GroupRows || w.groupBytes >= w.opts.GroupBytes {
		return w.flushGroup()
	}
	return nil
}

// measure notes what the annex says of a block.
func (w *Writer) measure(keys *vector.Vector, cols []*vector.Vector) {
	n := keys.Len()
	b := block{row: w.a.rows, rows: int32(n)}
	first := []byte(keys.Str(0))
	b.key, b.cut = bytes.Clone(first), false
	if len(first) > maxIndexKey {
		b.key, b.cut = bytes.Clone(first[:maxIndexKey]), true
	}
	if w.a.rows == 0 {
		w.a.firstKey = bytes.Clone(first)
	}
	for i := range n {
		w.hashes = append(w.hashes, xxhash.Sum64String(keys.Str(i)))
	}
	system := cols[len(w.schema.Columns):]
	for i, s := range system[0].Ints {
		q := change.Seq(s)
		if i == 0 || q < b.minSeq {
			b.minSeq = q
		}
		b.maxSeq = max(b.maxSeq, q)
	}
	for _, u := range system[1].Ints {
		w.a.minUpdated, w.a.maxUpdated = min(w.a.minUpdated, u), max(w.a.maxUpdated, u)
	}
	for _, d := range system[2].Bools {
		if d {
			b.deleted++
		}
	}
	for i := range w.a.cols {
		if !measurable(&w.a.cols[i]) {
			continue
		}
		r := measure(cols[i])
		r.Cut(maxSummaryText)
		w.ranges[i].merge(r)
		r.Cut(maxStatText)
		w.statBytes[i] = AppendRange(w.statBytes[i], r)
	}
	if len(w.a.blocks) == 0 || b.minSeq < w.a.minSeq {
		w.a.minSeq = b.minSeq
	}
	w.a.maxSeq = max(w.a.maxSeq, b.maxSeq)
	w.a.deleted += int64(b.deleted)
	w.a.rows += int64(n)
	w.a.blocks = append(w.a.blocks, b)
}

// flushGroup writes the row group and makes its bloom filter.
func (w *Writer) flushGroup() error {
	if w.groupRows == 0 {
		return nil
	}
	if err := w.pw.Flush(); err != nil {
		return w.fail(fmt.Errorf("write rows: %w", err))
	}
	f := make(bloom.SplitBlockFilter, max(1, bloom.NumSplitBlocksOf(int64(len(w.hashes)), uint(w.opts.BitsPerKey))))
	f.InsertBulk(w.hashes)
	w.filters = append(w.filters, bytes.Clone(f.Bytes()))
	w.a.groups = append(w.a.groups, group{first: w.groupFirst})
	w.groupFirst = len(w.a.blocks)
	w.hashes = w.hashes[:0]
	w.groupRows, w.groupBytes = 0, 0
	return nil
}

// Finish writes what is left and makes the segment visible and durable. A
// segment without rows is refused.
func (w *Writer) Finish() (Summary, error) {
	defer w.Abort()
	if w.err != nil {
		return Summary{}, w.err
	}
	if w.Rows() == 0 {
		return Summary{}, w.fail(dberr.New(dberr.Internal, "a segment without rows"))
	}
	if err := w.flushBlock(); err != nil {
		return Summary{}, err
	}
	if err := w.flushGroup(); err != nil {
		return Summary{}, err
	}
	w.a.lastKey = bytes.Clone(w.lastKey)
	s, err := w.end()
	if err != nil {
		return Summary{}, w.fail(err)
	}
	if err := w.out.w.Commit(); err != nil {
		return Summary{}, w.fail(err)
	}
	w.err = dberr.New(dberr.Internal, "the segment is finished")
	return s, nil
}

// Abort throws the segment away. After Finish it does nothing, so it can be
// deferred.
func (w *Writer) Abort() {
	_ = w.fail(dberr.New(dberr.Internal, "the segment was given up"))
	w.out.w.Abort()
}
