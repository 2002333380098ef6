//go:build js

// Command wasm is package link for JavaScript: it hands a connect function to
// the module that loaded it, which makes promises, iterators and types of it.
// Values cross as JSON text.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall/js"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// The largest whole number that every JavaScript number can tell from its
// neighbours.
const maxSafeInteger = 1<<53 - 1

func main() {
	if len(os.Args) != 2 {
		panic("the program is started by kalamdb.js, with the name of a function")
	}
	js.Global().Call(os.Args[1], promise(connect))
	select {}
}

// work is what a function of the interface does; it may block.
type work func(args []js.Value) (any, error)

// promise makes a JavaScript function that gives a promise.
func promise(do work) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		var executor js.Func
		executor = js.FuncOf(func(_ js.Value, settle []js.Value) any {
			executor.Release() // it is called once, by the constructor
			go func() {
				v, err := do(args)
				if err != nil {
					settle[1].Invoke(failure(err))
					return
				}
				settle[0].Invoke(v)
			}()
			return nil
		})
		return js.Global().Get("Promise").New(executor)
	})
}

// failure describes an error as JSON text.
func failure(err error) string {
	f := struct {
		Kind      string  `json:"kind"`
		Message   string  `json:"message"`
		Code      string  `json:"code,omitempty"`
		SQLState  string  `json:"sqlstate,omitempty"`
		Details   string  `json:"details,omitempty"`
		Hint      string  `json:"hint,omitempty"`
		Statement int     `json:"statement,omitempty"`
		Line      int     `json:"line,omitempty"`
		Column    int     `json:"column,omitempty"`
		ID        string  `json:"id,omitempty"`
		Status    int     `json:"status,omitempty"`
		RetryMS   float64 `json:"retryAfterMs,omitempty"`
	}{Kind: "client", Message: err.Error()}
	var server *link.Error
	var transport *link.TransportError
	var protocol *link.ProtocolError
	var closed *link.ClosedError
	switch {
	case errors.As(err, &server):
		f.Kind, f.Message = "server", server.Message
		f.Code, f.SQLState, f.Details, f.Hint, f.ID = string(server.Code), server.SQLState, server.Details, server.Hint, server.ID
		f.Statement, f.Line, f.Column, f.Status = server.Statement, server.Line, server.Column, server.HTTPStatus
		f.RetryMS = float64(server.RetryAfter.Milliseconds())
	case errors.As(err, &transport):
		f.Kind = "transport"
	case errors.As(err, &protocol):
		f.Kind, f.Code = "protocol", string(link.CodeInvalidAnswer)
	case errors.As(err, &closed), errors.Is(err, link.ErrClosed):
		f.Kind = "closed"
	}
	return text(f)
}

// text is a value of ours as JSON.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a value of a type of this file
	}
	return string(b)
}

type connectOptions struct {
	User      string  `json:"user"`
	Token     string  `json:"token"`
	APIKey    string  `json:"apiKey"`
	Namespace string  `json:"namespace"`
	Session   string  `json:"session"`
	TimeoutMS float64 `json:"timeoutMs"`
}

// connect takes the address, the options, and a function for tokens or
// undefined.
func connect(args []js.Value) (any, error) {
	var o connectOptions
	if err := json.Unmarshal([]byte(args[1].String()), &o); err != nil {
		return nil, err
	}
	var opts []link.Option
	for _, o := range []struct {
		value string
		with  func(string) link.Option
	}{
		{o.User, link.WithUser}, {o.Token, link.WithToken}, {o.APIKey, link.WithAPIKey},
		{o.Namespace, link.WithNamespace}, {o.Session, link.WithSession},
	} {
		if o.value != "" {
			opts = append(opts, o.with(o.value))
		}
	}
	if o.TimeoutMS > 0 {
		opts = append(opts, link.WithTimeout(time.Duration(o.TimeoutMS*float64(time.Millisecond))))
	}
	if source := args[2]; source.Type() == js.TypeFunction {
		opts = append(opts, link.WithTokenSource(func(_ context.Context, refresh bool) (string, error) {
			v, err := await(source.Invoke(refresh))
			if err != nil {
				return "", err
			}
			return v.String(), nil
		}))
	}
	c, err := link.Connect(context.Background(), args[0].String(), opts...)
	if err != nil {
		return nil, err
	}
	return client(c), nil
}

// await waits for a promise, or takes a value that is none.
func await(v js.Value) (js.Value, error) {
	type outcome struct {
		v   js.Value
		err error
	}
	done := make(chan outcome, 1)
	ok := js.FuncOf(func(_ js.Value, args []js.Value) any { done <- outcome{v: args[0]}; return nil })
	failed := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- outcome{err: errors.New(args[0].Call("toString").String())}
		return nil
	})
	defer ok.Release()
	defer failed.Release()
	js.Global().Get("Promise").Call("resolve", v).Call("then", ok, failed)
	o := <-done
	return o.v, o.err
}

// object makes a JavaScript object of functions; its close function calls end
// and frees them all.
func object(end func(), functions map[string]work) js.Value {
	o := js.Global().Get("Object").New()
	var all []js.Func
	for name, do := range functions {
		f := promise(do)
		all = append(all, f)
		o.Set(name, f)
	}
	var closing js.Func
	closing = js.FuncOf(func(js.Value, []js.Value) any {
		go end()
		for _, f := range all {
			f.Release()
		}
		closing.Release()
		return nil
	})
	o.Set("close", closing)
	return o
}

