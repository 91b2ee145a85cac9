// Turns: who of the runs that wait for each other begins.

package flow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxTurnKey bounds the characters of a key.
const MaxTurnKey = 256

// TurnKey names runs that wait for each other: those of a workflow, or of one key of it.
type TurnKey struct {
	Workflow ID
	Key      string
}

// Compare orders keys as the store does.
func (k TurnKey) Compare(o TurnKey) int {
	return cmp.Or(cmp.Compare(k.Workflow, o.Workflow), cmp.Compare(k.Key, o.Key))
}

// TurnWait is when turns are to be given again, if nobody asks before.
type TurnWait struct {
	TurnKey
	In time.Duration // from now: clocks differ
}

// TurnRule is what a workflow says of the turns of its runs. Where both have a key it is the same.
type TurnRule struct {
	Execution Execution
	Rate      Rate
}

// Turns is what the workflow says of the turns of its runs.
func (w *Workflow) Turns() TurnRule { return TurnRule{w.Execution, w.Rate} }

// Waits tells whether a run waits for its turn at all.
func (r TurnRule) Waits() bool { return r.Execution.Limit > 0 || r.Rate.Starts > 0 }

// Key is the text whose value the runs share that wait for each other; "": all of the workflow do.
func (r TurnRule) Key() string { return cmp.Or(r.Execution.Key, r.Rate.Key) }

// TurnWaits ends the reason of a run that waits for its turn; who knows what is before it puts that in its place.
const TurnWaits = "; it waits for those before it"

// Reason is why a run with a key waits for its turn, without what is before it.
func (r TurnRule) Reason(key string) string {
	runs := "runs of this workflow"
	if r.Key() != "" {
		runs += fmt.Sprintf(" with key %q", key)
	}
	var rules []string
	switch l := r.Execution.Limit; {
	case l == 1:
		rules = append(rules, runs+" go one after another")
	case l > 1:
		rules = append(rules, fmt.Sprintf("at most %d %s go on at a time", l, runs))
	}
	if r.Rate.Starts > 0 {
		if len(rules) > 0 {
			runs = "of them"
		}
		rules = append(rules, fmt.Sprintf("at most %d %s begin in %s", r.Rate.Starts, runs, r.Rate.Per))
	}
	return ReasonTurn + ": " + strings.Join(rules, ", and ")
}

// Line is how those stand that wait for each other, when turns are given.
type Line struct {
	// Those that go on and those that wait, in order of submission. Who was told that its turn has come goes on.
	Going, Waiting []Seat
	Before         ID     // the oldest start that is not a run yet; 0: there is none
	Starts         []Time // of the last that began, oldest first: as many as the rate has, or all there are
	Now            Time
}

// behindStart is how soon is looked again for those that wait behind a start that is not a run yet: its key may be
// another one, so that who makes it a run does not ask about them.
const behindStart = 50 * time.Millisecond

// Give decides who is told what. What was submitted after a start that is not a run yet waits for it. later is when
// there is more to give although nothing happens until then; 0: then there is not.
//
// Who is one too many is so by the limit alone: a run that waits for the rate takes nobody's place.
func (r TurnRule) Give(l Line) (orders []Order, later Time) {
	waiting := l.Waiting
	if l.Before != 0 {
		waiting = slices.DeleteFunc(slices.Clone(waiting), func(w Seat) bool { return w.ID > l.Before && w.Times == 1 })
		if len(waiting) < len(l.Waiting) {
			later = l.Now.Add(behindStart)
		}
	}
	room := len(waiting) // in which some may begin
	if r.Execution.Limit > 0 {
		room = max(r.Execution.Limit-len(l.Going), 0)
	}
	w := r.Rate.window(l.Starts, l.Now)
	give := r.Execution.oldest
	if r.Execution.Limit > 0 && r.Execution.Over == OverStopOldest {
		give = r.Execution.newest
	}
	orders, held := give(l.Going, waiting, room, w.free(len(waiting)))
	for i := range orders {
		if orders[i].Kind == OrderAdmit && r.Rate.Starts > 0 {
			orders[i].At = w.begin()
		}
	}
	if at := w.begin(); held && at > l.Now {
		later = Earliest(later, at)
	}
	return orders, later
}

// oldest has those begin that were submitted first, of whom free may by the rate. held: one waits for that alone.
func (e Execution) oldest(going, waiting []Seat, room, free int) (out []Order, held bool) {
	may := min(room, free, len(waiting))
	for _, w := range waiting[:may] {
		out = append(out, Order{Seat: w, Kind: OrderAdmit})
	}
	rest := waiting[may:]
	if may < room {
		return out, len(rest) > 0
	}
	if e.Limit > 0 && e.Over == OverDiscard {
		why := fmt.Sprintf("%d of at most %d runs of the workflow were going on", len(going)+may, e.Limit)
		if e.Key != "" {
			why = fmt.Sprintf("%d of at most %d runs of the workflow with its key were going on", len(going)+may, e.Limit)
		}
		for _, w := range rest {
			out = append(out, Order{Seat: w, Kind: OrderDiscard, Why: why})
		}
	}
	return out, false
}

// newest has the newest runs go on: they begin as soon as there is room, and who is older makes room. Nobody makes room
// for one that may not begin yet.
func (e Execution) newest(going, waiting []Seat, room, free int) (out []Order, held bool) {
	late := max(len(waiting)-e.Limit, 0)
	for _, w := range waiting[:late] {
		out = append(out, Order{Seat: w, Kind: OrderDiscard, Why: "a newer run of the workflow takes its place"})
	}
	keep := waiting[late:]
	for _, w := range keep[:min(len(keep), room, free)] {
		out = append(out, Order{Seat: w, Kind: OrderAdmit})
	}
	wanted := min(len(keep), free)
	for _, g := range going[:min(len(going), max(len(going)+wanted-e.Limit, 0))] {
		if g.State == InstanceQuarantined {
			continue // an order would have it read again, which may be what ends masters: that is a person's to give
		}
		out = append(out, Order{Seat: g, Kind: OrderOust})
	}
	return out, wanted < len(keep)
}

// TurnStanding is how a run stands that waits for its turn.
type TurnStanding struct {
	Rule   TurnRule // as the newest version says it
	Key    string
	Going  []Seat // that hold it up
	Before []Seat // that wait too, and were submitted before it
	More   bool   // of either
	At     Time   // when the rate lets it begin, or the first of those before it, where they are too many; 0: it may now
}
