package repl

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// errDeclined is a statement that the user did not confirm.
var errDeclined = errors.New("not confirmed")

// confirm asks before statements that lose data, when somebody is there to
// answer.
func (a *App) confirm(ctx context.Context, text string) error {
	what := dangerous(text)
	if what == "" || !a.interactive || a.vars["CONFIRM"] == "off" {
		return nil
	}
	fmt.Fprintf(a.out, "%s Continue? [y/N] ", what)
	a.out.Flush()
	line, err := a.input.line(ctx)
	if err != nil {
		fmt.Fprintln(a.out)
		if ctx.Err() != nil {
			return err
		}
		return errDeclined
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	a.notice("Nothing was done.")
	return errDeclined
}

// dangerous says in words what a statement would lose; "" when nothing much.
func dangerous(text string) string {
	words := firstWords(text, 2)
	if len(words) == 0 {
		return ""
	}
	switch words[0] {
	case "DROP":
		if len(words) > 1 {
			return fmt.Sprintf("This drops the %s for good.", strings.ToLower(words[1]))
		}
	case "DELETE":
		if !hasWhere(text) {
			return "This DELETE has no WHERE: it deletes every row."
		}
	case "UPDATE":
		if !hasWhere(text) {
			return "This UPDATE has no WHERE: it changes every row."
		}
	}
	return ""
}

// hasWhere looks for WHERE outside quotes and comments.
func hasWhere(text string) bool {
	for i := 0; i < len(text); {
		if identByte(text[i]) {
			start := i
			for i < len(text) && identByte(text[i]) {
				i++
			}
			if strings.EqualFold(text[start:i], "WHERE") {
				return true
			}
			continue
		}
		next := skipToken(text, i)
		if next < 0 {
			return false
		}
		i = next
	}
	return false
}
