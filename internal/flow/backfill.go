// Backfills: a run for each of many dates, so many at a time, and what becomes of the whole.

package flow

import (
	"fmt"
	"slices"
)

const (
	// MaxBackfillDates bounds one backfill: its dates are written by one transaction, and read by one answer.
	MaxBackfillDates = 10_000
	// MaxBackfillParallel bounds the runs of one backfill that go on at a time.
	MaxBackfillParallel = 500
	// BackfillDigest begins what an idempotency key of a backfill stands for: runs and backfills share the keys.
	BackfillDigest = "backfill:"
)

// BackfillState is where a backfill stands.
type BackfillState uint8

// States of a backfill. Numbers are stored: never reuse one.
const (
	BackfillRunning   BackfillState = 1
	BackfillPaused    BackfillState = 2 // no date begins; runs go on
	BackfillStopping  BackfillState = 3 // its runs are told to end
	BackfillStopped   BackfillState = 4
	BackfillFailed    BackfillState = 5
	BackfillSucceeded BackfillState = 6
)

var backfillNames = [...]string{"", "running", "paused", "stopping", "stopped", "failed", "succeeded"}

func (s BackfillState) String() string { return stateName(backfillNames[:], uint8(s)) }

// Ended tells whether no date of it begins any more by itself.
func (s BackfillState) Ended() bool { return s >= BackfillStopped }

// ParseBackfillState reads a state's name.
func ParseBackfillState(word string) (BackfillState, error) {
	v, err := parseState(backfillNames[:], "backfill", word)
	return BackfillState(v), err
}

// Backfill is a plan: a run of a workflow for each of its dates, in their order. Which versions they run is found
// out as they begin: the newest, as everywhere.
type Backfill struct {
	ID       ID
	Project  ID
	Workflow ID
	State    BackfillState
	// Start is how each run is started; the data time is that of the date.
	Start      Start
	Zone       string
	Descending bool // the latest date first; that is the order of its items
	Parallel   int  // at most so many runs at a time
	Halt       bool // on_failure: stop: after a date that did not succeed no other begins
	Dates      int  // how many there are, of all its workflows
	Cascaded   int  // how many of them are of workflows that depend on its own
	Reason     string
	CreatedAt  Time
	EndedAt    Time
}

// BackfillItem is one date of a backfill.
type BackfillItem struct {
	Part     int // whose it is: the number of a part
	Level    int // of that part
	DataTime Time
	Instance ID            // its run; 0: none
	State    InstanceState // of the run, or how it ended if that is not kept any more; 0: the date has not begun
	Reason   string
}

// BackfillPart is one workflow of a backfill, run by the times of one schedule: part 0 is the backfill's own, the others
// are those that depend on it.
type BackfillPart struct {
	Level    int // 0 for its own; a level begins when all dates of those before it have ended
	Workflow ID
	Start    Start
	Zone     string
	Dates    int
	Reason   string // "code: a sentence": why it has no dates, or not all that may depend on it
	// Names and counts, as people read it.
	ProjectName  string
	WorkflowName string
	From, To     Time // 0: it has no dates
	Counts       BackfillCounts
}

// Own is the part of the workflow that the backfill is of.
func (b *Backfill) Own() BackfillPart {
	return BackfillPart{Workflow: b.Workflow, Start: b.Start, Zone: b.Zone, Dates: b.Dates - b.Cascaded}
}

// NamedBackfill is a backfill as people read it.
type NamedBackfill struct {
	Backfill
	ProjectName  string
	WorkflowName string
	From, To     Time           // its earliest and latest date, those of dependents aside
	Items        []BackfillItem // in the order in which they begin; a list has none
	Parts        []BackfillPart // its own and those of its dependents; none without cascade, and in a list
	Counts       BackfillCounts
}

