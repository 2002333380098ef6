//go:build cgo

package bench

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	// The driver registers itself.
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	kalam "github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/tpch"
	"github.com/kalamdb/kalamdb/store/vector"
)

var (
	rounds = flag.Int("rounds", 0, "how often each side runs each query; 0: the comparison is skipped")
	scale  = flag.Float64("scale", 0.1, "scale factor of TPC-H")
	only   = flag.String("only", "", "regular expression of the flights' queries to run; empty: all")
	out    = flag.String("table", "", "file to write the table to")
)

// flightsFile has three million flights.
const flightsFile = "../../../../shared/data/flights-3m.parquet"

func duck(t *testing.T) *sql.Conn {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	run(t, conn, "SET threads = 1")
	return conn
}

func run(t *testing.T, conn *sql.Conn, text string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// theirs runs a query and reads all of its rows.
func theirs(ctx context.Context, conn *sql.Conn, text string) (int, error) {
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

func ours(ctx context.Context, db *tpch.Database, text string) (int, error) {
	n := 0
	err := db.Run(ctx, exec.Env{MemoryLimit: 4 << 30}, text, func(b *vector.Batch) { n += b.Rows() })
	return n, err
}

// line is a query's medians.
type line struct {
	name       string
	ours, duck time.Duration
}

func measure(t *testing.T, name, text string, db *tpch.Database, conn *sql.Conn) line {
	t.Helper()
	var a, b []time.Duration
	for range *rounds {
		start := time.Now()
		n, err := ours(t.Context(), db, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a = append(a, time.Since(start))
		start = time.Now()
		m, err := theirs(t.Context(), conn, text)
		if err != nil {
			t.Fatalf("%s: DuckDB: %v", name, err)
		}
		b = append(b, time.Since(start))
		if n != m {
			t.Errorf("%s: %d rows, DuckDB has %d", name, n, m)
		}
	}
	slices.Sort(a)
	slices.Sort(b)
	return line{name, a[len(a)/2], b[len(b)/2]}
}

func report(t *testing.T, title string, lines []line) {
	t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n%-24s %10s %10s %7s\n", title, "query", "KalamDB", "DuckDB", "ratio")
	sum := 0.0
	for _, l := range lines {
		r := float64(l.ours) / float64(l.duck)
		sum += math.Log(r)
		fmt.Fprintf(&s, "%-24s %8.2fms %8.2fms %6.2fx\n", l.name, l.ours.Seconds()*1e3, l.duck.Seconds()*1e3, r)
	}
	fmt.Fprintf(&s, "%-24s %31.2fx\n", "geometric mean", math.Exp(sum/float64(len(lines))))
	t.Log("\n" + s.String())
	if *out != "" {
		f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(s.String())
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompareTPCH measures the 22 queries on both sides.
func TestCompareTPCH(t *testing.T) {
	if *rounds == 0 {
		t.Skip("needs -rounds")
	}
	db, err := tpch.NewDatabase(*scale, kalam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn := duck(t)
	dir := t.TempDir()
	files := map[string]*bufio.Writer{}
	for _, tab := range tpch.Tables {
		f, err := os.Create(filepath.Join(dir, tab.Name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		files[tab.Name] = bufio.NewWriter(f)
	}
	err = tpch.NewGenerator(*scale).Rows(func(table, row string) error {
		_, err := files[table].WriteString(strings.ReplaceAll(strings.ReplaceAll(row, "'", ""), ", ", "\t") + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tab := range tpch.Tables {
		if err := files[tab.Name].Flush(); err != nil {
			t.Fatal(err)
		}
		run(t, conn, fmt.Sprintf("CREATE TABLE %s (%s)", tab.Name, tab.Columns))
		run(t, conn, fmt.Sprintf(`COPY %s FROM '%s' (FORMAT csv, HEADER false, DELIMITER '\t', QUOTE '')`, tab.Name, filepath.Join(dir, tab.Name)))
	}
	var lines []line
	for n := 1; n <= 22; n++ {
		text, err := tpch.Query(n)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, measure(t, fmt.Sprintf("Q%02d", n), text, db, conn))
	}
	report(t, fmt.Sprintf("TPC-H, scale factor %g", *scale), lines)
}

// TestCompareFlights measures scans, filters and aggregates.
func TestCompareFlights(t *testing.T) {
	if *rounds == 0 {
		t.Skip("needs -rounds")
	}
	if _, err := os.Stat(flightsFile); err != nil {
		t.Skip("the flights are not there")
	}
	db, err := tpch.NewDatabase(0.001, kalam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loadFlights(t, db)
	conn := duck(t)
	run(t, conn, fmt.Sprintf("CREATE TABLE flights AS SELECT * FROM read_parquet('%s')", flightsFile))
	var lines []line
	which, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range flightQueries {
		if !which.MatchString(q.name) {
			continue
		}
		lines = append(lines, measure(t, q.name, q.text, db, conn))
	}
	report(t, "flights, 3 million rows", lines)
}

// loadFlights reads the file into vectors.
func loadFlights(t *testing.T, db *tpch.Database) {
	t.Helper()
	pf, err := file.OpenParquetFile(flightsFile, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pf.Close() }()
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Release()
	var spec []string
	var cols []*vector.Vector
	for i, f := range tab.Schema().Fields() {
		name, typ := sqlType(f.Type)
		spec = append(spec, fmt.Sprintf(`"%s" %s`, f.Name, name))
		b := vector.NewBuilder(typ, int(tab.NumRows()))
		for _, chunk := range tab.Column(i).Data().Chunks() {
			appendArray(t, b, chunk)
		}
		cols = append(cols, b.Finish())
	}
	t.Log(strings.Join(spec, ", "))
	if err := db.Create("flights", strings.Join(spec, ", ")); err != nil {
		t.Fatal(err)
	}
	db.Load("flights", cols)
}

func sqlType(t arrow.DataType) (string, sqltype.Type) {
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.DICTIONARY:
		return "text", sqltype.TText
	case arrow.FLOAT32, arrow.FLOAT64:
		return "double precision", sqltype.TDouble
	case arrow.TIMESTAMP:
		return "timestamp", sqltype.TTimestamp
	case arrow.DATE32:
		return "date", sqltype.TDate
	case arrow.INT64:
		return "bigint", sqltype.TBigInt
	}
	return "integer", sqltype.TInteger
}

func appendArray(t *testing.T, b *vector.Builder, a arrow.Array) {
	t.Helper()
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
			continue
		}
		switch a := a.(type) {
		case *array.String:
			b.AppendString(a.Value(i))
		case *array.LargeString:
			b.AppendString(a.Value(i))
		case *array.Float32:
			b.AppendFloat(float64(a.Value(i)))
		case *array.Float64:
			b.AppendFloat(a.Value(i))
		case *array.Timestamp:
			b.AppendInt(a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).UnixMicro())
		case *array.Date32:
			b.AppendInt(int64(a.Value(i)))
		case *array.Int64:
			b.AppendInt(a.Value(i))
		case *array.Int32:
			b.AppendInt(int64(a.Value(i)))
		case *array.Int16:
			b.AppendInt(int64(a.Value(i)))
		case *array.Int8:
			b.AppendInt(int64(a.Value(i)))
		default:
			t.Fatalf("column of %s", a.DataType())
		}
	}
}
