package oracle

import (
	"fmt"
	"sort"
	"strings"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

// tally says what a run was worth: how many statements there were, how many of
// them both sides refused or answered without a row, and how many differences
// were accepted, by rule.
type tally struct {
	statements int
	// refused by both sides; empty: both gave no row and changed none.
	refused, empty int
	// states counts the refused by SQLSTATE.
	states map[string]int
	// uncompared counts what only the other side refused, by its message,
	// where that is no difference.
	uncompared map[string]int
	refusals   []string
	accepted   map[string]int
	// examples are scripts of the first few differences under each rule.
	examples map[string][]string
}

// mostExamples is how many accepted differences of one rule are kept to look
// at.
const mostExamples = 3

func (t *tally) count(ours, theirs engine.Result) {
	t.statements++
	switch {
	case ours.Err != nil && theirs.Err != nil:
		t.refused++
		t.states[theirs.Err.State]++
	case ours.Err == nil && theirs.Err == nil && len(ours.Rows)+len(theirs.Rows) == 0 && ours.Affected <= 0:
		t.empty++
	}
}

// refuse counts a statement that the other side does not do.
func (t *tally) refuse(err *engine.Error, sql string) {
	message, _, _ := strings.Cut(err.Message, "\n")
	message = numberText.ReplaceAllString(quotedText.ReplaceAllString(message, `""`), "0")
	if t.uncompared[message]++; t.uncompared[message] <= 1 {
		t.refusals = append(t.refusals, "-- "+message+"\n"+sql+";\n")
	}
}

func (t *tally) accept(rule, script string) {
	t.accepted[rule]++
	if len(t.examples[rule]) < mostExamples {
		t.examples[rule] = append(t.examples[rule], script)
	}
}

// byCount are the names, the most frequent first, and the sum.
func byCount(counts map[string]int) (names []string, total int) {
	for name, n := range counts {
		names = append(names, name)
		total += n
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := counts[names[i]], counts[names[j]]
		return a > b || a == b && names[i] < names[j]
	})
	return names, total
}

// String is the tally as the test's log shows it.
func (t *tally) String() string {
	names, total := byCount(t.accepted)
	share := func(n int) float64 { return 100 * float64(n) / float64(max(t.statements, 1)) }
	var b strings.Builder
	fmt.Fprintf(&b, "%d statements; refused by both sides %d (%.1f %%), no rows on either %d (%.1f %%), accepted differences %d (%.2f %%)",
		t.statements, t.refused, share(t.refused), t.empty, share(t.empty), total, share(total))
	states, _ := byCount(t.states)
	b.WriteString("\n  refused with")
	for _, state := range states {
		fmt.Fprintf(&b, " %s: %d", state, t.states[state])
	}
	refusals, unable := byCount(t.uncompared)
	if unable > 0 {
		fmt.Fprintf(&b, "\n  not compared %d (%.1f %%), as only the other refused them", unable, share(unable))
	}
	for _, message := range refusals {
		fmt.Fprintf(&b, "\n  not compared %5d  %s", t.uncompared[message], message)
	}
	for _, name := range names {
		fmt.Fprintf(&b, "\n  accepted %5d  %s", t.accepted[name], name)
	}
	return b.String()
}

// scripts are the examples of the accepted differences, by rule.
func (t *tally) scripts() string {
	names, _ := byCount(t.accepted)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "## accepted %d× %s\n```sql\n%s```\n", t.accepted[name], name, strings.Join(t.examples[name], "\n"))
	}
	if len(t.refusals) > 0 {
		fmt.Fprintf(&b, "## not compared\n```sql\n%s```\n", strings.Join(t.refusals, "\n"))
	}
	return b.String()
}