// Count sums up the items, and by parts if there are dependents: Parts, which were these, then begin with its own.
func (b *NamedBackfill) Count() {
	if len(b.Parts) > 0 {
		own := b.Own()
		own.ProjectName, own.WorkflowName = b.ProjectName, b.WorkflowName
		b.Parts = slices.Insert(b.Parts, 0, own)
	}
	for _, i := range b.Items {
		b.Counts.Add(i.State, 1)
		if len(b.Parts) > 0 {
			p := &b.Parts[i.Part]
			p.Counts.Add(i.State, 1)
			p.From, p.To = Earliest(p.From, i.DataTime), max(p.To, i.DataTime)
		}
	}
}

// BackfillCounts are the dates of a backfill by what became of them.
type BackfillCounts struct {
	Waiting   int // not begun
	Going     int // their run goes on
	Succeeded int
	Failed    int
	Stopped   int
}

// Add counts dates in a state of an item.
func (c *BackfillCounts) Add(s InstanceState, n int) {
	switch s {
	case 0:
		c.Waiting += n
	case InstanceSucceeded:
		c.Succeeded += n
	case InstanceFailed:
		c.Failed += n
	case InstanceStopped:
		c.Stopped += n
	default:
		c.Going += n
	}
}

// BackfillFilter narrows a list of backfills. Zero fields do not narrow.
type BackfillFilter struct {
	Project  string
	Workflow string
	Instance ID // the one that started this run
	States   []BackfillState
	Limit    int
	Cursor   ID
}

// BackfillStand is how the dates of a backfill stand. What is counted are the runs themselves, as a person may have
// left them: there is no number that could be wrong.
type BackfillStand struct {
	Going  int // runs that have not ended
	Failed int // dates whose run ended otherwise than succeeded, or could not be ordered
	Left   int // dates that have not begun
	Held   int // of them those that may not begin yet: their level has not come
}

// HeldDates counts of dates that are next, by their levels in the order in which they begin, those that may not begin
// beside runs of some levels that go on: a level begins when all dates before it have begun and ended.
func HeldDates(next, going []int) int {
	for i, level := range next {
		if level != next[0] || slices.ContainsFunc(going, func(on int) bool { return on < level }) {
			return len(next) - i
		}
	}
	return 0
}

// BackfillStep is what is done next about a backfill.
type BackfillStep struct {
	Start  int // so many of the dates that are left begin
	State  BackfillState
	Reason string
}

// Next decides what is done about a backfill whose dates stand so. While runs go on, Left need not be more than could
// begin, and Failed is only asked for if failures matter; when none does, both must be exact.
func (b *Backfill) Next(s BackfillStand) BackfillStep {
	same := BackfillStep{0, b.State, b.Reason}
	switch b.State {
	case BackfillRunning:
		if b.Halt && s.Failed > 0 {
			return b.halted(s)
		}
		room := max(b.Parallel-s.Going, 0)
		switch n := min(s.Left-s.Held, room); {
		case n == 0 && s.Held > 0 && room > 0:
			return BackfillStep{0, BackfillRunning, "level: the dates of the next level begin when all before them have ended"}
		case n > 0 || s.Going > 0:
			return BackfillStep{n, BackfillRunning, ""}
		}
		return b.over(s)
	case BackfillPaused:
		if s.Left > 0 || s.Going > 0 {
			return same
		}
		return b.over(s)
	case BackfillStopping:
		if s.Going > 0 {
			return same
		}
		return BackfillStep{0, BackfillStopped, "stopped: " + b.of(s.Left, "had not begun")}
	case BackfillFailed, BackfillSucceeded:
		// A person may have recovered, or rerun, runs of it since.
		if s.Left > 0 || s.Going > 0 {
			return same
		}
		return b.over(s)
	default: // stopped, or a state of a newer program
		return same
	}
}

// halted is a backfill that a failure has ended, or will when its runs have.
func (b *Backfill) halted(s BackfillStand) BackfillStep {
	why := ReasonOnFailure + ": " + b.of(s.Failed, "did not succeed")
	switch {
	case s.Going > 0:
		return BackfillStep{0, BackfillRunning, why + "; no other begins, and what runs goes on"}
	case s.Left == 0:
		return b.over(s)
	default:
		return BackfillStep{0, BackfillFailed, fmt.Sprintf("%s, so %s left out; `baton backfill --resume %s` goes on when it is recovered, or with --on-failure continue", why, count(s.Left, "was", "were"), b.ID)}
	}
}

