package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"
	"golang.org/x/term"

	"github.com/kalamdb/kalamdb/cli/complete"
	"github.com/kalamdb/kalamdb/cli/history"
	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// promptText is the prompt behind the dot.
const promptText = "kalam> "

// Interactive greets and reads statements from the terminal until \quit or
// Ctrl+D.
func (a *App) Interactive(ctx context.Context) error {
	a.interactive = true
	a.input = ttyInput{a.o.In}
	size := 5000
	if n := a.o.Config.History.Size; n != nil {
		size = *n
	}
	var err error
	a.hist, err = history.Open(filepath.Join(a.o.Dir, "history"), size)
	if err != nil {
		a.notice("Warning: %v; the history lasts for this session only.", err)
	}

	nctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		a.keepNames(nctx, func() *link.Client {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.client
		})
	})
	defer wg.Wait()
	defer cancel()
	a.refreshNames()

	version := ""
	if h, err := a.client.Health(ctx); err == nil {
		version = " " + h.Version
	}
	fmt.Fprintf(a.out, "kalam-cli %s · KalamDB%s\n%s\nType \\help for help, \\quit to leave.\n\n", a.o.Version, version, a.connectedLine())
	a.out.Flush()

	rl := a.shell()
	for {
		a.reserve(0)
		line, err := rl.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(a.out, `\quit`)
			a.out.Flush()
			return nil
		case err != nil:
			return fmt.Errorf("read the terminal: %w", err)
		}
		if err := a.typed(ctx, line); err != nil {
			a.out.Flush()
			if errors.Is(err, errQuit) {
				return nil
			}
			return err
		}
	}
}

// typed runs what was entered at the prompt.
func (a *App) typed(ctx context.Context, line string) error {
	if leaves(line) {
		return errQuit
	}
	if command := wordCommand(line); command != "" {
		line = command
	}
	stmts, rest, at := Split(line, 1)
	if strings.TrimSpace(rest) != "" {
		stmts = append(stmts, Statement{Text: strings.TrimSpace(rest), Line: at})
	}
	for _, s := range stmts {
		err := a.do(ctx, s, "")
		if ferr := a.out.Flush(); ferr != nil {
			return fmt.Errorf("write the output: %w", ferr)
		}
		if errors.Is(err, errReported) {
			return nil // the statements behind it were typed in the belief that it works
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shell sets the line editor up.
func (a *App) shell() *readline.Shell {
	rl := readline.NewShell(inputrc.WithApp("kalam"))
	// The editor would ask the terminal for its cursor at each key, and drops
	// what is typed while the answer is on its way. Without asking it must have
	// free rows below its line, which reserve sees to.
	rl.Config.Set("cursor-position-probe", false)
	// The editor's own command for Ctrl+C looks at the key behind it, and eats it.
	a.search = search{rl: rl, hist: a.hist, width: a.width, reserve: a.reserve}
	bound, err := a.search.bind(func() {
		rl.Display.ResetHelpers()
		rl.Display.AcceptLine()
		rl.History.Accept(false, false, readline.ErrInterrupt)
	})
	if err != nil {
		a.notice("Warning: the keys of the search cannot be bound: %v", err)
	}
	rl.Keymap.Register(bound)
	for keymap := range rl.Config.Binds {
		if err := rl.Config.Bind(keymap, inputrc.Unescape(`\C-C`), "kalam-give-up", false); err != nil {
			a.notice("Warning: Ctrl+C cannot be bound: %v", err)
		}
	}
	rl.PasteTransformer = func(text string) string {
		a.reserve(strings.Count(text, "\n"))
		return text
	}
	rl.Config.Set("enable-bracketed-paste", true)
	rl.Config.Set("bell-style", "none")
	// Letters beyond ASCII are letters, not keys pressed with Meta.
	rl.Config.Set("input-meta", true)
	rl.Config.Set("output-meta", true)
	rl.Config.Set("convert-meta", false)
	rl.Config.Set("completion-ignore-case", true)
	// What is selected is inverted, which is seen on every background.
	rl.Config.Set("completion-selection-style", "\x1b[0;7m")
	// TAB (see search.bind) inserts what all candidates share and lists them;
	// again TAB walks through the list.
	rl.Config.Set("menu-complete-display-prefix", true)
	rl.Prompt.Primary(a.prompt)
	rl.AcceptMultiline = func(line []rune) bool {
		done := isComplete(string(line))
		if !done {
			a.reserve(1)
		}
		return done
	}
	rl.SyntaxHighlighter = func(line []rune) string {
		if a.search.on {
			return string(line)
		}
		return continued(highlight(line, a.colors()), a.promptWidth(), a.colors())
	}
	rl.History.Delete()
	rl.History.Add("history", a.hist)
	c := &complete.Completer{
		Names: a.names, Commands: completions(), Arguments: arguments, Files: files,
		Namespace: func() string {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.con.Namespace
		},
	}
	rl.Completer = func(line []rune, cursor int) readline.Completions {
		width, height, err := term.GetSize(int(a.o.Out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		return candidates(c, line, cursor, width, height, heading+a.colors().Strong.On())
	}
	return rl
}

// prompt is what stands before what is typed.
func (a *App) prompt() string {
	if a.search.on {
		return searchPrompt
	}
	if a.colorOut {
		return a.status.draw(a.theme) + promptText
	}
	return promptText
}

// promptWidth is how many columns the prompt takes.
func (a *App) promptWidth() int {
	if a.colorOut {
		return 2 + len(promptText) // the dot and a space
	}
	return len(promptText)
}

// continued puts "->" before the second and every further line, in the columns
// under the prompt, which the editor leaves free. The editor's own marks would
// stand in the wrong rows where a line is longer than the screen is wide.
func continued(line string, width int, p theme.Palette) string {
	return strings.ReplaceAll(line, "\n", "\n\r"+strings.Repeat(" ", width-3)+p.Quiet.Paint("->")+" ")
}

// heading undoes the yellow that the editor gives the headings of its lists.
const heading = "\x1b[0m"

// reserve makes free rows below the cursor, by scrolling when there are none:
// for further lines, as many as are about to come, and for the list of
// completions.
func (a *App) reserve(lines int) {
	_, height, err := term.GetSize(int(a.o.Out.Fd()))
	if err != nil {
		return
	}
	if n := min(lines+5, height-2); n > 0 {
		fmt.Fprintf(a.out, "%s\x1b[%dA", strings.Repeat("\n", n), n)
		a.out.Flush()
	}
}
