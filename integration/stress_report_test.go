package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/stress"
)

// stressReport is what a stress test has to say. It is written when the test
// ends, whether it has failed or not.
type stressReport struct {
	t    *testing.T
	page stress.Report
	name string // of its files
}

// stressPages are the reports so far.
var stressPages stress.Index

func newReport(t *testing.T) *stressReport {
	r := &stressReport{t: t, page: stress.Report{Title: t.Name()}, name: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_"))}
	t.Cleanup(func() {
		r.t.Log(strings.Join(r.page.Facts, "; "))
		if *stressOut == "" {
			return
		}
		r.page.Failed = t.Failed()
		if err := r.page.Write(*stressOut, r.name); err != nil {
			t.Error(err)
		}
		stressPages.Add(r.name, &r.page)
		if err := stressPages.Write(*stressOut); err != nil {
			t.Error(err)
		}
	})
	return r
}

// fact notes something that is no bar.
func (r *stressReport) fact(format string, args ...any) {
	r.page.Facts = append(r.page.Facts, fmt.Sprintf(format, args...))
}

// bar notes a figure that must be at most so much, or at least; it is judged
// in a long run only.
func (r *stressReport) bar(b stress.Bar) {
	r.t.Helper()
	b.Judged = *stressTime >= stressLong
	r.page.Bars = append(r.page.Bars, b)
	r.t.Log(b)
	if b.Judged && !b.Met() {
		r.t.Errorf("the bar is missed: %s", b)
	}
}
