// Package theme owns the colours of kalam-cli: which ones read well on a dark
// terminal, on a light one, and on one of which nobody knows what it is.
//
// What a terminal is, is taken from COLORFGBG, which many set. The terminal is
// not asked (OSC 11): its answer would come between the keys that are typed
// ahead, or, over a slow line, into the prompt. Where nothing is known the
// colours are of middle brightness, so that they read on both.
package theme

import (
	"fmt"
	"strconv"
	"strings"
)

// Color is the inside of the escape sequence that begins a colour, as "1;34".
// "" leaves the text as it is.
type Color string

// Paint gives the text in the colour.
func (c Color) Paint(s string) string {
	if c == "" || s == "" {
		return s
	}
	return c.On() + s + "\x1b[0m"
}

// On begins the colour; "" when there is none.
func (c Color) On() string {
	if c == "" {
		return ""
	}
	return "\x1b[" + string(c) + "m"
}

// Palette says which colour what has. The zero value has none at all.
type Palette struct {
	// Head is of column names, Number, Bool and Null of values.
	Head, Number, Bool, Null Color
	// Quiet is of what matters less: footers, values of before.
	Quiet Color
	// Strong is of what matters more: values of now, headings.
	Strong Color
	// Keyword, Text, Comment and Command are of what is typed.
	Keyword, Text, Comment, Command Color
	// Good, Warn and Bad are of the connection, of changes and of errors.
	Good, Warn, Bad Color
}

// Names lists the names that Choose knows.
var Names = []string{"auto", "dark", "light"}

// Check refuses a name that there is no theme of.
func Check(name string) error {
	for _, n := range Names {
		if strings.EqualFold(name, n) {
			return nil
		}
	}
	return fmt.Errorf("theme is %q; it must be auto, dark or light", name)
}

// Choose gives the palette of a name; "" is auto. getenv reads the environment.
func Choose(name string, getenv func(string) string) Palette {
	term := getenv("TERM")
	many := strings.Contains(term, "256color") || strings.Contains(term, "direct") || getenv("COLORTERM") != ""
	name = strings.ToLower(name)
	if name == "" || name == "auto" {
		name = background(getenv("COLORFGBG"))
	}
	switch {
	case name == "light" && many:
		return light
	case name == "light":
		return light16
	case name == "" && many:
		return either
	case name == "" && !console(term):
		return either16
	}
	return dark
}

// console tells whether a terminal is a machine's own screen, which is dark. A
// window may be either, also one that says no more of itself than "xterm".
func console(term string) bool {
	return term == "linux" || term == "cons25" || strings.HasPrefix(term, "vt")
}

// background reads COLORFGBG, "foreground;background" or
// "foreground;default;background"; "" when it does not tell.
func background(colors string) string {
	i := strings.LastIndexByte(colors, ';')
	if i < 0 {
		return ""
	}
	switch n, err := strconv.Atoi(colors[i+1:]); {
	case err != nil || n < 0 || n > 15:
		return ""
	case n == 7 || n >= 9:
		return "light"
	}
	return "dark"
}

var (
	// dark has the sixteen colours, which people choose for their terminal.
	dark = Palette{
		Head: "1;36", Number: "33", Bool: "35", Null: "3;90", Quiet: "90", Strong: "1",
		Keyword: "1;94", Text: "32", Comment: "90", Command: "36",
		Good: "32", Warn: "33", Bad: "91",
	}
	// light has darker ones than the sixteen offer, half of which do not read
	// on white.
	light = Palette{
		Head: "1;38;5;24", Number: "38;5;130", Bool: "38;5;90", Null: "3;38;5;242", Quiet: "38;5;242", Strong: "1",
		Keyword: "1;38;5;25", Text: "38;5;28", Comment: "38;5;242", Command: "38;5;24",
		Good: "38;5;28", Warn: "38;5;130", Bad: "38;5;160",
	}
	light16 = Palette{
		Head: "1;34", Number: "34", Bool: "35", Null: "3;90", Quiet: "90", Strong: "1",
		Keyword: "1;34", Text: "35", Comment: "90", Command: "34",
		Good: "34", Warn: "35", Bad: "31",
	}
	either = Palette{
		Head: "1", Number: "38;5;130", Bool: "38;5;133", Null: "3;38;5;244", Quiet: "38;5;244", Strong: "1",
		Keyword: "1;38;5;32", Text: "38;5;28", Comment: "38;5;244", Command: "38;5;30",
		Good: "38;5;28", Warn: "38;5;130", Bad: "38;5;196",
	}
	// either16 does with the few of the sixteen that read on white and on black:
	// blue, magenta, grey and red.
	either16 = Palette{
		Head: "1", Number: "94", Bool: "35", Null: "3;90", Quiet: "90", Strong: "1",
		Keyword: "1;94", Text: "35", Comment: "90", Command: "94",
		Good: "94", Warn: "35", Bad: "91",
	}
)
