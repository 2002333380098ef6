package parser

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Piece is one statement of a script.
type Piece struct {
	// Text is the statement without its semicolon, and without the space and
	// the comments around it. It shares the script's memory.
	Text string
	// Offset is where Text starts in the script, in bytes; Line and Column the
	// same for people, counted from 1, columns in characters.
	Offset, Line, Column int
	// Terminated says that a semicolon followed. In an interactive client an
	// unterminated last piece waits for more input.
	Terminated bool
}

// Locate moves an error's place from the piece's text to the script. Other
// errors are returned as they are.
func (p Piece) Locate(err error) error {
	e, ok := err.(*dberr.Error)
	if !ok || !e.Pos.Known() {
		return err
	}
	c := *e
	if c.Pos.Line == 1 {
		c.Pos.Column += p.Column - 1
	}
	c.Pos.Line += p.Line - 1
	c.Pos.Offset += p.Offset
	return &c
}

// Split cuts a script into its statements, at semicolons outside of quotes,
// dollar quotes and comments. Nothing is parsed, and nothing is read further
// than the piece that was asked for. Empty statements are left out.
//
// Where a quote or comment is not closed, or a token is no SQL, the piece
// comes with the error, placed relative to the piece; an unclosed one is the
// last.
func Split(script string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		s := splitter{lex: NewLexer(script), script: script, line: 1, column: 1}
		for {
			piece, err, ok := s.next()
			if !ok || !yield(piece, err) {
				return
			}
		}
	}
}

// splitter keeps how far line and column were counted, so that a script of
// many statements is read once.
type splitter struct {
	lex     Lexer
	script  string
	counted int
	line    int
	column  int
}

func (s *splitter) next() (piece Piece, err error, ok bool) {
	start, end := -1, 0
	for {
		t := s.lex.Next()
		switch {
		case t.Kind == Semicolon && start < 0:
			continue
		case t.Kind == Semicolon || t.Kind == EOF:
			if start < 0 {
				return Piece{}, nil, false
			}
			piece = Piece{Text: s.script[start:end], Offset: start, Terminated: t.Kind == Semicolon}
			piece.Line, piece.Column = s.place(start)
			return piece, s.lexError(start, end), true
		}
		if start < 0 {
			start = int(t.Start)
		}
		end = int(t.End)
	}
}

func (s *splitter) place(offset int) (line, column int) {
	skipped := s.script[s.counted:offset]
	if n := strings.LastIndexByte(skipped, '\n'); n >= 0 {
		s.line += strings.Count(skipped, "\n")
		s.column = 1
		skipped = skipped[n+1:]
	}
	s.column += utf8.RuneCountInString(skipped)
	s.counted = offset
	return s.line, s.column
}

// lexError takes the lexer's error, whose place is made anew: that in the
// script would have to be counted from its start.
func (s *splitter) lexError(start, end int) error {
	if s.lex.err == nil {
		return nil
	}
	s.lex.err = nil
	l := NewLexer(s.script[start:end])
	for l.Next().Kind != EOF {
	}
	return l.Err()
}
