package core

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// The options of SUBSCRIBE TO … OPTIONS (…), beside those that only matter to
// who encodes the messages.
const (
	optLastRows = "last_rows"
	optFromSeq  = "from_seq"
	optBuffer   = "buffer"
	optOnSlow   = "on_slow"
	optInt64    = "int64"
)

// Subscribe starts a live query. When it returns, every change of the result
// that is committed after the subscription's Seq will be delivered, exactly
// once and in order. The subscription must be closed.
//
// Errors: UNSUPPORTED for a query that is not one over a single USER or STREAM
// table, RESYNC_REQUIRED when the changes since FromSeq are no longer known,
// RESOURCE_EXHAUSTED past the limits of [live] or when the server is overloaded.
func (s *Session) Subscribe(ctx context.Context, req SubscribeRequest) (*live.Subscription, error) {
	if !s.e.running.Enter() {
		return nil, errStopped
	}
	defer s.e.running.Leave()
	var turn slot.Turn
	// After a restart all clients subscribe at once, and would only ask again.
	if err := s.e.gate.Enter(ctx, &turn, s.principal.User, req.SQL, true); err != nil {
		return nil, err
	}
	defer turn.Leave()
	ctx = context.WithValue(ctx, slot.ContextKey{}, &turn)
	stmt, err := s.subscription(&req)
	if err != nil {
		return nil, err
	}
	ns := req.Namespace
	if ns == "" {
		ns = s.state.Namespace()
	}
	give := nothing
	defer func() { give() }()
	for try := 1; ; try++ {
		sub, err := s.begin(ctx, &req, stmt, ns)
		// The table was altered between compiling and registering.
		var c *table.Conflict
		switch {
		case !errors.As(err, &c):
			return sub, err
		case try == maxTries:
			return nil, dberr.Newf(dberr.Conflict, "The live query could not begin: %v.", c).WithHint("Try again.")
		}
		give()
		if give, err = s.e.turns.take(ctx, []demand{besideAlter(c.Table)}); err != nil {
			return nil, err
		}
	}
}

// subscription parses the request's text and takes over the options in it.
// What the request itself says counts more.
func (s *Session) subscription(req *SubscribeRequest) (*ast.Query, error) {
	q, options, err := liveQuery(req.SQL)
	if err != nil {
		return nil, err
	}
	for i := range options {
		if err := subscribeOption(req, &options[i]); err != nil {
			return nil, placed(err, options[i].Pos, req.SQL)
		}
	}
	return q, s.checkRequest(req)
}

func placed(err error, p ast.Pos, sql string) error {
	if e, ok := dberr.As(err); ok {
		return e.At(p.In(sql))
	}
	return err
}

func subscribeOption(req *SubscribeRequest, o *ast.Option) error {
	value, err := optionText(o)
	if err != nil {
		return err
	}
	number := func(least int64) (int64, error) {
		n, err := strconv.ParseInt(strings.ReplaceAll(value, " ", ""), 10, 64)
		if err != nil || n < least {
			return 0, dberr.Newf(dberr.InvalidSQL, "option %s needs a whole number of at least %d, not %q", o.Name, least, value)
		}
		return n, nil
	}
	switch o.Name {
	case optLastRows:
		n, err := number(-1)
		if err != nil {
			return err
		}
		if req.LastRows == nil {
			req.LastRows = &n
		}
	case optFromSeq:
		n, err := number(0)
		if err != nil {
			return err
		}
		if req.FromSeq == nil {
			u := uint64(n)
			req.FromSeq = &u
		}
	case optBuffer:
		n, err := number(1)
		if err != nil {
			return err
		}
		if req.Buffer == 0 {
			req.Buffer = int(min(n, 1<<30))
		}
	case optOnSlow:
		switch strings.ToLower(value) {
		case "close":
			req.CloseOnSlow = true
		case "resync":
		default:
			return dberr.Newf(dberr.InvalidSQL, "option %s is resync or close, not %q", o.Name, value)
		}
	case optInt64:
		// How numbers are written is for who writes them.
	default:
		return dberr.Newf(dberr.InvalidSQL, "unknown subscription option %q", o.Name).
			WithHint("The options are last_rows, from_seq, buffer, on_slow and int64.")
	}
	return nil
}

func (s *Session) checkRequest(req *SubscribeRequest) error {
	if req.LastRows == nil {
		return nil
	}
	switch most := int64(s.e.cfg.Live.MaxLastRows); {
	case *req.LastRows < -1:
		return dberr.Newf(dberr.InvalidSQL, "last_rows must be -1 or more, not %d", *req.LastRows)
	case most > 0 && *req.LastRows > most:
		return dberr.Newf(dberr.InvalidSQL, "last_rows must be at most %d, not %d", most, *req.LastRows).
			WithHint("-1 asks for all rows; [live] max_last_rows is the limit.")
	}
	return nil
}

