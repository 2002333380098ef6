package stress

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Index is the page on which the reports of several tests stand together.
type Index struct{ rows strings.Builder }

// Add takes a report in, which is written under the name.
func (x *Index) Add(name string, r *Report) {
	link := fmt.Sprintf("[%s](%s.md)", r.Title, name)
	missed := false
	for _, b := range r.Bars {
		fmt.Fprintf(&x.rows, "| %s | %s |\n", link, b.row())
		missed = missed || b.Judged && !b.Met()
	}
	switch {
	case r.Failed && !missed:
		fmt.Fprintf(&x.rows, "| %s | failed, as its log tells | | | **no** |\n", link)
	case len(r.Bars) == 0:
		fmt.Fprintf(&x.rows, "| %s | %s | | | |\n", link, strings.Join(r.Facts, "; "))
	}
}

// Write writes the page into a folder, as README.md.
func (x *Index) Write(dir string) error {
	text := "# Stress tests\n\n| test | figure | measured | bar | met |\n|---|---|---:|---:|---|\n" + x.rows.String()
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(text), 0o644)
}
