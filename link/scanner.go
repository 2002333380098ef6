package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxValue bounds one row or one message of an answer, so that a server gone
// mad cannot fill the client's memory.
const maxValue = 256 << 20

// maxDepth bounds how deep the arrays and objects of a value may nest.
const maxDepth = 512

// scanner walks over a JSON text that comes from a reader, one value at a
// time. It keeps the current value only.
type scanner struct {
	r   io.Reader
	buf []byte
	pos int // buf[pos:] is not consumed
	err error
}

// newScanner makes a scanner of a text of size bytes; -1: its size is not known.
func newScanner(r io.Reader, size int64) *scanner {
	const most = 32 << 10
	if size < 0 || size >= most {
		size = most - 1
	}
	return &scanner{r: r, buf: make([]byte, 0, size+1)} // with room to see that it ends
}

// syntaxError is a text that is no JSON.
type syntaxError struct{ reason string }

func (e *syntaxError) Error() string { return e.reason }

// more reads further bytes behind those that are there. Bytes before keep are
// dropped; it returns how far the rest moved.
func (s *scanner) more(keep int) (shift int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	if keep > 0 {
		n := copy(s.buf, s.buf[keep:])
		s.buf = s.buf[:n]
		s.pos -= keep
	}
	if len(s.buf) == cap(s.buf) {
		if len(s.buf) >= maxValue {
			return keep, &syntaxError{fmt.Sprintf("a value is larger than %d bytes", maxValue)}
		}
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	for {
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if n > 0 {
			if err != nil {
				s.err = err
			}
			return keep, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			s.err = err
			return keep, err
		}
	}
}

// peek gives the next byte that is no space.
func (s *scanner) peek() (byte, error) {
	for {
		for s.pos < len(s.buf) {
			switch b := s.buf[s.pos]; b {
			case ' ', '\t', '\r', '\n':
				s.pos++
			default:
				return b, nil
			}
		}
		if _, err := s.more(s.pos); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// expect consumes one punctuation byte.
func (s *scanner) expect(want byte) error {
	b, err := s.peek()
	if err != nil {
		return err
	}
	if b != want {
		return &syntaxError{fmt.Sprintf("found %q where JSON needs %q", b, want)}
	}
	s.pos++
	return nil
}

// next consumes the comma before the following element, or the closing byte,
// and tells which. first is true before the first element.
func (s *scanner) next(closing byte, first bool) (ok bool, err error) {
	b, err := s.peek()
	if err != nil {
		return false, err
	}
	switch {
	case b == closing:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case b == ',':
		s.pos++
		return true, nil
	}
	return false, &syntaxError{fmt.Sprintf("found %q where JSON needs a comma or %q", b, closing)}
}

// key consumes an object's key and its colon.
func (s *scanner) key() (string, error) {
	raw, err := s.value()
	if err != nil {
		return "", err
	}
	if _, err := textEnd(raw, 0); err != nil {
		return "", err
	}
	k, err := unquote(raw)
	if err != nil {
		return "", err
	}
	return k, s.expect(':')
}

// value consumes one value of any kind and gives its text, which is valid
// until the next call.
func (s *scanner) value() ([]byte, error) {
	b, err := s.peek()
	if err != nil {
		return nil, err
	}
	start, i := s.pos, s.pos
	depth, inString := 0, false
	scalar := b != '{' && b != '[' && b != '"'
	for {
		for ; i < len(s.buf); i++ {
			c := s.buf[i]
			switch {
			case inString:
				if c == '\\' {
					i++ // the escaped byte may lie behind the end: then the loop goes on there
					continue
				}
				if c == '"' {
					inString = false
					if depth == 0 {
						s.pos = i + 1
						return s.buf[start:s.pos], nil
					}
				}
			case scalar:
				switch c {
				case ',', '}', ']', ':', ' ', '\t', '\r', '\n':
					s.pos = i
					if i == start {
						return nil, &syntaxError{fmt.Sprintf("found %q where JSON needs a value", c)}
					}
					return s.buf[start:i], nil
				}
			case c == '"':
				inString = true
			case c == '{' || c == '[':
				if depth++; depth > maxDepth {
					return nil, &syntaxError{"arrays and objects nest too deep"}
				}
			case c == '}' || c == ']':
				depth--
				if depth < 0 {
					return nil, &syntaxError{"a bracket closes nothing"}
				}
				if depth == 0 {
					s.pos = i + 1
					return s.buf[start:s.pos], nil
				}
			}
		}
		shift, err := s.more(start)
		start -= shift
		i -= shift
		if err != nil {
			if scalar && i > start && errors.Is(err, io.ErrUnexpectedEOF) {
				s.pos = len(s.buf)
				return s.buf[start:s.pos], nil
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// decode consumes one value into v.
func (s *scanner) decode(v any) error {
	raw, err := s.value()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &syntaxError{err.Error()}
	}
	return nil
}

// unquote gives the text of a JSON string that was found to be one.
func unquote(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", &syntaxError{"found " + head(raw) + " where JSON needs a string"}
	}
	in := raw[1 : len(raw)-1]
	if bytes.IndexByte(in, '\\') < 0 && utf8.Valid(in) {
		return string(in), nil
	}
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", &syntaxError{err.Error()}
	}
	return out, nil
}

// whole consumes one value of any kind that nothing else will look into, and
// makes sure that it is JSON.
func (s *scanner) whole() ([]byte, error) {
	raw, err := s.value()
	if err == nil && !json.Valid(raw) {
		err = &syntaxError{"found " + head(raw) + " where JSON needs a value"}
	}
	return raw, err
}

// end makes sure that nothing but space follows.
func (s *scanner) end() error {
	b, err := s.peek()
	if err == nil {
		return &syntaxError{fmt.Sprintf("found %q behind the answer", b)}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// splitRow appends the cells of the row that raw begins with, an array or an
// object, to cells; for an object the keys are given to key in order. n is how
// long the row is. The cells point into raw, and each is a JSON value as RFC
// 8259 has it: "01" and a bare line break in a text are refused. The error is
// errRowEnds when raw is the beginning of a row. BenchmarkRows measures it.
func splitRow(raw []byte, cells [][]byte, key func(i int, name []byte) error) (_ [][]byte, n int, err error) {
	if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' {
		return cells, 0, &syntaxError{"a row is neither an array nor an object"}
	}
	object := raw[0] == '{'
	closing := raw[0] + 2 // in ASCII, for both
	for i := 1; ; {
		i = space(raw, i)
		switch {
		case i == len(raw):
			return cells, 0, errRowEnds
		case raw[i] == closing:
			return cells, i + 1, nil
		case len(cells) > 0 && raw[i] != ',':
			return cells, 0, &syntaxError{fmt.Sprintf("found %q where JSON needs a comma or %q", raw[i], closing)}
		case len(cells) > 0:
			i = space(raw, i+1)
		}
		if object {
			end, err := textEnd(raw, i)
			if err != nil {
				return cells, 0, err
			}
			name := raw[i:end]
			if i = space(raw, end); i == len(raw) {
				return cells, 0, errRowEnds
			}
			if raw[i] != ':' {
				return cells, 0, &syntaxError{"a key has no colon behind it"}
			}
			if err := key(len(cells), name); err != nil {
				return cells, 0, err
			}
			i = space(raw, i+1)
		}
		end, err := valueEnd(raw, i)
		if err != nil {
			return cells, 0, err
		}
		cells = append(cells, raw[i:end:end])
		i = end
	}
}

var errRowEnds = &syntaxError{"a row ends too early"}

// space gives the place of the next byte from i on that is no space.
func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// valueEnd gives the place behind the JSON value that begins at i.
func valueEnd(raw []byte, i int) (int, error) {
	if i >= len(raw) {
		return i, errRowEnds
	}
	switch c := raw[i]; {
	case c == '"':
		return textEnd(raw, i)
	case c == '-' || c >= '0' && c <= '9':
		return numberEnd(raw, i)
	case c == '[' || c == '{':
		s := scanner{buf: raw, pos: i, err: io.ErrUnexpectedEOF}
		_, err := s.whole()
		if err == io.ErrUnexpectedEOF {
			err = errRowEnds
		}
		return s.pos, err
	case c == 'n':
		return wordEnd(raw, i, "null")
	case c == 't':
		return wordEnd(raw, i, "true")
	case c == 'f':
		return wordEnd(raw, i, "false")
	}
	return i, &syntaxError{"found " + head(raw[i:]) + " where JSON needs a value"}
}

// wordEnd gives the place behind the word that begins at i. That nothing is
// glued to it is seen by who reads on.
func wordEnd(raw []byte, i int, word string) (int, error) {
	rest := raw[i:]
	if len(rest) >= len(word) && string(rest[:len(word)]) == word {
		return i + len(word), nil
	}
	if len(rest) < len(word) && string(rest) == word[:len(rest)] {
		return i, errRowEnds
	}
	return i, &syntaxError{"found " + head(rest) + " where JSON needs a value"}
}

// textEnd gives the place behind the JSON string that begins at i. That it is
// UTF-8 is left to who reads it: bytes that are not become U+FFFD.
func textEnd(raw []byte, i int) (int, error) {
	if i >= len(raw) {
		return i, errRowEnds
	}
	if raw[i] != '"' {
		return i, &syntaxError{"an object's key is no string"}
	}
	for i++; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return i, &syntaxError{fmt.Sprintf("a text holds the control character %q, which JSON writes as an escape", c)}
		case c == '\\':
			if i++; i == len(raw) {
				return i, errRowEnds
			}
			switch raw[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i == len(raw) {
						return i, errRowEnds
					}
					if c := raw[i] | 0x20; (raw[i] < '0' || raw[i] > '9') && (c < 'a' || c > 'f') {
						return i, &syntaxError{fmt.Sprintf("found %q in an escape of four hexadecimal digits", raw[i])}
					}
				}
			default:
				return i, &syntaxError{fmt.Sprintf("JSON has no escape \\%c", raw[i])}
			}
		}
	}
	return i, errRowEnds
}

// numberEnd gives the place behind the JSON number that begins at i.
func numberEnd(raw []byte, i int) (int, error) {
	start := i
	digits := func() bool {
		from := i
		for i < len(raw) && raw[i] >= '0' && raw[i] <= '9' {
			i++
		}
		return i > from
	}
	if raw[i] == '-' {
		i++
	}
	ok := true
	if i < len(raw) && raw[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(raw) && raw[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(raw) && (raw[i] == 'e' || raw[i] == 'E') {
		if i++; i < len(raw) && (raw[i] == '+' || raw[i] == '-') {
			i++
		}
		ok = digits()
	}
	if i == len(raw) {
		return i, errRowEnds // more of it may come
	}
	if !ok || raw[i] >= '0' && raw[i] <= '9' {
		return i, &syntaxError{"found " + head(raw[start:]) + " where JSON needs a number"}
	}
	return i, nil
}
