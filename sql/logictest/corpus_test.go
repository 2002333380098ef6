package logictest

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
)

var (
	rewrite = flag.Bool("rewrite", false, "write the results that come into the scripts and the list of failures")
	only    = flag.String("script", "", "run only the scripts of the corpus whose name holds this, and show the failures")
)

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

func readFailures(t *testing.T) map[string]bool {
	text, err := os.ReadFile(failuresFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out[l] = true
		}
	}
	return out
}

// TestCorpus runs the scripts of other projects. A record that is not listed
// as failing must pass.
func TestCorpus(t *testing.T) {
	scripts := readManifest(t)
	known := readFailures(t)
	var failed []string
	total, absent := 0, 0
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
		db := NewDB(sql.Options{})
		for i := range script.Records {
			r := &script.Records[i]
			if s.skip[r.Line] {
				continue
			}
			total++
			err := script.Run(db, r)
			if err == nil {
				continue
			}
			id := fmt.Sprintf("%s:%d", s.name, r.Line)
			failed = append(failed, id)
			if *only != "" || !known[id] && !*rewrite {
				t.Errorf("%s: %v\n%s", id, err, r.SQL)
			}
		}
	}
	if total == 0 {
		t.Skip("no script of the corpus is there")
	}
	t.Logf("%d of %d records pass (%.1f %%), %d scripts are not there", total-len(failed), total, 100*float64(total-len(failed))/float64(total), absent)
	if *rewrite && *only == "" {
		slices.Sort(failed)
		text := "# Records of the corpus that fail; go test ./logictest -run Corpus -rewrite writes this file.\n" + strings.Join(slices.Compact(failed), "\n") + "\n"
		if err := os.WriteFile(failuresFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
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
			if *rewrite {
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
