package repl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// heldBack is how many events a paused stream keeps before the server is asked
// for the newest state instead.
const heldBack = 65536

// streamer shows one subscription.
type streamer struct {
	a      *App
	sub    *link.Subscription
	json   bool
	table  render.Printer // for csv and tsv
	cols   []link.Column
	counts [link.EventDelete + 1]int64
	began  time.Time
	paused bool
	held   []link.Event // what came while it is paused
	live   statusLine
	keys   *keyLine // what is being typed; nil where the terminal gives whole lines
}

// subscribe shows the changes of a query until Ctrl+C, \quit or the server ends
// it.
func (a *App) subscribe(ctx context.Context, sql string, opts ...link.SubscribeOption) error {
	opts = append([]link.SubscribeOption{link.Buffer(heldBack)}, opts...)
	if n := a.o.Config.Subscription.LastRows; n != nil && !strings.Contains(strings.ToLower(sql), "last_rows") {
		opts = append(opts, link.LastRows(*n))
	}
	start := time.Now()
	sub, err := a.client.Subscribe(ctx, sql, opts...)
	if err != nil {
		return err
	}
	defer sub.Close()
	a.status.set(online)
	s := &streamer{a: a, sub: sub, json: a.format == render.JSON || a.format == render.NDJSON, cols: sub.Columns(), began: start}
	s.live = statusLine{on: a.outTTY && a.errTTY && a.interactive && !a.format.Machine(), began: start}
	ready := fmt.Sprintf("Subscribed to %s (live id %s). Ctrl+C stops.", render.Safe(target(sql)), render.Safe(sub.LiveID()))
	if a.colorOut && !a.format.Machine() {
		ready = a.theme.Good.Paint(ready)
	}
	a.say("%s", ready)
	a.out.Flush()
	err = s.run(ctx)
	if errors.Is(err, errQuit) || interrupted(ctx) && a.interactive {
		s.summary()
		return nil
	}
	if err == nil || interrupted(ctx) {
		s.summary()
	}
	return err
}

// target is the table of a subscription, for the ready line.
func target(sql string) string {
	words := strings.Fields(sql)
	for i, w := range words {
		if u := strings.ToUpper(w); (u == "TO" || u == "FROM") && i+1 < len(words) {
			return strings.TrimRight(words[i+1], ";")
		}
	}
	return "the query"
}