// prepareLive compiles and authorises a subscription's query.
func (s *Session) prepareLive(ctx context.Context, state *table.State, text string, q *ast.Query, req *SubscribeRequest, ns ident.NamespaceID) (*live.Plan, error) {
	prep, err := s.e.compiler.Prepare(ctx, sql.Request{Text: text, Statement: q, Namespace: ns, Catalog: state.Catalog, Params: req.Params})
	if err != nil {
		return nil, s.withhold(state.Catalog, ns, text, err)
	}
	if err := s.authorize(prep); err != nil {
		return nil, err
	}
	for _, t := range prep.Reads() {
		switch t.Type {
		case ident.SharedTable:
			return nil, dberr.New(dberr.Unsupported, "Live query subscriptions not supported on shared tables").
				WithHint("Subscribe to a USER or STREAM table; read a SHARED one with SELECT.")
		case ident.SystemTable:
			return nil, dberr.Newf(dberr.Unsupported, "Live query subscriptions not supported on system table %s", t.Ident())
		}
	}
	return s.e.plans.of(prep, q, liveOrigin{text: text, ns: ns, params: req.Params})
}

// begin does one try of Subscribe.
//
// Registering in the hub and taking the state happen between two batches of
// the committer: every change up to the state's sequence number is in the
// state, every later one is published to the subscription.
func (s *Session) begin(ctx context.Context, req *SubscribeRequest, q *ast.Query, ns ident.NamespaceID) (*live.Subscription, error) {
	e := s.e
	now := e.store.Acquire()
	shared, err := s.prepareLive(ctx, now, req.SQL, q, req, ns)
	now.Release()
	if err != nil {
		return nil, err
	}
	origin := shared.Origin.(*liveOrigin)
	plan := origin.plan
	spec := live.Spec{
		ID: newLiveID(), Connection: req.Connection, ClientID: req.ID, User: s.principal.User,
		Plan: shared, Query: origin.text, Options: req.Options, Buffer: req.Buffer, Mux: req.Mux, Tag: req.Tag,
	}
	if req.CloseOnSlow {
		spec.OnSlow = live.CloseSlow
	}
	var sub *live.Subscription
	var state *table.State
	err = e.store.Between(ctx, func(cur *table.State) error {
		if !cur.Catalog.Current(plan.Table) {
			return &table.Conflict{Table: plan.Table.ID}
		}
		var err error
		if sub, err = e.hub.Register(spec); err != nil {
			return err
		}
		state = e.store.Acquire()
		return nil
	})
	if err != nil {
		return nil, err
	}
	start, err := s.startOf(ctx, req, plan, state)
	if err != nil {
		state.Release()
		sub.Close()
		return nil, err
	}
	if err := sub.Start(start); err != nil {
		sub.Close()
		return nil, endedEarly(err)
	}
	return sub, nil
}

// endedEarly is the error of a subscription that was ended before it began.
func endedEarly(err error) error {
	var closed *live.Closed
	switch {
	case !errors.As(err, &closed):
		return err
	case closed.Reason == live.ReasonShutdown:
		return errStopped
	case closed.Err != nil:
		return closed.Err
	case closed.Reason == live.ReasonSlowConsumer:
		return dberr.New(dberr.ResourceExhausted, "the live query has missed changes before it began").
			WithHint("Ask for a larger buffer.")
	}
	return dberr.Newf(dberr.Cancelled, "the live query was ended before it began: %s", closed.Reason)
}

// startOf opens what a subscription begins with. It takes the state over
// unless it fails.
func (s *Session) startOf(ctx context.Context, req *SubscribeRequest, plan *sql.LivePlan, state *table.State) (live.Start, error) {
	start := live.Start{Seq: state.Seq}
	switch {
	case req.FromSeq != nil:
		after := change.Seq(*req.FromSeq)
		if after == state.Seq {
			break
		}
		rows, err := s.e.since(ctx, plan, s.principal.User, after, state)
		if err != nil {
			return live.Start{}, err
		}
		start.CatchUp = &heldRows{rows: rows, state: state}
		return start, nil
	case req.LastRows != nil && *req.LastRows != 0:
		rows, err := plan.Initial(ctx, s.e.liveEnv(state, s.principal.User), *req.LastRows)
		if err != nil {
			return live.Start{}, err
		}
		start.Initial = &heldRows{rows: rows, state: state}
		return start, nil
	}
	state.Release()
	return start, nil
}

