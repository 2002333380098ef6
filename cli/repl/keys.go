package repl

import (
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/cli/render"
)

// keyLine is the line that somebody types while a stream runs. The terminal
// gives every key as it is pressed and echoes none, so that the line can be
// shown behind the status line whenever that is drawn; else the rows would tear
// it apart.
type keyLine struct {
	text []rune
	part []byte // the beginning of a character
	esc  escape
}

// escape is where in an escape sequence, such as that of an arrow key, the keys
// are.
type escape int

const (
	noEscape escape = iota
	escapeBegun
	escapeInside // behind "ESC [" or "ESC O"
)

// maxTyped bounds the line; what is typed beyond it is ignored.
const maxTyped = 1000

// feed takes keys and gives the lines that they end; eof is Ctrl+D on an empty
// line.
func (k *keyLine) feed(keys string) (lines []string, eof bool) {
	for _, c := range []byte(keys) {
		switch {
		case k.esc == escapeBegun && (c == '[' || c == 'O'):
			k.esc = escapeInside
		case k.esc == escapeBegun, k.esc == escapeInside && c >= 0x40 && c <= 0x7e:
			k.esc = noEscape
		case k.esc == escapeInside:
		case c == 0x1b:
			k.esc = escapeBegun
		case c == '\r', c == '\n':
			lines = append(lines, string(k.text))
			k.text, k.part = nil, nil
		case c == 0x7f, c == '\b':
			k.text, k.part = k.text[:max(len(k.text)-1, 0)], nil
		case c == 'U'-'@':
			k.text, k.part = nil, nil
		case c == 'W'-'@':
			k.dropWord()
		case c == 'D'-'@' && len(k.text) == 0:
			return lines, true
		case c >= ' ' && len(k.text) < maxTyped:
			k.part = append(k.part, c)
			if r, _ := utf8.DecodeRune(k.part); r != utf8.RuneError {
				k.text, k.part = append(k.text, r), nil
			} else if len(k.part) >= utf8.UTFMax {
				k.part = nil
			}
		}
	}
	return lines, false
}

// dropWord takes the last word away, and the spaces behind it.
func (k *keyLine) dropWord() {
	n := len(k.text)
	for n > 0 && k.text[n-1] == ' ' {
		n--
	}
	for n > 0 && k.text[n-1] != ' ' {
		n--
	}
	k.text, k.part = k.text[:n], nil
}

// show is the line's end, as much of it as fits into the columns.
func (k *keyLine) show(columns int) string {
	text := k.text
	for len(text) > 0 && render.Width(string(text)) > columns {
		text = text[1:]
	}
	return render.Safe(string(text))
}
