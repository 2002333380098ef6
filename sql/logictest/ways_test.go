package logictest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/sql/plancache"
)

// way is how the suite's statements are run.
type way struct {
	name string
	opts sql.Options
	// warm runs each query again, from the plan cache, and then twice with
	// parameters in the place of its literals.
	warm bool
	// cores is how many goroutines a query may use.
	cores int
	// memory is the limit of queries.
	memory int64
}

var ways = []way{
	{name: "no plan cache, no pushdown", opts: sql.Options{PlanCacheSize: -1, NoPushdown: true}},
	{name: "warm plan cache, parameters", warm: true},
	{name: "several cores", cores: 4},
	{name: "little memory", memory: 128},
}

// wayDB is the state of one way, and what it has seen.
type wayDB struct {
	way
	db *DB
	// parametrised counts queries that ran with parameters, exhausted those
	// that ran out of memory, same the results that were compared.
	parametrised, exhausted, same int
}

// volatileWords mark the queries whose result is another each time.
var volatileWords = []string{"random", "uuid", "snowflake", "ulid", "clock_timestamp", "timeofday"}

// slow is from which time on a query is not run in all ways.
const slow = 100 * time.Millisecond

// suite gives our own scripts, and the corpus when it is there.
func suite(t *testing.T) map[string]*Script {
	out := map[string]*Script{}
	files, err := filepath.Glob("testdata/*.slt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	add := func(name, path string, labels ...string) {
		text, err := os.ReadFile(path)
		if err != nil {
			return
		}
		s, err := ParseScript(string(text), labels)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = s
	}
	for _, f := range files {
		add(f, f, "kalamdb")
	}
	if _, err := os.Stat(filepath.Join(corpusDir, "manifest.txt")); err != nil || testing.Short() {
		return out
	}
	for _, c := range readManifest(t) {
		add(c.name, filepath.Join(corpusDir, c.name), c.labels...)
	}
	return out
}

// parametrise puts parameters in the place of a simple statement's literals;
// typed says their types, as literals do.
func parametrise(text string, typed bool) (string, []sqltype.Value) {
	var n plancache.Normalized
	if !plancache.Normalize(text, true, &n) || len(n.Literals) == 0 {
		return text, nil
	}
	var b strings.Builder
	var params []sqltype.Value
	lex := parser.NewLexer(text)
	at := 0
	for t := lex.Next(); t.Kind != parser.EOF && len(params) < len(n.Literals); t = lex.Next() {
		if l := n.Literals[len(params)]; int(t.Start) == l.Offset {
			params = append(params, l.Value)
			b.WriteString(text[at:t.Start] + " $" + strconv.Itoa(len(params)))
			if typed && l.Type.Kind != sqltype.Unknown {
				b.WriteString("::" + l.Type.String())
			}
			at = int(t.End)
		}
	}
	return b.String() + text[at:], params
}

// outcome is a result's rows in any order, or its error's code.
func outcome(res *Result, err error) string {
	if err != nil {
		return string(dberr.CodeOf(err))
	}
	lines := strings.Split(show(res), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// run runs a record, which gave want the usual way.
func (w *wayDB) run(t *testing.T, where string, r *Record, text, want string) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	typed := false
	run := func(text string, params []sqltype.Value) bool {
		res, err := w.db.Exec(ctx, text, params...)
		got := outcome(res, err)
		switch {
		case got == want:
			w.same++
			if len(params) > 0 {
				w.parametrised++
			}
		case dberr.CodeOf(err) == dberr.ResourceExhausted && w.memory > 0:
			w.exhausted++
		case dberr.CodeOf(err) == dberr.DivisionByZero && w.opts.NoPushdown:
			// What folding finds to be NULL is not computed.
		case dberr.CodeOf(err) == dberr.Internal, err == nil && !strings.Contains(want, "\n") && want != "":
			t.Errorf("%s, %s: %v\n%s\n got: %s\nwant: %s", where, w.name, err, text, got, want)
		case len(params) > 0 && err != nil:
			// Parameters stand where nothing tells their types, or nowhere.
			if code := dberr.CodeOf(err); code != dberr.FunctionNotFound && code != dberr.InvalidSQL {
				t.Errorf("%s, %s: %v\n%s", where, w.name, err, text)
			}
			return false
		case len(params) > 0 && !typed && strings.Contains(strings.ToLower(text), "values"):
			// Nothing tells the types of parameters in VALUES: they are texts.
			return false
		default:
			t.Errorf("%s, %s:\n%s\n got: %s\nwant: %s", where, w.name, text, got, want)
		}
		return true
	}
	w.db.Env.MemoryLimit = 0
	if r.Kind != "query" || r.Changes() {
		run(text, nil)
		return
	}
	w.db.Env.MemoryLimit = w.memory
	run(text, nil)
	if !w.warm {
		return
	}
	run(text, nil)
	for _, typed = range []bool{false, true} {
		if with, params := parametrise(text, typed); len(params) == 0 || run(with, params) {
			if len(params) > 0 {
				run(with, params)
			}
			return
		}
	}
}

// TestWays holds that every query of the suite gives the same rows with
// literals and with parameters, with the plan cache cold, warm and without
// one, on one core and on several, with and without optimization; and that one
// that runs out of memory says so, and the next goes on.
func TestWays(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 12, 13, 14, 15, 0, time.UTC)
	total := make([]wayDB, len(ways))
	hits := int64(0)
	for name, script := range suite(t) {
		base := NewDB(sql.Options{})
		base.Env.Now = now
		others := make([]*wayDB, len(ways))
		for i, w := range ways {
			others[i] = &wayDB{way: w, db: NewDB(w.opts)}
			others[i].db.Env.Now = now
			if w.cores > 0 {
				others[i].db.Env.Parallelism, others[i].db.MinRows = w.cores, 1<<20
			}
		}
		for i := range script.Records {
			r := &script.Records[i]
			text := temporary.ReplaceAllString(r.SQL, "CREATE $1")
			lower := strings.ToLower(text)
			if r.Class() != Covered || slices.ContainsFunc(volatileWords, func(w string) bool { return strings.Contains(lower, w) }) {
				continue
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			want := outcome(base.Exec(ctx, text))
			cancel()
			if r.Kind == "query" && !r.Changes() && time.Since(start) > slow {
				continue
			}
			for _, w := range others {
				w.run(t, name+":"+strconv.Itoa(r.Line), r, text, want)
			}
		}
		for i, w := range others {
			total[i].parametrised += w.parametrised
			total[i].exhausted += w.exhausted
			total[i].same += w.same
			if w.warm {
				for _, p := range w.db.Compiler.CachedPlans() {
					hits += p.Hits
				}
			}
		}
	}
	for i, w := range ways {
		t.Logf("%s: %d equal, %d with parameters, %d out of memory", w.name, total[i].same, total[i].parametrised, total[i].exhausted)
		switch {
		case total[i].same < 100:
			t.Errorf("%s: only %d results were compared", w.name, total[i].same)
		case w.warm && total[i].parametrised < 50:
			t.Errorf("only %d queries ran with parameters", total[i].parametrised)
		case w.memory > 0 && total[i].exhausted < 10:
			t.Errorf("only %d queries ran out of memory", total[i].exhausted)
		}
	}
	if hits < 100 {
		t.Errorf("only %d queries came from the plan cache", hits)
	}
}