// liveEnv is what reading for a subscription reads its world from.
func (e *Engine) liveEnv(state *table.State, user ident.UserID) *exec.Env {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &exec.Env{
		Snapshot: &table.View{Store: e.store, State: state, User: user, Now: now},
		Now:      now, User: user, Role: ident.RoleUser,
		IDs: e.ids, Version: e.version, MemoryLimit: e.cfg.Query.MemoryLimit.Bytes(), Memory: e.memory,
	}
}

// since reads the rows that changed after a sequence number.
func (e *Engine) since(ctx context.Context, plan *sql.LivePlan, user ident.UserID, after change.Seq, state *table.State) (exec.Rows, error) {
	env := e.liveEnv(state, user)
	if after > state.Seq {
		return nil, dberr.Newf(dberr.ResyncRequired, "The sequence number %d is ahead of this server, which is at %d.", after, state.Seq).
			WithHint("Read the rows again.")
	}
	lost, err := e.store.Lost(state, plan.Table, user, env.Now)
	if err != nil {
		return nil, err
	}
	if after < lost {
		return nil, dberr.Newf(dberr.ResyncRequired, "The changes since %d are no longer kept.", after).
			WithHint("Read the rows again.")
	}
	return plan.Since(ctx, env, after)
}

// resume is the hub's way to read again what a subscription missed.
type resume struct{ e *Engine }

var _ live.Source = resume{}

// Since implements live.Source.
func (r resume) Since(ctx context.Context, plan *live.Plan, user ident.UserID, after change.Seq) (live.RowSource, change.Seq, error) {
	o, ok := plan.Origin.(*liveOrigin)
	if !ok {
		return nil, 0, fmt.Errorf("resume a live query with a plan of %T", plan.Origin)
	}
	state := r.e.store.Acquire()
	rows, err := r.e.since(ctx, o.plan, user, after, state)
	if err != nil {
		state.Release()
		return nil, 0, err
	}
	return &heldRows{rows: rows, state: state}, state.Seq, nil
}

// heldRows keeps the state that rows are read from until they are closed.
type heldRows struct {
	rows  exec.Rows
	state *table.State
	once  sync.Once
}

// Next implements live.RowSource.
func (h *heldRows) Next(ctx context.Context) (*vector.Batch, error) { return h.rows.Next(ctx) }

// Close implements live.RowSource.
func (h *heldRows) Close() {
	h.once.Do(func() {
		h.rows.Close()
		h.state.Release()
	})
}

// newLiveID makes an id that nobody guesses.
func newLiveID() ident.LiveID { return ident.LiveID("lq_" + randomName()) }

func randomName() string {
	var b [15]byte
	// It never fails; see its documentation.
	_, _ = rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// subscribeAnswer tells a client that sent SUBSCRIBE TO as a plain statement
// where to subscribe. The query is checked like one.
func (st *statement) subscribeAnswer(ctx context.Context, state *table.State, x *ast.Subscribe) error {
	req := SubscribeRequest{SQL: st.text, Params: st.params}
	options := map[string]json.RawMessage{}
	for i := range x.Options {
		o := &x.Options[i]
		if err := subscribeOption(&req, o); err != nil {
			return st.at(err, o.Pos)
		}
		value, err := optionText(o)
		if err != nil {
			return st.at(err, o.Pos)
		}
		raw := json.RawMessage(value)
		if _, isText := o.Value.(*ast.StringLit); isText || !json.Valid(raw) {
			if raw, err = json.Marshal(value); err != nil {
				return fmt.Errorf("encode option: %w", err)
			}
		}
		options[o.Name] = raw
	}
	if err := st.s.checkRequest(&req); err != nil {
		return err
	}
	if _, err := st.s.prepareLive(ctx, state, st.text, x.Query, &req, st.namespace); err != nil {
		return err
	}
	sub, err := json.Marshal(map[string]any{"id": "sub_" + randomName(), "sql": ast.SQL(x.Query), "options": options})
	if err != nil {
		return fmt.Errorf("encode subscription: %w", err)
	}
	r := &result{}
	r.texts("status", "ws_url")
	r.col("subscription", sqltype.TJSON)
	r.texts("message")
	const message = "Subscriptions are delivered over WebSocket: connect to ws_url and send the subscription."
	r.add(text("subscription_required"), text(st.s.e.webSocketURL()), sqltype.NewString(sqltype.JSON, string(sub)), text(message))
	return st.show(r, Outcome{Message: message})
}

// webSocketURL is where this server takes subscriptions, as far as it knows.
func (e *Engine) webSocketURL() string {
	scheme := "ws"
	if e.cfg.Server.TLSCert != "" {
		scheme = "wss"
	}
	host := e.cfg.Server.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(e.cfg.Server.Port)) + "/v1/ws"
}
