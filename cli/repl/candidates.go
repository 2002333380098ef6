package repl

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"

	"github.com/kalamdb/kalamdb/cli/complete"
	"github.com/kalamdb/kalamdb/cli/render"
)

// maxFiles bounds how many files TAB offers.
const maxFiles = 200

// files gives the files and folders that begin like the word.
func files(word string) []string {
	dir, base := filepath.Split(word)
	read := dir
	if read == "" {
		read = "."
	}
	entries, err := os.ReadDir(read)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || base == "" && name[0] == '.' || strings.ContainsAny(name, " '\"") {
			continue
		}
		if e.IsDir() {
			name += string(filepath.Separator)
		}
		if out = append(out, dir+name); len(out) == maxFiles {
			break
		}
	}
	return out
}

// candidates puts the completions into the editor's form, no more of them than
// fit below a line on a screen of that size: the editor would let more push the
// line off the screen.
func candidates(c *complete.Completer, line []rune, cursor, width, height int, heading string) readline.Completions {
	word, list := c.Complete(line, cursor)
	values := make([]readline.Completion, 0, len(list))
	for _, cand := range list {
		// Keywords are completed in the case that they were begun in.
		text := cand.Text
		if (cand.Kind == complete.Keyword || cand.Kind == complete.Function) && word != "" && word == strings.ToLower(word) {
			text = strings.ToLower(text)
		}
		value := text
		if cand.Kind == complete.Keyword {
			value += " "
		}
		values = append(values, readline.Completion{Value: value, Display: text, Description: cand.Help, Tag: heading + string(cand.Kind)})
	}
	used := 2 // the line's first row, and that of the note
	for _, l := range strings.Split(string(line), "\n") {
		used += 1 + (len(promptText)+2+render.Width(l))/max(width, 1)
	}
	values, left := fit(values, width, height-used)
	out := readline.CompleteRaw(values)
	if left > 0 {
		out = out.Usage("%s more: type on to see them", render.Thousands(int64(left)))
	}
	out.PREFIX = word
	return out.NoSpace('(', '.', filepath.Separator).NoSort()
}

// fit leaves out first what is said of the candidates and then the last of them,
// until the list takes no more than so many rows; left is how many it lacks.
// Without a width and rows nothing is left out.
func fit(values []readline.Completion, width, rows int) (fitting []readline.Completion, left int) {
	if width <= 0 || listRows(values, width) <= rows {
		return values, 0
	}
	for i := range values {
		values[i].Description = ""
	}
	n := len(values)
	for n > 1 && listRows(values[:n], width) > max(rows, 2) {
		n--
	}
	return values[:n], len(values) - n
}

// listRows is how many rows the editor needs for the list: each kind has a
// heading and as many columns as the width holds, but one where something is
// said of the candidates.
func listRows(values []readline.Completion, width int) int {
	total := 0
	for i := 0; i < len(values); {
		tag, begin, widest, said := values[i].Tag, i, 0, false
		for ; i < len(values) && values[i].Tag == tag; i++ {
			widest = max(widest, render.Width(values[i].Display))
			said = said || values[i].Description != ""
		}
		columns := max(width/(widest+2), 1)
		if said {
			columns = 1
		}
		total += 1 + (i-begin+columns-1)/columns
	}
	return total
}
