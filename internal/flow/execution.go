// How many runs of a workflow go on at a time, and whose turn it is.

package flow

import (
	"encoding/json"
	"fmt"
)

// Execution says how many runs of a workflow go on at a time, and what becomes of one more. The zero value is any
// number of them.
type Execution struct {
	Limit int    `json:"limit,omitempty"` // 0: none
	Over  Over   `json:"over,omitempty"`
	Key   string `json:"key,omitempty"` // a text with ${…}: the limit is one of the runs with the same key; "": of all
}

// Over says what becomes of a run when as many go on as may.
type Over string

// What becomes of a run that is one too many; "" is wait.
const (
	OverWait       Over = "wait"        // it waits until one before it has ended, in order of submission
	OverDiscard    Over = "discard"     // it ends at once: stopped, discarded
	OverStopOldest Over = "stop_oldest" // the oldest are stopped, and it begins when they have ended
)

// Admission is the payload of an InboxAdmission: the turn of a queued run has come, or never will.
type Admission struct {
	Discard bool   `json:"discard,omitempty"`
	Why     string `json:"why,omitempty"` // a sentence, of one that is discarded
	At      Time   `json:"at,omitempty"`  // when its turn came, of a workflow that has a rate: it began then
	// Times is the time that the run runs, of which this was said: one that runs again has lost that turn. 0: it was not
	// written down.
	Times int32 `json:"times,omitempty"`
}

// Admitted tells what giving turns came to.
type Admitted struct {
	Given int        // orders in inboxes
	Again []TurnKey  // could not be decided about, or there is more to decide
	Later []TurnWait // nobody tells of the moment at which somebody's turn comes
	Next  TurnKey    // of a look at all: there may be more after this one; the zero value: there are none
}

// Seat is a run that takes a place of its workflow, or waits for one.
type Seat struct {
	ID    ID
	Times int32 // its RunTimes
	State InstanceState
}

// Order is what one run is told when turns are given.
type Order struct {
	Seat
	Kind OrderKind
	Why  string // a sentence, of one that is discarded; who says so, of one that ends with its backfill
	At   Time   // see Admission
}

// OrderKind says what a run is told.
type OrderKind string

// What a run is told: it goes on, it never will, it makes room for a newer one, it ends with its backfill.
const (
	OrderAdmit   OrderKind = "admit"
	OrderDiscard OrderKind = "discard"
	OrderOust    OrderKind = "oust"
	OrderEnd     OrderKind = "end"
)

// Item is what the run finds in its inbox. Who is told something by this kind of order is told once.
func (o Order) Item(id ID, at Time) InboxItem {
	kind, payload := InboxAdmission, any(Admission{Discard: o.Kind == OrderDiscard, Why: o.Why, At: o.At, Times: o.Times})
	switch o.Kind {
	case OrderOust:
		kind, payload = InboxVerb, Verb{Name: VerbStop, By: "execution: a newer run takes its place", Times: o.Times}
	case OrderEnd:
		kind, payload = InboxVerb, Verb{Name: VerbStop, By: o.Why, Times: o.Times}
	default:
	}
	raw, _ := json.Marshal(payload) // texts: it cannot fail
	return InboxItem{ID: id, Instance: o.ID, Kind: kind, Dedup: o.Dedup(), Payload: raw, At: at}
}

// Dedup is the key by which the store keeps an order once, for each time that the run runs.
func (o Order) Dedup() string { return fmt.Sprintf("%s:%d:%d", o.Kind, int64(o.ID), o.Times) }
