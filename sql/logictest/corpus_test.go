package logictest

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/sql"
)

var only = flag.String("script", "", "run only the scripts of the corpus whose name holds this, and show the failures")

// corpusDir is where scripts of other projects lie, when they are there.
const corpusDir = "../../../shared/slt"

// failuresFile lists the corpus's records that are known to fail.
const failuresFile = "testdata/corpus_failures.txt"

type corpusScript struct {
	name   string
	labels []string
	skip   map[int]bool
}

func readManifest(t *testing.T) []corpusScript {
	f, err := os.Open(filepath.Join(corpusDir, "manifest.txt"))
	if err != nil {
		t.Skip("the corpus is not there")
	}
	defer func() { _ = f.Close() }()
	var out []corpusScript
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) == 0 {
			continue
		}
		s := corpusScript{name: fields[0], skip: map[int]bool{}}
		for _, fl := range fields[1:] {
			if v, ok := strings.CutPrefix(fl, "labels="); ok {
				s.labels = strings.Split(v, ",")
			}
			if v, ok := strings.CutPrefix(fl, "x="); ok {
				for n := range strings.SplitSeq(v, ",") {
					line, err := strconv.Atoi(n)
					if err != nil {
						t.Fatal(err)
					}
					s.skip[line] = true
				}
			}
		}
		out = append(out, s)
	}
	return out
}

// readFailures gives the reasons of the records that are known to fail.
func readFailures(t *testing.T) map[string]string {
	text, err := os.ReadFile(failuresFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := map[string]string{}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		id, reason, _ := strings.Cut(l, " ")
		out[id] = strings.TrimSpace(reason)
	}
	return out
}

func writeFailures(t *testing.T, known map[string]string) {
	var b strings.Builder
	b.WriteString("# Records of the corpus that fail, each with its reason. go test ./logictest -run Corpus -rewrite\n" +
		"# brings the list up to date and keeps the reasons; a new record's reason is to be written here.\n")
	for _, id := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&b, "%s %s\n", id, known[id])
	}
	if err := os.WriteFile(failuresFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tally counts the records of a script or of all.
type tally struct {
	// covered records count, passed are those of them that pass.
	covered, passed int
	// plans and settings show nothing about this engine, dialect records want
	// what PostgreSQL does not give.
	plans, settings, dialect int
}

func (c *tally) add(o tally) {
	c.covered += o.covered
	c.passed += o.passed
	c.plans += o.plans
	c.settings += o.settings
	c.dialect += o.dialect
}

func (c tally) share() float64 { return 100 * float64(c.passed) / float64(max(c.covered, 1)) }

// run runs a script against a new database. A record of another dialect
// counts nowhere, and runs only if it changes tables, because those after it
// expect that.
func (s *corpusScript) run(script *Script, fail func(r *Record, err error)) tally {
	var c tally
	db := NewDB(sql.Options{})
	for i := range script.Records {
		r := &script.Records[i]
		if s.skip[r.Line] {
			c.dialect++
			if r.Changes() {
				_ = script.Run(db, r)
			}
			continue
		}
		err := script.Run(db, r)
		switch r.Class() {
		case Setting:
			c.settings++
			continue
		case Plan:
			c.plans++
		default:
			c.covered++
			if err == nil {
				c.passed++
			}
		}
		if err != nil {
			fail(r, err)
		}
	}
	return c
}

// minShare is the share of the covered records that must pass, in percent.
const minShare = 97

// TestCorpus runs the scripts of other projects. A record that is not listed
// as failing must pass, one that is listed must fail and have a reason.
func TestCorpus(t *testing.T) {
	t.Parallel()
	scripts := readManifest(t)
	known := readFailures(t)
	failed, there := map[string]bool{}, map[string]bool{}
	var total tally
	absent := 0
	for _, s := range scripts {
		if !strings.Contains(s.name, *only) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(corpusDir, s.name))
		if err != nil {
			absent++
			continue
		}
		script, err := ParseScript(string(text), s.labels)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		there[s.name] = true
		c := s.run(script, func(r *Record, err error) {
			id := fmt.Sprintf("%s:%d", s.name, r.Line)
			failed[id] = true
			_, listed := known[id]
			if *only != "" || !listed && !golden.Rewriting() {
				t.Errorf("%s: %v\n%s", id, err, r.SQL)
			}
			if !listed {
				known[id] = ""
			}
		})
		t.Logf("%4d of %4d (%5.1f %%) %s", c.passed, c.covered, c.share(), s.name)
		total.add(c)
	}
	if total.covered == 0 {
		t.Skip("no script of the corpus is there")
	}
	t.Logf("%d of %d records pass (%.1f %%); beside them %d plans and %d settings of other engines, %d records of another dialect; %d scripts are not there",
		total.passed, total.covered, total.share(), total.plans, total.settings, total.dialect, absent)
	if *only != "" {
		return
	}
	if total.share() < minShare {
		t.Errorf("fewer than %d %% of the records pass", minShare)
	}
	for id, reason := range known {
		passes := there[id[:strings.LastIndexByte(id, ':')]] && !failed[id]
		switch {
		case passes && golden.Rewriting():
			delete(known, id)
		case passes:
			t.Errorf("%s passes: take it off %s", id, failuresFile)
		case reason == "" && !golden.Rewriting():
			t.Errorf("%s: no reason in %s", id, failuresFile)
		}
	}
	if golden.Rewriting() {
		writeFailures(t, known)
	}
}

// TestScripts runs our own scripts.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.slt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			script, err := ParseScript(string(text), []string{"kalamdb"})
			if err != nil {
				t.Fatal(err)
			}
			if golden.Rewriting() {
				if err := os.WriteFile(f, []byte(script.Rewrite(NewDB(sql.Options{}))), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			db := NewDB(sql.Options{})
			for i := range script.Records {
				if err := script.Run(db, &script.Records[i]); err != nil {
					t.Errorf("%s:%d: %v\n%s", f, script.Records[i].Line, err, script.Records[i].SQL)
				}
			}
		})
	}
}
