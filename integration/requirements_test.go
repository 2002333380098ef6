package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
)

// requirement is one line of docs/architecture/requirements.md.
type requirement struct {
	// id is a number of the specification, or an edge-case question.
	id, shownBy string
}

// notShown begins the last column where nothing shows a requirement; the
// reason follows.
const notShown = "not shown: "

// byCommand begins it where a target of the Makefile shows the requirement,
// which no test can.
var byCommand = regexp.MustCompile("^by `make ([a-z-]+)`: .{10}")

var (
	testLink   = regexp.MustCompile(`\[((?:Test|Benchmark)\w+)\]\(([^)]+)\)`)
	specNumber = regexp.MustCompile(`^\s*(?:- )?\*{0,2}((?:FR|SC)(?:-CLI|-DOC)?-\d+)\b`)
	edgeCase   = regexp.MustCompile(`^\s*- ([^*].*\?)\s*$`)
)

// readRequirements reads the page: its numbered lines, and its questions.
func readRequirements(t *testing.T) (numbered, questions []requirement) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Root(), "docs", "architecture", "requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) == 3 && specNumber.MatchString(cells[0]):
			numbered = append(numbered, requirement{cells[0], cells[2]})
		case len(cells) == 2 && strings.HasSuffix(cells[0], "?"):
			questions = append(questions, requirement{cells[0], cells[1]})
		}
	}
	return numbered, questions
}

// checkShown says what is wrong with a line's last column: it names tests that
// are where it says, or the reason why there is none.
func checkShown(r requirement) string {
	if reason, ok := strings.CutPrefix(r.shownBy, notShown); ok {
		if len(reason) < 10 {
			return "no reason why it is not shown"
		}
		return ""
	}
	if m := byCommand.FindStringSubmatch(r.shownBy); m != nil {
		text, err := os.ReadFile(filepath.Join(harness.Root(), "Makefile"))
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(text), "\n"+m[1]+": ##") {
			return "the Makefile has no target " + m[1]
		}
		return ""
	}
	links := testLink.FindAllStringSubmatch(r.shownBy, -1)
	if len(links) == 0 || strings.Trim(testLink.ReplaceAllString(r.shownBy, ""), ", ") != "" {
		return "the last column is neither a list of tests nor a reason: " + r.shownBy
	}
	for _, l := range links {
		text, err := os.ReadFile(filepath.Join(harness.Root(), "docs", "architecture", filepath.FromSlash(l[2])))
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(text), "\nfunc "+l[1]+"(") {
			return l[2] + " has no " + l[1]
		}
	}
	return ""
}

// TestRequirementsAreWhole holds docs/architecture/requirements.md together
// with the sources and, where it lies beside the repository, with the
// specification (FR-151, SC-047): every number and every edge-case question
// stands there once, with tests that exist.
func TestRequirementsAreWhole(t *testing.T) {
	t.Parallel()
	numbered, questions := readRequirements(t)
	seen := map[string]bool{}
	for _, r := range slices.Concat(numbered, questions) {
		if seen[r.id] {
			t.Errorf("%s stands there twice", r.id)
		}
		seen[r.id] = true
		if wrong := checkShown(r); wrong != "" {
			t.Errorf("%s: %s", r.id, wrong)
		}
	}
	if len(numbered) != 322 || len(questions) != 63 {
		t.Errorf("the page has %d numbers and %d questions", len(numbered), len(questions))
	}
	left := slices.DeleteFunc(slices.Concat(numbered, questions), func(r requirement) bool { return !strings.HasPrefix(r.shownBy, notShown) })
	for _, r := range left {
		t.Logf("%s is %s", r.id, r.shownBy)
	}

	text, err := os.ReadFile(filepath.Join(harness.Root(), "..", "shared", "spec", "feature-004.md"))
	if err != nil {
		t.Log("the specification is not here")
		return
	}
	inEdges := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			inEdges = strings.HasPrefix(line, "### Edge Cases")
		}
		if m := specNumber.FindStringSubmatch(line); m != nil && !seen[m[1]] {
			t.Errorf("%s of the specification is missing", m[1])
		}
		if m := edgeCase.FindStringSubmatch(line); m != nil && inEdges && !seen[m[1]] {
			t.Errorf("the question is missing: %s", m[1])
		}
	}
}

// TestRequirementsCheckSees shows the check what it must find.
func TestRequirementsCheckSees(t *testing.T) {
	t.Parallel()
	for shown, ok := range map[string]bool{
		"[TestRequirementsCheckSees](../../integration/requirements_test.go)":                                                       true,
		"[TestRequirementsCheckSees](../../integration/requirements_test.go), [TestLinksLead](../../integration/documents_test.go)": true,
		"not shown: a matter of review":            true,
		"not shown: no":                            false,
		"by `make test`: it ends with its time":    true,
		"by `make nothing`: it ends with its time": false,
		"by `make test`":                           false,
		"":                                         false,
		"it is obvious":                            false,
		"[TestNothing](../../integration/requirements_test.go)":      false,
		"[TestLinksLead](../../integration/requirements_test.go)":    false,
		"[TestLinksLead](../../integration/nothing_test.go)":         false,
		"[TestLinksLead](../../integration/documents_test.go) or so": false,
	} {
		if wrong := checkShown(requirement{"FR-1", shown}); (wrong == "") != ok {
			t.Errorf("%q: %q", shown, wrong)
		}
	}
}
