package repl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
	"github.com/kalamdb/kalamdb/link"
)

// errQuit is what \quit gives.
var errQuit = errors.New("quit")

// errReported is a failure that the user has been told of.
var errReported = errors.New("the statement failed")

// RunText runs every statement of a text, such as that of -e. name is shown
// before errors; "" for none.
func (a *App) RunText(ctx context.Context, text, name string) error {
	stmts, rest, line := Split(text, 1)
	if strings.TrimSpace(rest) != "" {
		stmts = append(stmts, Statement{Text: strings.TrimSpace(rest), Line: line})
	}
	for _, s := range stmts {
		if err := a.runOne(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// RunFile runs every statement of a file; "-" is the standard input.
func (a *App) RunFile(ctx context.Context, path string) error {
	if path == "-" {
		return a.RunPipe(ctx)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		a.complain(fmt.Sprintf("cannot read %s: %v", path, pathReason(err)))
		a.failed = true
		return nil
	}
	return a.RunText(ctx, string(text), path)
}

// pathReason drops the path that the error repeats.
func pathReason(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// RunPipe runs statements as they come in on the standard input.
func (a *App) RunPipe(ctx context.Context) error {
	in := newPipeInput(a.o.In)
	a.input = in
	pending, at, next := "", 1, 1
	for {
		ictx, stop := a.interruptible(ctx)
		line, err := in.line(ictx)
		stop()
		if err != nil {
			if interrupted(ictx) {
				return ExitStatus(ExitInterrupt)
			}
			break
		}
		if pending == "" {
			at = next
		}
		next++
		pending += line
		if !strings.Contains(line, ";") && !strings.HasPrefix(strings.TrimLeft(pending, " \t\r\n"), `\`) {
			continue // nothing can end here
		}
		stmts, rest, restLine := Split(pending, at)
		pending, at = rest, restLine
		for _, s := range stmts {
			if err := a.runOne(ctx, s, "stdin"); err != nil {
				return err
			}
		}
	}
	stmts, rest, line := Split(pending, at)
	if strings.TrimSpace(rest) != "" {
		stmts = append(stmts, Statement{Text: strings.TrimSpace(rest), Line: line})
	}
	for _, s := range stmts {
		if err := a.runOne(ctx, s, "stdin"); err != nil {
			return err
		}
	}
	return nil
}

// Exit gives the program's end after scripts: their error, or that some
// statement failed.
func (a *App) Exit(err error) error {
	switch {
	case errors.Is(err, errQuit):
		err = nil
	case err != nil:
		return err
	}
	if a.failed {
		return ExitStatus(ExitError)
	}
	return nil
}

// runOne runs a statement of a script. A failure is told and remembered; only
// what ends the script is returned.
func (a *App) runOne(ctx context.Context, s Statement, name string) error {
	err := a.do(ctx, s, name)
	if ferr := a.out.Flush(); ferr != nil && err == nil {
		return fmt.Errorf("write the output: %w", ferr)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errReported):
		a.failed = true
		if v := a.vars["ON_ERROR_STOP"]; v == "1" || strings.EqualFold(v, "on") || strings.EqualFold(v, "true") {
			return ExitStatus(ExitStopped)
		}
		return nil
	}
	return err
}

// do runs a statement or backslash command and tells its failure.
func (a *App) do(ctx context.Context, s Statement, name string) error {
	ictx, stop := a.interruptible(ctx)
	defer stop()
	text := s.Text
	if !s.Meta {
		text = substitute(text, a.vars)
	}
	var err error
	switch word := firstWords(text, 1); {
	case s.Meta:
		err = a.meta(ictx, text)
	case strings.HasPrefix(text, "."):
		err = fmt.Errorf(`there is no command %s; commands begin with a backslash, as in \dt (\help lists all)`, strings.Fields(text)[0])
	case len(word) == 1 && word[0] == "SUBSCRIBE":
		err = a.subscribe(ictx, text)
	default:
		err = a.statement(ictx, text)
	}
	var status ExitStatus
	switch {
	case err == nil, errors.Is(err, errQuit), errors.As(err, &status):
		return err
	case errors.Is(err, errDeclined):
		return nil
	case interrupted(ictx) && a.interactive:
		a.notice("Cancelled.")
		return errReported
	case interrupted(ictx):
		return ExitStatus(ExitInterrupt)
	}
	where := ""
	if name != "" {
		where = fmt.Sprintf("%s:%d: ", name, s.Line)
	}
	a.report(where, text, err)
	var te *link.TransportError
	var le *link.Error
	if !a.interactive && (errors.As(err, &te) && te.Op == "connect" || errors.As(err, &le) && le.Auth()) {
		return ExitStatus(ExitConnect)
	}
	return errReported
}

// statement runs SQL and writes its results.
func (a *App) statement(ctx context.Context, text string) error {
	if err := a.confirm(ctx, text); err != nil {
		return err
	}
	start := time.Now()
	settle := a.spinner(ctx)
	client := a.client
	if a.skipsDamaged() {
		client = client.With(link.WithSession(client.Session()), link.WithSkipDamaged())
	}
	rows, err := client.Query(ctx, text)
	settle()
	if err != nil {
		return of(text, err)
	}
	a.status.set(online)
	defer rows.Close()
	whole := wantsWhole(text)
	if readsOnly(text) {
		a.last = text
	}
	for {
		if err := a.result(ctx, rows, start, whole); err != nil {
			return of(text, err)
		}
		if !rows.NextResult() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return of(text, err)
	}
	a.noteEffect(text)
	return nil
}

// failure is the error of a statement that was not typed as it was sent: a
// backslash command stands for it.
type failure struct {
	sql   string
	where string // what of the command it is about; may be empty
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// of keeps the statement beside its error, whose place is in it.
func of(sql string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{sql: sql, err: err}
}

// skipsDamaged tells whether the user set DAMAGED to skip: queries then leave out
// files of the server that are damaged or missing, and say so.
func (a *App) skipsDamaged() bool { return strings.EqualFold(a.vars["DAMAGED"], "skip") }

// wantsWhole tells whether a statement's answer is useless when it is cut to the
// terminal's width: plans and descriptions.
func wantsWhole(text string) bool {
	words := firstWords(text, 1)
	return len(words) == 1 && (words[0] == "DESCRIBE" || words[0] == "DESC" || words[0] == "EXPLAIN")
}

// readsOnly tells whether a statement may be repeated without an effect.
func readsOnly(text string) bool {
	words := firstWords(text, 1)
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "SELECT", "WITH", "VALUES", "SHOW", "DESCRIBE", "DESC":
		return true
	}
	return false
}

// result writes one result; whole asks for values that are wrapped rather than
// cut. io.EOF from the printer means that the reader has seen enough.
func (a *App) result(ctx context.Context, rows *link.Rows, start time.Time, whole bool) error {
	if !rows.HasRows() {
		for rows.Next() {
		}
		if rows.Err() != nil {
			return rows.Err()
		}
		a.done(rows.Summary(), start)
		return nil
	}
	cols := rows.Columns()
	w, o, paged := a.paged(ctx)
	o.Wrap = o.Wrap || whole
	var p render.Printer
	if len(cols) > 0 {
		p = render.New(w, cols, o)
	}
	var werr error
	for rows.Next() {
		if p == nil { // the server did not announce the columns
			p = render.New(w, rows.Columns(), o)
		}
		if werr = p.Row(rows.Record()); werr != nil {
			break
		}
	}
	took := time.Since(start)
	if errors.Is(werr, io.EOF) {
		werr = nil
		if interrupted(ctx) {
			paged()
			return context.Cause(ctx)
		}
		rows.Close()
	}
	if werr == nil && p != nil {
		if werr = p.Close(took); errors.Is(werr, io.EOF) {
			werr = nil
		}
	}
	if perr := paged(); werr == nil {
		werr = perr
	}
	if werr != nil {
		return fmt.Errorf("write the output: %w", werr)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if m := rows.Summary().Message; m != "" && a.skipsDamaged() {
		a.notice("Warning: %s", render.Safe(m))
	}
	if p := rows.Summary().Properties; len(p) > 0 && !a.format.Machine() {
		a.properties(p)
	}
	return nil
}

// done tells what a statement without rows did.
func (a *App) done(s link.Summary, start time.Time) {
	msg := render.Safe(s.Message)
	if msg == "" {
		msg = "OK"
		if s.RowCount > 0 {
			msg += ", " + render.Rows(s.RowCount)
		}
	}
	if a.timing {
		msg += "  " + since(start)
	}
	a.say("%s", msg)
}

// properties writes what DESCRIBE tells of the table as a whole.
func (a *App) properties(raw json.RawMessage) {
	var keys []string
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return
	}
	vals := map[string]string{}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return
		}
		var v any
		if dec.Decode(&v) != nil {
			return
		}
		if v == nil || v == "" {
			continue
		}
		key := fmt.Sprint(k)
		keys = append(keys, key)
		if s, ok := v.(string); ok {
			vals[key] = s
		} else {
			b, _ := json.Marshal(v)
			vals[key] = string(b)
		}
	}
	width := 0
	for _, k := range keys {
		width = max(width, render.Width(k))
	}
	for _, k := range keys {
		fmt.Fprintf(a.out, "%s  %s\n", render.Fit(render.Safe(strings.ReplaceAll(k, "_", " ")), width, false), render.Safe(vals[k]))
	}
}

// noteEffect keeps what the program knows in step with a statement that
// succeeded: the current namespace, the names for completion.
func (a *App) noteEffect(text string) {
	words := firstWords(text, 1)
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "USE":
		a.useNamespace(text)
	case "CREATE", "DROP", "ALTER", "RESTORE":
		a.refreshNames()
	}
}

// useNamespace repeats the namespace with every request from now on, so that it
// outlives the session on the server.
func (a *App) useNamespace(text string) {
	i, _ := skipBlank(text, 0, 1)
	name := strings.TrimSpace(text[i+len("USE"):])
	if w := firstWords(name, 1); len(w) == 1 && w[0] == "NAMESPACE" && len(name) > len("NAMESPACE") {
		name = strings.TrimSpace(name[len("NAMESPACE"):])
	}
	if strings.HasPrefix(name, `"`) && strings.HasSuffix(name, `"`) && len(name) > 2 {
		name = strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	} else {
		name = strings.ToLower(name)
	}
	a.mu.Lock()
	a.con.Namespace = name
	a.client = a.client.With(link.WithSession(a.client.Session()), link.WithNamespace(name))
	a.mu.Unlock()
	a.refreshNames()
}

// report tells an error with its place in the statement.
func (a *App) report(where, text string, err error) {
	if f, ok := errors.AsType[*failure](err); ok {
		text = f.sql
		where += f.where
	}
	var le *link.Error
	var te *link.TransportError
	var pe *link.ProtocolError
	switch {
	case errors.As(err, &le):
		a.serverError(where, text, le)
	case errors.As(err, &te):
		a.status.set(offline)
		s := a.connectionLine(te.URL, err)
		if te.Op != "connect" {
			s = fmt.Sprintf("the connection to %s was lost: %s", te.URL, render.Safe(te.Reason()))
			if te.Sent {
				s += "; the statement may have run"
			}
		}
		a.complain(where + s)
	case errors.As(err, &pe):
		a.complain(where + a.connectionLine(a.client.URL(), err))
	default:
		a.complain(where + "ERROR: " + render.Safe(err.Error()))
	}
}

func (a *App) serverError(where, text string, e *link.Error) {
	code := string(e.Code)
	if e.SQLState != "" {
		code += " (" + e.SQLState + ")"
	}
	msg := e.Message
	if e.Statement == 1 {
		msg = strings.TrimPrefix(msg, "Statement 1 failed: ")
	}
	a.complain(fmt.Sprintf("%sERROR %s: %s", where, render.Safe(code), render.Safe(msg)))
	if s := caret(text, e.Line, e.Column); s != "" {
		fmt.Fprint(a.errw, s)
	}
	if e.Hint != "" {
		fmt.Fprintln(a.errw, "HINT: "+render.Safe(e.Hint))
	}
	if e.ID != "" {
		fmt.Fprintln(a.errw, "The server's log has the details under id "+render.Safe(e.ID)+".")
	}
	switch {
	case e.Code == link.CodeTokenExpired:
		fmt.Fprintln(a.errw, `HINT: \connect --token NEW-TOKEN goes on with another token.`)
	case e.RetryAfter > 0:
		fmt.Fprintf(a.errw, "HINT: try again in %s.\n", e.RetryAfter)
	}
}

// caret shows the line of the statement where it went wrong, and the place
// under it.
func caret(text string, line, column int) string {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) || column < 1 {
		return ""
	}
	runes := []rune(strings.TrimRight(lines[line-1], "\r"))
	column = min(column-1, len(runes))
	const around = 60
	from, to := 0, len(runes)
	pre, post := "", ""
	if column > around {
		from, pre = column-around, "..."
	}
	if to > column+around {
		to, post = column+around, "..."
	}
	head := fmt.Sprintf("LINE %d: %s", line, pre)
	before := render.Safe(string(runes[from:column]))
	return head + before + render.Safe(string(runes[column:to])) + post + "\n" +
		strings.Repeat(" ", render.Width(head)+render.Width(before)) + "^\n"
}

// spinner shows how long a slow statement has been running; the returned
// function takes it away.
func (a *App) spinner(ctx context.Context) func() {
	if !a.interactive || !a.errTTY {
		return func() {}
	}
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		const frames = "|/-\\"
		t := time.NewTimer(time.Second)
		defer t.Stop()
		shown := false
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				if shown {
					fmt.Fprint(a.errw, "\r\x1b[K")
				}
				return
			case <-t.C:
				shown = true
				fmt.Fprintf(a.errw, "\r%c %.1f s  (Ctrl+C cancels)\x1b[K", frames[i%len(frames)], time.Since(start).Seconds())
				t.Reset(100 * time.Millisecond)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