// run shows events as they come. What came together is written together: the
// output is flushed when nothing more waits.
func (s *streamer) run(ctx context.Context) error {
	sctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	typed := make(chan string)
	if tty, ok := s.a.input.(ttyInput); ok && s.live.on {
		if restore, ok := eachKey(tty.f); ok {
			defer restore()
			s.keys = &keyLine{}
		}
	}
	if s.a.input != nil {
		wg.Go(func() {
			for {
				line, err := s.a.input.line(sctx)
				if err != nil {
					if errors.Is(err, io.EOF) && s.a.interactive {
						line = "\\quit\n"
					} else {
						return
					}
				}
				select {
				case typed <- line:
				case <-sctx.Done():
					return
				}
			}
		})
	}
	ch := s.sub.Chan(sctx)
	defer s.live.clear(s.a)
	var tick <-chan time.Time
	if s.live.on {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		tick = t.C
	}
	for {
		events := ch
		if len(s.held) >= heldBack {
			events = nil // they wait in the subscription
		}
		select {
		case ev, ok := <-events:
			if !ok {
				if err := s.release(); err != nil {
					return err
				}
				return s.end(ctx)
			}
			if err := s.take(ev); err != nil {
				return err
			}
			continue
		default:
		}
		s.live.draw(s)
		if err := s.a.out.Flush(); err != nil {
			return err
		}
		select {
		case ev, ok := <-events:
			if !ok {
				if err := s.release(); err != nil {
					return err
				}
				return s.end(ctx)
			}
			if err := s.take(ev); err != nil {
				return err
			}
		case text := <-typed:
			if err := s.typed(text); err != nil {
				return err
			}
		case <-tick:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take shows an event, or holds it back while the stream is paused. A connection
// that is lost is told of at once.
func (s *streamer) take(ev link.Event) error {
	if s.paused && ev.Kind != link.EventReconnecting && ev.Kind != link.EventReconnected {
		s.held = append(s.held, ev)
		return nil
	}
	return s.show(ev)
}

// release shows what was held back.
func (s *streamer) release() error {
	held := s.held
	s.held = nil
	for _, ev := range held {
		if err := s.show(ev); err != nil {
			return err
		}
	}
	return nil
}

func (s *streamer) end(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.sub.Err()
}

// typed takes a line, or keys, that were typed while the stream runs.
func (s *streamer) typed(text string) error {
	if s.keys == nil {
		s.live.shown = false // Enter has left its line
		return s.command(strings.TrimSpace(text))
	}
	lines, eof := s.keys.feed(text)
	for _, line := range lines {
		// The line is left standing, as Enter does it.
		now := s.keys.text
		s.keys.text = []rune(line)
		s.live.draw(s)
		s.keys.text = now
		s.a.out.WriteByte('\n')
		s.live.shown = false
		if err := s.command(strings.TrimSpace(line)); err != nil {
			return err
		}
	}
	if eof {
		return errQuit
	}
	return nil
}

// command obeys a line.
func (s *streamer) command(line string) error {
	switch strings.TrimRight(line, "; ") {
	case "":
	case `\pause`:
		s.paused = true
		s.a.notice(`Paused; \continue goes on.`)
	case `\continue`:
		if s.paused {
			s.paused = false
			s.a.notice("Going on.")
			return s.release()
		}
	case `\quit`, `\q`:
		return errQuit
	case `\help`, `\?`:
		s.a.notice(`While rows stream: \pause, \continue, \quit; Ctrl+C stops the stream.`)
	default:
		s.a.notice(`A stream is running: Ctrl+C stops it, \pause and \continue hold it and go on.`)
	}
	return nil
}

func (s *streamer) show(ev link.Event) error {
	s.live.clear(s.a)
	switch ev.Kind {
	case link.EventReconnecting:
		s.a.status.set(reconnecting)
		if ev.Attempt == 1 {
			s.a.notice("Connection lost (%s); reconnecting ...", render.Safe(streamReason(ev.Err)))
		}
		return nil
	case link.EventReconnected:
		s.a.status.set(online)
		s.a.notice("Reconnected; nothing was missed.")
		return nil
	case link.EventResynced:
		s.a.status.set(online)
		s.a.notice("The server no longer has what was missed: the rows start anew.")
		return nil
	case link.EventSchema:
		s.cols = ev.Columns
		s.table = nil
		s.a.notice("The table's columns changed.")
		return nil
	}
	if !ev.Kind.HasRow() || ev.Row == nil {
		return nil
	}
	s.counts[ev.Kind]++
	switch {
	case s.json:
		return s.showJSON(ev)
	case s.a.format == render.CSV || s.a.format == render.TSV:
		return s.showDelimited(ev)
	}
	return s.showLine(ev)
}

func streamReason(err error) string {
	var te *link.TransportError
	if errors.As(err, &te) {
		return te.Reason()
	}
	if err == nil {
		return "unknown reason"
	}
	return err.Error()
}

// liveEvent is the NDJSON form of an event.
type liveEvent struct {
	Event   string          `json:"event"`
	Seq     uint64          `json:"seq"`
	Time    string          `json:"timestamp,omitempty"`
	Row     json.RawMessage `json:"row"`
	Old     json.RawMessage `json:"old,omitempty"`
	CatchUp bool            `json:"catch_up,omitempty"`
	Resync  bool            `json:"resync,omitempty"`
}

func (s *streamer) showJSON(ev link.Event) error {
	le := liveEvent{Event: ev.Kind.String(), Seq: ev.Seq, CatchUp: ev.CatchUp, Resync: ev.Resync}
	if !ev.Time.IsZero() {
		le.Time = ev.Time.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	var err error
	if le.Row, err = ev.Row.MarshalJSON(); err != nil {
		return err
	}
	if ev.Old != nil {
		if le.Old, err = ev.Old.MarshalJSON(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(le); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	line := render.SafeJSON(bytes.TrimRight(b.Bytes(), "\n"))
	_, err = s.a.out.Write(append(bytes.Clone(line), '\n'))
	return err
}

// showDelimited writes the operation and the sequence before the columns.
func (s *streamer) showDelimited(ev link.Event) error {
	cols := append([]link.Column{{Name: "event", Type: "TEXT"}, {Name: "seq", Type: "BIGINT"}}, s.cols...)
	if s.table == nil {
		o := s.a.options(context.Background())
		s.table = render.New(s.a.out, cols, o)
	}
	kind, _ := json.Marshal(ev.Kind.String())
	cells := [][]byte{kind, fmt.Append(nil, ev.Seq)}
	for _, c := range s.cols {
		cell := []byte("null")
		for i, rc := range ev.Row.Columns() {
			if rc.Name == c.Name {
				cell = ev.Row.Raw(i)
			}
		}
		cells = append(cells, cell)
	}
	return s.table.Row(link.NewRecord(cols, cells))
}

var operations = map[link.EventKind]struct {
	mark  string
	color func(theme.Palette) theme.Color
}{
	link.EventInitial: {"  ROW   ", func(p theme.Palette) theme.Color { return p.Quiet }},
	link.EventInsert:  {"+ INSERT", func(p theme.Palette) theme.Color { return p.Good }},
	link.EventUpdate:  {"~ UPDATE", func(p theme.Palette) theme.Color { return p.Warn }},
	link.EventDelete:  {"- DELETE", func(p theme.Palette) theme.Color { return p.Bad }},
}

// showLine writes an event for people: local time, operation, and the columns
// with old → new where they changed.
func (s *streamer) showLine(ev link.Event) error {
	at := ev.Time
	if at.IsZero() {
		at = time.Now()
		if v, ok := ev.Row.Get("_updated"); ok {
			if t, ok := v.(time.Time); ok {
				at = t
			}
		}
	}
	op := operations[ev.Kind]
	var b strings.Builder
	b.WriteString(at.Local().Format("15:04:05.000"))
	b.WriteByte(' ')
	colors := s.a.colors()
	b.WriteString(op.color(colors).Paint(op.mark))
	for i, c := range ev.Row.Columns() {
		if c.Name == "_updated" || c.Name == "_deleted" {
			continue
		}
		b.WriteString("  ")
		b.WriteString(render.Safe(c.Name))
		b.WriteByte('=')
		now := s.value(ev.Row, i)
		if ev.Kind == link.EventUpdate && ev.Old != nil {
			if j := indexOf(ev.Old, c.Name); j >= 0 && !bytes.Equal(ev.Old.Raw(j), ev.Row.Raw(i)) {
				was := s.value(ev.Old, j)
				now = colors.Strong.Paint(now)
				b.WriteString(colors.Quiet.Paint(was) + " → ")
			}
		}
		b.WriteString(now)
	}
	if ev.Resync {
		b.WriteString("  (newest state)")
	}
	b.WriteByte('\n')
	_, err := s.a.out.WriteString(b.String())
	return err
}

func indexOf(r *link.Record, name string) int {
	for i, c := range r.Columns() {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// value writes texts in quotes, so that where they end is seen.
func (s *streamer) value(r *link.Record, i int) string {
	t, ok := r.Text(i)
	if !ok {
		return "NULL"
	}
	if raw := r.Raw(i); len(raw) > 0 && raw[0] == '"' && strings.ContainsAny(t, " \t\n=") || t == "" {
		return "'" + render.Safe(strings.ReplaceAll(t, "'", "''")) + "'"
	}
	return render.Safe(t)
}

// changes counts what happened, without the rows that were there before.
func (s *streamer) changes() (total int64) {
	for k, n := range s.counts {
		if link.EventKind(k) != link.EventInitial {
			total += n
		}
	}
	return total
}

func (s *streamer) summary() {
	total := s.changes()
	var parts []string
	for k, n := range s.counts {
		if kind := link.EventKind(k); kind != link.EventInitial {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%s %s", render.Thousands(n), kind))
			}
		}
	}
	detail := ""
	if len(parts) > 0 {
		detail = " (" + strings.Join(parts, ", ") + ")"
	}
	d := time.Since(s.began)
	rate := ""
	if total > 0 && d > time.Second {
		rate = fmt.Sprintf(", %.1f/s", float64(total)/d.Seconds())
	}
	s.a.notice("Subscription ended: %s changes%s in %s%s.", render.Thousands(total), detail, render.Duration(d), rate)
}

// Tail shows the changes of a query, for the subcommand.
func (a *App) Tail(ctx context.Context, sql string, last *int) error {
	ictx, stop := a.interruptible(ctx)
	defer stop()
	var opts []link.SubscribeOption
	if last != nil {
		opts = append(opts, link.LastRows(*last))
	}
	err := a.subscribe(ictx, sql, opts...)
	a.out.Flush()
	switch {
	case interrupted(ictx):
		return ExitStatus(ExitInterrupt)
	case err != nil:
		a.report("", sql, err)
		if _, ok := errors.AsType[*link.TransportError](err); ok {
			return ExitStatus(ExitConnect)
		}
		return ExitStatus(ExitError)
	}
	return nil
}