func client(c *link.Client) js.Value {
	return object(func() { _ = c.Close() }, map[string]work{
		"execute": func(args []js.Value) (any, error) {
			params, err := parameters(args[1])
			if err != nil {
				return nil, err
			}
			done, err := c.Batch(context.Background(), args[0].String(), params...)
			if err != nil {
				return nil, err
			}
			return results(done), nil
		},
		"subscribe": func(args []js.Value) (any, error) { return subscribe(c, args) },
		"health": func([]js.Value) (any, error) {
			h, err := c.Health(context.Background())
			if err != nil {
				return nil, err
			}
			return text(h), nil
		},
	})
}

// parameters reads JSON values; a number keeps its text.
func parameters(v js.Value) (out []any, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(v.String())))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}

// results gives all results as JSON text. The rows come as they are, but for
// BIGINT that JavaScript's numbers do not hold, which come as strings.
func results(rs []link.Result) string {
	b := []byte{'['}
	for i, r := range rs {
		if i > 0 {
			b = append(b, ',')
		}
		columns := r.Columns
		if columns == nil {
			columns = []link.Column{}
		}
		b = append(append(b, `{"columns":`...), text(columns)...)
		b = strconv.AppendInt(append(b, `,"rowCount":`...), r.RowCount, 10)
		b = append(append(b, `,"message":`...), text(r.Message)...)
		b = append(b, `,"rows":[`...)
		for j := range r.Rows {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendRecord(b, &r.Rows[j])
		}
		b = append(b, "]}"...)
	}
	return string(append(b, ']'))
}

func appendRecord(b []byte, r *link.Record) []byte {
	b = append(b, '{')
	for i, c := range r.Columns() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, text(c.Name)...), ':')
		raw := r.Raw(i)
		if n, err := strconv.ParseInt(string(raw), 10, 64); c.Type == "BIGINT" && err == nil && (n > maxSafeInteger || n < -maxSafeInteger) {
			b = append(append(append(b, '"'), raw...), '"')
			continue
		}
		b = append(b, raw...)
	}
	return append(b, '}')
}

type subscribeOptions struct {
	LastRows      *int   `json:"lastRows"`
	FromSeq       string `json:"fromSeq"`
	Buffer        int    `json:"buffer"`
	OnSlow        string `json:"onSlow"`
	AutoReconnect *bool  `json:"autoReconnect"`
}

func subscribe(c *link.Client, args []js.Value) (any, error) {
	params, err := parameters(args[1])
	if err != nil {
		return nil, err
	}
	var o subscribeOptions
	if err := json.Unmarshal([]byte(args[2].String()), &o); err != nil {
		return nil, err
	}
	opts := []link.SubscribeOption{link.Params(params...)}
	if o.LastRows != nil {
		opts = append(opts, link.LastRows(*o.LastRows))
	}
	if o.FromSeq != "" {
		seq, err := strconv.ParseUint(o.FromSeq, 10, 64)
		if err != nil {
			return nil, errors.New("fromSeq is not a sequence number")
		}
		opts = append(opts, link.FromSeq(seq))
	}
	if o.Buffer > 0 {
		opts = append(opts, link.Buffer(o.Buffer))
	}
	if o.OnSlow != "" {
		opts = append(opts, link.OnSlow(link.SlowPolicy(o.OnSlow)))
	}
	if o.AutoReconnect != nil {
		opts = append(opts, link.AutoReconnect(*o.AutoReconnect))
	}
	s, err := c.Subscribe(context.Background(), args[0].String(), opts...)
	if err != nil {
		return nil, err
	}
	var reading sync.Mutex // JavaScript may ask for the next event before it has the last
	return object(func() { _ = s.Close() }, map[string]work{
		"next": func([]js.Value) (any, error) {
			reading.Lock()
			defer reading.Unlock()
			ev, err := s.Next(context.Background())
			if err != nil {
				return nil, err
			}
			return event(ev), nil
		},
		"seq": func([]js.Value) (any, error) { return strconv.FormatUint(s.Seq(), 10), nil },
	}), nil
}

// event is an event as JSON text.
func event(ev link.Event) string {
	b := append([]byte(`{"kind":`), text(ev.Kind.String())...)
	if ev.Row != nil {
		b = appendRecord(append(b, `,"row":`...), ev.Row)
		b = append(append(b, `,"columns":`...), text(ev.Row.Columns())...)
	}
	if ev.Old != nil {
		b = appendRecord(append(b, `,"old":`...), ev.Old)
	}
	if ev.Columns != nil {
		b = append(append(b, `,"columns":`...), text(ev.Columns)...)
	}
	if !ev.Time.IsZero() {
		b = append(append(b, `,"time":`...), text(ev.Time)...)
	}
	if ev.CatchUp {
		b = append(b, `,"catchUp":true`...)
	}
	if ev.Resync {
		b = append(b, `,"resync":true`...)
	}
	if ev.Attempt > 0 {
		b = strconv.AppendInt(append(b, `,"attempt":`...), int64(ev.Attempt), 10)
	}
	if ev.Err != nil {
		b = append(append(b, `,"error":`...), text(ev.Err.Error())...)
	}
	if ev.Seq > 0 {
		// As text: JavaScript's numbers are too small for it.
		b = append(strconv.AppendUint(append(b, `,"seq":"`...), ev.Seq, 10), '"')
	}
	return string(append(b, '}'))
}
