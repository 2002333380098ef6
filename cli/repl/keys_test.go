package repl

import (
	"strings"
	"testing"

	"github.com/reeflective/readline"

	"github.com/kalamdb/kalamdb/cli/complete"
)

func TestKeysOfALine(t *testing.T) {
	for _, tc := range []struct {
		name, keys, lines, rest string
		eof                     bool
	}{
		{"a line", "\\pause\r", `\pause`, "", false},
		{"two and a half", "a\nb\nc", "a|b", "c", false},
		{"backspace", "\\pax\x7fuse\b\n", `\paus`, "", false},
		{"backspace on nothing", "\x7f\x7fa", "", "a", false},
		{"the line dropped", "abc\x15d", "", "d", false},
		{"a word dropped", "one two  \x17x", "", "one x", false},
		{"the only word dropped", "one\x17", "", "", false},
		{"arrow keys", "a\x1b[Db\x1bOAc\x1b[1;5Cd\x1b[3~e", "", "abcde", false},
		{"Alt and a letter", "a\x1bxb", "", "ab", false},
		{"other control keys", "a\x00\x01\tb", "", "ab", false},
		{"letters of several bytes", "日é😀\x7f", "", "日é", false},
		{"bytes that are no letters", "a\xff\xfe\xfd\xfcb", "", "ab", false},
		{"Ctrl+D on an empty line", "a\n\x04", "a", "", true},
		{"Ctrl+D on another", "a\x04", "", "a", false},
		{"too long", strings.Repeat("x", 2*maxTyped), "", strings.Repeat("x", maxTyped), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all, bytewise := &keyLine{}, &keyLine{}
			lines, eof := all.feed(tc.keys)
			if got := strings.Join(lines, "|"); got != tc.lines || string(all.text) != tc.rest || eof != tc.eof {
				t.Errorf("gives %q and %q, %v", got, string(all.text), eof)
			}
			// However the keys are cut, the line is the same.
			var again []string
			for i := range len(tc.keys) {
				ls, _ := bytewise.feed(tc.keys[i : i+1])
				again = append(again, ls...)
			}
			if strings.Join(again, "|") != tc.lines || string(bytewise.text) != tc.rest {
				t.Errorf("byte by byte it gives %q and %q", again, string(bytewise.text))
			}
		})
	}
	k := &keyLine{}
	k.feed("the end of a long line 日本")
	if got := k.show(8); got != "ine 日本" {
		t.Errorf("8 columns show %q", got)
	}
	if got := (&keyLine{text: []rune("a\u202eb")}).show(20); got != `a\u202eb` {
		t.Errorf("what turns the direction is shown as %q", got)
	}
}

func completerOf(a *App) *complete.Completer {
	return &complete.Completer{Names: a.names, Commands: completions(), Arguments: arguments, Files: files}
}

// TestListFitsTheScreen: the list never has more rows than are free.
func TestListFitsTheScreen(t *testing.T) {
	var values []readline.Completion
	add := func(tag, text, help string, n int) {
		for range n {
			values = append(values, readline.Completion{Display: text, Tag: tag, Description: help})
		}
	}
	add("commands", `\command`, "what it does", 30)
	if got, left := fit(append([]readline.Completion(nil), values...), 80, 40); len(got) != 30 || left != 0 || got[0].Description == "" {
		t.Errorf("with room for all: %d, %d left", len(got), left)
	}
	got, left := fit(append([]readline.Completion(nil), values...), 80, 10)
	if len(got) != 30 || left != 0 || got[0].Description != "" || listRows(got, 80) != 1+4 {
		t.Errorf("without the help: %d, %d left, %d rows", len(got), left, listRows(got, 80))
	}
	add("keywords", "KEYWORD", "", 500)
	for _, width := range []int{1, 20, 80, 200} {
		for rows := 3; rows < 60; rows++ {
			got, left := fit(append([]readline.Completion(nil), values...), width, rows)
			if len(got)+left != len(values) || listRows(got, width) > rows {
				t.Fatalf("%d columns and %d rows: %d shown, %d left, %d rows", width, rows, len(got), left, listRows(got, width))
			}
		}
	}
	if got, left := fit(values, 0, 0); len(got) != len(values) || left != 0 {
		t.Error("something was left out without a screen")
	}
}

func TestContinuedLines(t *testing.T) {
	d := newDesk(t, nil)
	if got, want := continued("a\nb\n", d.app.promptWidth(), d.app.colors()), "a\n\r    -> b\n\r    -> "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if d.app.prompt() != promptText {
		t.Errorf("the prompt without colours is %q", d.app.prompt())
	}
	d.app.colorOut = true
	d.app.status.set(offline)
	if got := d.app.prompt(); got != d.app.theme.Bad.Paint("●")+" "+promptText || d.app.promptWidth() != len(promptText)+2 {
		t.Errorf("the prompt with colours is %q", got)
	}
}

func TestCommandsSayWhatTheyDo(t *testing.T) {
	for _, c := range Commands() {
		if !strings.HasPrefix(c.Usage, `\`) || c.Help == "" {
			t.Errorf("%+v", c)
		}
	}
	for _, cmd := range commands {
		for _, a := range arguments(cmd.name) {
			if a == "" {
				t.Errorf("%s offers nothing", cmd.name)
			}
		}
	}
}
