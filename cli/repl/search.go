package repl

import (
	"strings"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"

	"github.com/kalamdb/kalamdb/cli/history"
	"github.com/kalamdb/kalamdb/cli/render"
)

// searchPrompt stands before what is looked for.
const searchPrompt = "search> "

// search is Ctrl+R: what is typed is looked for in the history, and the newest
// entry that holds it stands below. Ctrl+R again finds an older one, Enter runs
// it, TAB takes it over to be changed, Ctrl+C goes back to the line that was
// there. The editor's own search shows a list that pushes the line off the
// screen.
type search struct {
	rl   *readline.Shell
	hist *history.History
	// width gives the columns of the screen; 0 when they are not known.
	width func() int
	// reserve makes free rows for further lines.
	reserve func(lines int)

	on    bool
	saved []rune // the line that was there
	text  string // what is looked for
	older int    // how many matches are newer than the one shown
	match string
}

// bind puts the search on its keys; enter and giveUp are what those keys do
// otherwise. It gives what they do now.
func (s *search) bind(giveUp func()) (map[string]func(), error) {
	enter := s.rl.Keymap.Commands()["accept-line"]
	complete := s.rl.Keymap.Commands()["menu-complete"]
	s.rl.Hint.SetProvider(func(line []rune, _ int) []rune { return []rune(s.hint(string(line))) })
	for _, keymap := range []string{"emacs", "vi-insert"} {
		for key, command := range map[string]string{`\C-R`: "kalam-search", `\C-M`: "kalam-enter", `\C-J`: "kalam-enter", `\C-I`: "kalam-tab", `\C-G`: "kalam-give-up"} {
			if err := s.rl.Config.Bind(keymap, inputrc.Unescape(key), command, false); err != nil {
				return nil, err
			}
		}
	}
	return map[string]func(){
		"kalam-search": s.next,
		"kalam-enter": func() {
			if s.take() {
				s.rl.Display.Refresh() // what is run stands at the prompt
			}
			enter()
		},
		"kalam-tab": func() {
			if !s.take() {
				complete()
			}
		},
		"kalam-give-up": func() {
			if s.on {
				s.end(string(s.saved))
				return
			}
			giveUp()
		},
	}, nil
}

// next begins the search, or goes on to an older match.
func (s *search) next() {
	if s.on {
		if _, ok := s.find(s.text, s.older+1); ok {
			s.older++
		}
		return
	}
	s.on, s.saved, s.text, s.older = true, append([]rune(nil), *s.rl.Line()...), "", 0
	s.rl.Line().Set()
	s.rl.Cursor().Set(0)
}

// take puts the match into the line, and tells whether there was a search.
func (s *search) take() bool {
	if !s.on {
		return false
	}
	s.hint(string(*s.rl.Line())) // what was typed may not have been drawn yet
	s.reserve(strings.Count(s.match, "\n"))
	s.end(s.match)
	return true
}

// end goes back to the prompt, with the text in its line.
func (s *search) end(text string) {
	s.on, s.saved, s.match = false, nil, ""
	s.rl.Line().Set([]rune(text)...)
	s.rl.Cursor().Set(s.rl.Line().Len())
	s.rl.Hint.SetProvided("")
}

// hint finds what is typed, and is what stands below it.
func (s *search) hint(typed string) string {
	if !s.on {
		return ""
	}
	if typed != s.text {
		s.text, s.older = typed, 0
	}
	match, ok := s.find(s.text, s.older)
	if s.match = match; !ok {
		return "nothing in the history holds that"
	}
	return around(match, s.text, s.width()-1)
}

// around shows an entry in one row: all of it, or what stands around the text
// that was found.
func around(entry, text string, columns int) string {
	entry = render.Safe(strings.Join(strings.Fields(entry), " "))
	if columns <= 0 || render.Width(entry) <= columns {
		return entry
	}
	runes := []rune(entry)
	before, _, found := strings.Cut(strings.ToLower(entry), strings.ToLower(text))
	if at := len([]rune(before)); found && at > columns/2 && at < len(runes) {
		entry = "…" + string(runes[at-columns/4:])
	}
	return strings.TrimRight(render.Fit(entry, columns, false), " ")
}

// find gives the entry that holds the text, in any case, and has so many newer
// ones that hold it too.
func (s *search) find(text string, newer int) (string, bool) {
	text = strings.ToLower(text)
	lines := s.hist.Lines()
	seen := map[string]bool{}
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.Contains(strings.ToLower(lines[i]), text) || seen[lines[i]] {
			continue
		}
		if newer == 0 {
			return lines[i], true
		}
		newer--
		seen[lines[i]] = true
	}
	return "", false
}
