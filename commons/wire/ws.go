package wire

import "encoding/json"

// Types of the messages that a client sends.
const (
	TypeAuthenticate = "authenticate"
	TypeSubscribe    = "subscribe"
	TypeUnsubscribe  = "unsubscribe"
	TypePing         = "ping"
)

// Types of the messages that the server sends.
const (
	TypeAuthenticated   = "authenticated"
	TypeSubscriptionAck = "subscription_ack"
	TypeInitialData     = "initial_data"
	TypeChange          = "change"
	TypeSchema          = "schema"
	TypeError           = "error"
	TypeClosed          = "closed"
	TypePong            = "pong"
)

// Reasons of a closed subscription.
const (
	ReasonKilled       = "killed"
	ReasonTableDropped = "table_dropped"
	ReasonSlowConsumer = "slow_consumer"
	ReasonShutdown     = "shutdown"
)

// What happens to a subscription whose reader is too slow.
const (
	OnSlowResync = "resync"
	OnSlowClose  = "close"
)

// ClientMessage is any message of a client. Type may be left out when
// Subscriptions is there.
type ClientMessage struct {
	Type           string         `json:"type,omitempty"`
	Token          string         `json:"token,omitempty"`
	Subscriptions  []Subscription `json:"subscriptions,omitempty"`
	SubscriptionID string         `json:"subscription_id,omitempty"`
}

// Subscription asks for a live query.
type Subscription struct {
	// ID is the client's name for it, unique on the connection.
	ID     string            `json:"id"`
	SQL    string            `json:"sql"`
	Params []json.RawMessage `json:"params,omitempty"`
	// NamespaceID is the current namespace of the query.
	NamespaceID string               `json:"namespace_id,omitempty"`
	Options     *SubscriptionOptions `json:"options,omitempty"`
}

// SubscriptionOptions tune a live query.
type SubscriptionOptions struct {
	// LastRows asks for the newest n matching rows first; -1 for all of them.
	LastRows *int `json:"last_rows,omitempty"`
	// FromSeq resumes behind the last sequence number that the client saw.
	FromSeq *uint64 `json:"from_seq,omitempty"`
	// Int64 is "number" (the default) or "string".
	Int64 string `json:"int64,omitempty"`
	// Buffer is how many changes the server may keep for a slow reader.
	Buffer int `json:"buffer,omitempty"`
	// OnSlow says what happens past that: "resync" (the default) or "close".
	OnSlow string `json:"on_slow,omitempty"`
}

// ServerMessage is any message of the server; which fields it has depends on
// Type.
type ServerMessage struct {
	Type           string            `json:"type"`
	SubscriptionID string            `json:"subscription_id,omitempty"`
	LiveID         string            `json:"live_id,omitempty"`
	LastRows       *int              `json:"last_rows,omitempty"`
	Schema         []Column          `json:"schema,omitempty"`
	ChangeType     string            `json:"change_type,omitempty"`
	Rows           []json.RawMessage `json:"rows,omitempty"`
	OldValues      []json.RawMessage `json:"old_values,omitempty"`
	Count          int               `json:"count,omitempty"`
	Seq            uint64            `json:"seq,omitempty"`
	// Last marks the last part of the initial data, and the last message with
	// CatchUp or Resync.
	Last bool `json:"last,omitempty"`
	// CatchUp marks a change that happened before the subscription resumed.
	CatchUp bool `json:"catch_up,omitempty"`
	// Resync marks a change that stands for several that a slow reader missed.
	Resync    bool   `json:"resync,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Reason    string `json:"reason,omitempty"`
	UserID    string `json:"user_id,omitempty"`
}