// over is the end of a backfill all of whose dates have begun and ended.
func (b *Backfill) over(s BackfillStand) BackfillStep {
	if s.Failed > 0 {
		return BackfillStep{0, BackfillFailed, "dates: " + b.of(s.Failed, "did not succeed")}
	}
	return BackfillStep{0, BackfillSucceeded, ""}
}

func (b *Backfill) of(n int, what string) string {
	return fmt.Sprintf("%d of %s %s", n, plural(b.Dates, "date"), what)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// BackfillOrder is a person's order to a backfill: pause, resume or stop.
type BackfillOrder struct {
	Verb string
	// OnFailure changes what a failed date does, with resume: continue or stop; "" leaves it.
	OnFailure string
	By        string
}

// What a date that did not succeed does to those that have not begun.
const (
	OnFailureContinue = "continue"
	OnFailureStop     = "stop"
)

// Obey makes the backfill as an order wants it; one that is so already is no error. Failed and Left of the stand must be exact.
func (b *Backfill) Obey(o BackfillOrder, s BackfillStand) error {
	no := func(format string, args ...any) error {
		return Errorf(CodeConflict, "", "backfill %s is %s: %s", b.ID, b.State, fmt.Sprintf(format, args...))
	}
	switch o.Verb {
	case VerbPause:
		if b.State == BackfillStopping || b.State.Ended() {
			return no("there is nothing to pause")
		}
		if b.State == BackfillRunning {
			b.State, b.Reason = BackfillPaused, ReasonPaused+": no date begins until `baton backfill --resume "+b.ID.String()+"`; what runs goes on"
		}
	case VerbResume:
		return b.resume(o, s, no)
	case VerbStop:
		if b.State == BackfillFailed || b.State == BackfillSucceeded {
			return no("nothing of it goes on")
		}
		if !b.State.Ended() && b.State != BackfillStopping {
			b.State, b.Reason = BackfillStopping, ReasonStopping+": no date begins any more, and its runs are being stopped"
		}
	default:
		return Errorf(CodeBadRequest, "verb", "%q is no order to a backfill; one of pause, resume, stop", o.Verb)
	}
	return nil
}

func (b *Backfill) resume(o BackfillOrder, s BackfillStand, no func(string, ...any) error) error {
	halt := b.Halt
	switch o.OnFailure {
	case OnFailureContinue:
		halt = false
	case OnFailureStop:
		halt = true
	}
	switch b.State {
	case BackfillStopping, BackfillStopped:
		return no("that is for good; start another one for the dates that were left out")
	case BackfillFailed, BackfillSucceeded:
		if s.Left == 0 {
			return no("all its dates have begun; `baton recover` takes up a run that failed, and `baton get backfills %s` shows which", b.ID)
		}
		if halt && s.Failed > 0 {
			return no("%s; `baton recover` the run first (`baton get backfills %s` shows which), or resume with --on-failure continue", b.of(s.Failed, "did not succeed"), b.ID)
		}
		b.EndedAt = 0
	default:
	}
	b.State, b.Reason, b.Halt = BackfillRunning, "", halt
	return nil
}

// Stops are the orders that end the runs of a backfill that go on; each is given once, for each time that the run runs.
func (b *Backfill) Stops(going []Seat, by string) []Order {
	out := make([]Order, len(going))
	for i, s := range going {
		out[i] = Order{Seat: s, Kind: OrderEnd, Why: by}
	}
	return out
}

// Advanced tells what advancing backfills came to.
type Advanced struct {
	Started int  // runs that were ordered
	Again   []ID // backfills of which there is more to decide
	Next    ID   // of a look at all: there may be more after this one; 0: there are none
}
