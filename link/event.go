package link

import (
	"strconv"
	"time"
)

// EventKind tells what an Event is about.
type EventKind uint8

// The kinds of events. Those up to EventDelete carry a row; the others tell
// about the subscription itself.
const (
	// EventInitial is a row that matched when the subscription began.
	EventInitial EventKind = iota
	// EventInsert is a row that came into the subscription's result.
	EventInsert
	// EventUpdate is a row that changed and stays in the result; Old is what it
	// was.
	EventUpdate
	// EventDelete is a row that left the result; Old is what it was.
	EventDelete

	// EventReady is always the first event: from now on no change is missed.
	EventReady
	// EventLoaded follows the last EventInitial, also when there was none.
	EventLoaded
	// EventSchema tells that the columns changed; Columns are the new ones.
	EventSchema
	// EventReconnecting tells that the connection was lost, why, and which
	// attempt to make it again comes next.
	EventReconnecting
	// EventReconnected tells that the subscription goes on where it was.
	EventReconnected
	// EventResynced tells that the server no longer has what was missed: the
	// subscription starts anew, with its initial rows if it asked for some, and
	// what the program knows of the rows is to be dropped.
	EventResynced
)

var eventNames = [...]string{"initial", "insert", "update", "delete", "ready", "loaded", "schema", "reconnecting", "reconnected", "resynced"}

// String is the kind in lower case.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "event(" + strconv.Itoa(int(k)) + ")"
}

// HasRow tells whether events of this kind carry a row.
func (k EventKind) HasRow() bool { return k <= EventDelete }

// Event is one thing that a subscription tells.
type Event struct {
	Kind EventKind
	// Row is the row as it is now: of a delete, as it was last. It also holds
	// the system columns _updated and _deleted. It stays valid.
	Row *Record
	// Old is the row before an update or delete; nil when the server did not
	// send it.
	Old *Record
	// Seq is the commit sequence of the change. To resume later, keep
	// Subscription.Seq: events marked CatchUp or Resync come in no order of it.
	Seq uint64
	// Time is when the change was committed.
	Time time.Time
	// CatchUp marks a change that happened while the connection was lost.
	// Several changes of one row come as its newest state.
	CatchUp bool
	// Resync marks a change that stands for several that were not read fast
	// enough.
	Resync bool
	// Columns are the result's columns (EventReady, EventSchema).
	Columns []Column
	// LiveID is the server's name of the live query (EventReady,
	// EventReconnected, EventResynced).
	LiveID string
	// Err is why the connection was lost (EventReconnecting).
	Err error
	// Attempt counts the attempts to connect again, from 1 (EventReconnecting).
	Attempt int
}
