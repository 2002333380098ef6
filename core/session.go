package core

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/session"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// Session runs statements for one caller. It may be used from several
// goroutines; statements of different calls run beside each other.
type Session struct {
	e         *Engine
	principal Principal
	state     *session.Session
}

// Session gives the caller's session of an id, making it if there is none: the
// empty id is the user's default session. Sessions need no closing.
func (e *Engine) Session(p Principal, id ident.SessionID) (*Session, error) {
	if p.User == "" || p.Role == "" {
		return nil, dberr.New(dberr.Unauthenticated, "The request names no user.")
	}
	return &Session{e: e, principal: p, state: e.sessions.Get(p.User, id)}, nil
}

// Principal is who the session's statements come from.
func (s *Session) Principal() Principal { return s.principal }

// Execute runs the statements of a request one after the other, giving their
// results to the sink, and stops at the first that fails with a
// *StatementError. A batch is no transaction: what the statements before it
// did stays done.
//
// Each statement reads one snapshot and has its own time limit. A statement
// that changes rows returns when the change is durable and visible; it commits
// wholly or not at all, also when the context ends.
//
// Errors beside *StatementError, with which nothing has been run:
// RESOURCE_EXHAUSTED when the server is overloaded, STORAGE_UNAVAILABLE when it
// stops, PARAMETER_MISMATCH, or why the context has ended.
func (s *Session) Execute(ctx context.Context, req Request, sink Sink) error {
	if !s.e.running.Enter() {
		return errStopped
	}
	defer s.e.running.Leave()
	turn := req.Turn
	if turn == nil {
		turn = new(slot.Turn)
	}
	if !urgent(req.SQL) {
		if err := s.e.gate.Enter(ctx, turn, s.principal.User, req.SQL, false); err != nil {
			return err
		}
		defer turn.Leave()
	}
	give, err := s.e.takeText(&req)
	if err != nil {
		return err
	}
	defer give()
	params, err := distribute(req)
	if err != nil {
		return err
	}
	ns := req.Namespace
	if ns == "" {
		ns = s.state.Namespace()
	}
	if text, ok := lone(req.SQL); ok {
		st := statement{s: s, text: text, params: req.Params, namespace: ns, sink: sink, deadline: req.Deadline, turn: turn, sound: req.SkipDamaged}
		if err := st.run(ctx); err != nil {
			return failure(parser.Piece{Text: text, Line: 1, Column: 1}, 1, err)
		}
		return nil
	}
	n := 0
	for piece, err := range parser.Split(req.SQL) {
		st := statement{s: s, text: piece.Text, params: req.Params, namespace: ns, sink: sink, deadline: req.Deadline, turn: turn, sound: req.SkipDamaged}
		if params != nil {
			st.params = params[n]
		}
		n++
		if err == nil {
			err = st.run(ctx)
		}
		if err != nil {
			return failure(piece, n, err)
		}
		ns = st.namespace
	}
	if n == 0 {
		return &StatementError{Number: 1, Line: 1, Column: 1, Err: dberr.New(dberr.InvalidSQL, "The request holds no statement.")}
	}
	return nil
}

// urgent tells whether a request is a KILL and nothing else. It costs next to
// nothing and is what helps an overloaded server, so it waits for nobody.
func urgent(sql string) bool {
	const word = "KILL "
	sql = strings.TrimLeft(sql, " \t\r\n")
	return len(sql) > len(word) && strings.EqualFold(sql[:len(word)], word) && !strings.Contains(strings.TrimRight(sql, "; \t\r\n"), ";")
}

// lone tells whether a request is what most are, one statement and nothing
// before it: then it need not be read to be split.
func lone(sql string) (text string, ok bool) {
	if sql == "" || strings.Contains(sql, ";") || (sql[0]|0x20) < 'a' || (sql[0]|0x20) > 'z' {
		return "", false
	}
	return strings.TrimRight(sql, " \t\r\n"), true
}

func failure(piece parser.Piece, n int, err error) error {
	var e *dberr.Error
	if errors.As(err, &e) {
		err = piece.Locate(e)
	}
	return &StatementError{Number: n, Text: piece.Text, Line: piece.Line, Column: piece.Column, Err: err}
}

// distribute gives each statement of a batch its parameters: $1 means the same
// in all of them, so a statement gets as many as its highest placeholder says.
// It is nil for a single statement, which is held to have exactly its own.
func distribute(req Request) ([][]sqltype.Value, error) {
	if len(req.Params) == 0 || !strings.Contains(req.SQL, ";") {
		return nil, nil
	}
	var highest []int
	most := 0
	for piece, err := range parser.Split(req.SQL) {
		if err != nil {
			break // it will be found again, in its turn
		}
		n := 0
		for t := range parser.Tokens(piece.Text) {
			if t.Kind == parser.Param {
				// A number too large for a placeholder fails in its turn.
				i, _ := strconv.Atoi(piece.Text[t.Start+1 : t.End])
				n = max(n, i)
			}
		}
		highest = append(highest, n)
		most = max(most, n)
	}
	if len(highest) < 2 {
		return nil, nil
	}
	if most != len(req.Params) {
		return nil, dberr.Newf(dberr.ParameterMismatch, "parameter mismatch: the statements have %d placeholder(s), %d parameter(s) were given", most, len(req.Params))
	}
	out := make([][]sqltype.Value, len(highest)+1)
	for i, n := range highest {
		out[i] = req.Params[:n]
	}
	return out, nil
}
