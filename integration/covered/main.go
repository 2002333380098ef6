// Command covered prints the coverage of each of the product's packages, and of
// all together, from a profile that `go tool covdata textfmt` wrote:
//
//	covered profile.txt
//
// It fails when all together are below the goal.
// Packages that only tests use are left out.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: covered profile.txt")
		os.Exit(2)
	}
	f, err := os.Open(os.Args[1])
	if err == nil {
		err = report(os.Stdout, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "covered:", err)
		os.Exit(1)
	}
}

// goal is the share of statements that tests have to reach (SC-048).
const goal = 0.9

type share struct{ reached, all int }

func (s share) of() float64 { return float64(s.reached) / float64(max(s.all, 1)) }

// report sums up a profile, whose lines are
//
//	import/path/file.go:line.column,line.column statements count
//
// and which may have a block more than once.
func report(w io.Writer, profile io.Reader) error {
	type block struct {
		statements int
		reached    bool
	}
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "mode:") {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return fmt.Errorf("line %d is no line of a profile: %q", n, lines.Text())
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		b := blocks[fields[0]]
		blocks[fields[0]] = block{statements, b.reached || fields[2] != "0"}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	packages := map[string]share{}
	var total share
	for place, b := range blocks {
		file, _, _ := strings.Cut(place, ":")
		pkg := strings.TrimPrefix(path.Dir(file), "github.com/kalamdb/kalamdb/")
		if testsOnly(pkg) {
			continue
		}
		s := packages[pkg]
		s.all += b.statements
		total.all += b.statements
		if b.reached {
			s.reached += b.statements
			total.reached += b.statements
		}
		packages[pkg] = s
	}
	if total.all == 0 {
		return fmt.Errorf("the profile has no statements of the product")
	}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		s := packages[pkg]
		note := ""
		if s.of() < goal {
			note = fmt.Sprintf("   below; %d statements unreached", s.all-s.reached)
		}
		fmt.Fprintf(w, "%-32s %5.1f %%%s\n", pkg, 100*s.of(), note)
	}
	fmt.Fprintf(w, "%-32s %5.1f %% of %d statements; the goal is %.0f %%\n", "all", 100*total.of(), total.all, 100*goal)
	if total.of() < goal {
		return errors.New("the coverage is below the goal")
	}
	return nil
}

// testsOnly tells whether a package is a helper of tests.
func testsOnly(pkg string) bool {
	name := path.Base(pkg)
	return strings.HasSuffix(name, "test") || name == "tpch" || pkg == "link/js/wasm" ||
		strings.HasPrefix(pkg, "integration") || strings.HasPrefix(pkg, "docs/")
}
