// How many runs of a workflow go on at a time, and whose turn it is.

package flow

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Execution says how many runs of a workflow go on at a time, and what becomes of one more. The zero value is any
// number of them.
type Execution struct {
	Limit int  `json:"limit,omitempty"` // 0: none
	Over  Over `json:"over,omitempty"`
}

// Over says what becomes of a run when as many go on as may.
type Over string

// What becomes of a run that is one too many; "" is wait.
const (
	OverWait       Over = "wait"        // it waits until one before it has ended, in order of submission
	OverDiscard    Over = "discard"     // it ends at once: stopped, discarded
	OverStopOldest Over = "stop_oldest" // the oldest are stopped, and it begins when they have ended
)

// TurnWaits ends the reason of a run that waits for its turn; who names the runs before it puts them in its place.
const TurnWaits = "; it waits for those before it"

// Admission is the payload of an InboxAdmission: the turn of a queued run has come, or never will.
type Admission struct {
	Discard bool   `json:"discard,omitempty"`
	Why     string `json:"why,omitempty"` // a sentence, of one that is discarded
}

// Admitted tells what giving turns came to.
type Admitted struct {
	Given int  // orders in inboxes
	Again []ID // workflows that could not be decided about, or of which there is more to decide
	Next  ID   // of a look at all: there may be more workflows after this one; 0: there are none
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

// Turns decides who is told what. Those that go on and those that wait are in order of submission; who was told
// that its turn has come goes on. What was submitted after before, the oldest start that is not a run yet, waits
// for it; 0: there is none.
func (e Execution) Turns(going, waiting []Seat, before ID) []Order {
	if before != 0 {
		waiting = slices.DeleteFunc(slices.Clone(waiting), func(w Seat) bool { return w.ID > before && w.Times == 1 })
	}
	if e.Limit > 0 && e.Over == OverStopOldest {
		return e.newest(going, waiting)
	}
	free := max(e.Limit-len(going), 0)
	if e.Limit == 0 { // it is not limited any more
		free = len(waiting)
	}
	var out []Order
	for i, w := range waiting {
		if i < free {
			out = append(out, Order{w, OrderAdmit, ""})
		} else if e.Over == OverDiscard {
			out = append(out, Order{w, OrderDiscard, fmt.Sprintf("%d of at most %d runs of the workflow were going on", len(going), e.Limit)})
		}
	}
	return out
}

// newest has the newest runs go on: they begin as soon as there is room, and who is older makes room.
func (e Execution) newest(going, waiting []Seat) []Order {
	var out []Order
	late := max(len(waiting)-e.Limit, 0)
	for _, w := range waiting[:late] {
		out = append(out, Order{w, OrderDiscard, "a newer run of the workflow takes its place"})
	}
	keep := waiting[late:]
	for _, w := range keep[:min(len(keep), max(e.Limit-len(going), 0))] {
		out = append(out, Order{w, OrderAdmit, ""})
	}
	for _, g := range going[:min(len(going), max(len(going)+len(keep)-e.Limit, 0))] {
		if g.State == InstanceQuarantined {
			continue // an order would have it read again, which may be what ends masters: that is a person's to give
		}
		out = append(out, Order{g, OrderOust, ""})
	}
	return out
}

// Item is what the run finds in its inbox. Who is told something by this kind of order is told once.
func (o Order) Item(id ID, at Time) InboxItem {
	kind, payload := InboxAdmission, any(Admission{Discard: o.Kind == OrderDiscard, Why: o.Why})
	switch o.Kind {
	case OrderOust:
		kind, payload = InboxVerb, Verb{Name: VerbStop, By: "execution: a newer run takes its place"}
	case OrderEnd:
		kind, payload = InboxVerb, Verb{Name: VerbStop, By: o.Why}
	default:
	}
	raw, _ := json.Marshal(payload) // texts: it cannot fail
	return InboxItem{ID: id, Instance: o.ID, Kind: kind, Dedup: o.Dedup(), Payload: raw, At: at}
}

// Dedup is the key by which the store keeps an order once, for each time that the run runs.
func (o Order) Dedup() string { return fmt.Sprintf("%s:%d:%d", o.Kind, int64(o.ID), o.Times) }
