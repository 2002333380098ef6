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

func newScanner(r io.Reader) *scanner { return &scanner{r: r, buf: make([]byte, 0, 32<<10)} }

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

// unquote gives the text of a JSON string.
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

// splitRow appends the cells of a row, an array or an object, to cells; for an
// object the keys are given to key in order. The cells point into raw.
func splitRow(raw []byte, cells [][]byte, key func(i int, name []byte) error) ([][]byte, error) {
	if len(raw) < 2 {
		return cells, &syntaxError{"a row is neither an array nor an object"}
	}
	closing := byte(']')
	object := raw[0] == '{'
	if object {
		closing = '}'
	} else if raw[0] != '[' {
		return cells, &syntaxError{"a row is neither an array nor an object"}
	}
	s := scanner{buf: raw, pos: 1, err: io.ErrUnexpectedEOF}
	for first := true; ; first = false {
		ok, err := s.next(closing, first)
		if err != nil {
			return cells, err
		}
		if !ok {
			return cells, nil
		}
		if object {
			k, err := s.value()
			if err != nil {
				return cells, err
			}
			if len(k) < 2 || k[0] != '"' {
				return cells, &syntaxError{"an object's key is no string"}
			}
			if err := s.expect(':'); err != nil {
				return cells, err
			}
			if err := key(len(cells), k); err != nil {
				return cells, err
			}
		}
		v, err := s.value()
		if err != nil {
			return cells, err
		}
		cells = append(cells, v)
	}
}
