// Triggers: what starts a workflow beside a person and the clock, and what became of each event.

package flow

import (
	"cmp"
	"slices"
	"strings"
)

// Trigger says which event starts a workflow. Exactly one of After, Webhook, Notify and File is set. Its JSON form is
// what the store keeps and what revisions are compared by, so fields are only added, with omitempty.
type Trigger struct {
	Name     string   `json:"name"`
	After    *After   `json:"after,omitempty"`
	Webhook  *Webhook `json:"webhook,omitempty"`
	Notify   *Notify  `json:"notify,omitempty"`
	File     *Arrival `json:"file,omitempty"`
	Window   Duration `json:"window,omitempty"`   // of After; 0 is DefaultWindow
	Params   []Pair   `json:"params,omitempty"`   // texts, with expressions over the event
	Disabled bool     `json:"disabled,omitempty"` // at first: a verb changes it for good
}

// DefaultWindow is how old an end may be, seen from the newest, that still counts.
const DefaultWindow = Duration(24 * 60 * 60 * 1e9)

// TriggerKind names what a trigger waits for.
type TriggerKind string

// Kinds of triggers, as a file names them.
const (
	TriggerAfter   TriggerKind = "after"
	TriggerWebhook TriggerKind = "webhook"
	TriggerNotify  TriggerKind = "notify"
	TriggerFile    TriggerKind = "file"
)

// Kind tells what the trigger waits for.
func (t Trigger) Kind() TriggerKind {
	switch {
	case t.Webhook != nil:
		return TriggerWebhook
	case t.Notify != nil:
		return TriggerNotify
	case t.File != nil:
		return TriggerFile
	default:
		return TriggerAfter
	}
}

// Webhook is an HTTP request by somebody who knows a secret, which the API processes know.
type Webhook struct {
	Secret Secret `json:"secret"`
}

// WindowOr is the window, or the usual one.
func (t Trigger) WindowOr() Duration { return cmp.Or(t.Window, DefaultWindow) }

// After is a set of ends of runs: all of them, or any.
type After struct {
	All []Source `json:"all,omitempty"`
	Any []Source `json:"any,omitempty"`
}

// Source is how runs of a workflow have to end.
type Source struct {
	Project  string      `json:"project"`
	Workflow string      `json:"workflow"`
	State    SourceState `json:"state,omitempty"`
}

// SourceState says which ends count; "" is succeeded.
type SourceState string

// Ends of runs that count.
const (
	SourceSucceeded SourceState = "succeeded"
	SourceFailed    SourceState = "failed"
	SourceStopped   SourceState = "stopped"
	SourceEnded     SourceState = "ended" // however
)

// Key names a source within its trigger.
func (s Source) Key() string {
	return s.Project + "/" + s.Workflow + ":" + s.StateOr()
}

// StateOr is the state that counts, or the usual one.
func (s Source) StateOr() string { return string(cmp.Or(s.State, SourceSucceeded)) }

// ParseSource reads a key.
func ParseSource(key string) Source {
	place, state := key, ""
	if i := strings.LastIndexByte(key, ':'); i >= 0 {
		place, state = key[:i], key[i+1:]
	}
	project, workflow, _ := strings.Cut(place, "/")
	return Source{Project: project, Workflow: workflow, State: SourceState(state)}
}

// States are those that count, as a set of bits.
func (s Source) States() uint32 {
	switch s.State {
	case SourceFailed:
		return 1 << InstanceFailed
	case SourceStopped:
		return 1 << InstanceStopped
	case SourceEnded:
		return 1<<InstanceFailed | 1<<InstanceStopped | 1<<InstanceSucceeded
	default:
		return 1 << InstanceSucceeded
	}
}

// Sources are all that the set names.
func (a After) Sources() []Source { return slices.Concat(a.All, a.Any) }

// MarksOfSource bounds the marks of one source that one decision looks at, the oldest first.
const MarksOfSource = 200

// setsAtOnce bounds the runs that one decision orders.
const setsAtOnce = 50

// Mark is an end of a run that a trigger waited for.
type Mark struct {
	Source   string // its key
	Instance ID
	Seq      int64 // of the run when it ended: one that is run again and ends again is another mark
	State    InstanceState
	DataTime Time
	EndedAt  Time
	Outputs  []byte // JSON, of a trigger that has parameters
}

// Heard is what is decided about marks.
type Heard struct {
	Sets    [][]Mark // each starts a run, in the order in which they became full
	Expired []Mark   // too old for what came after them
	Waiting []Mark   // that wait for the others
	More    bool     // there is more to decide at once
}

// Hear replays marks in the order of the ends: what a set takes does not depend on when somebody decides. A set is full
// when each of its sources has an end that is not older than window before the newest; it takes the oldest of each.
// Of a source with MarksOfSource marks there may be more, all later. Newest is the latest end of all there are.
func (a After) Hear(marks []Mark, window Duration, newest Time) Heard {
	marks = slices.SortedFunc(slices.Values(marks), func(x, y Mark) int {
		return cmp.Or(cmp.Compare(x.EndedAt, y.EndedAt), cmp.Compare(x.Instance, y.Instance), cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Source, y.Source))
	})
	h := hearing{After: a, window: cmp.Or(window, DefaultWindow), waiting: map[string][]Mark{}, read: map[string]int{}}
	for _, m := range marks {
		h.read[m.Source]++
	}
	for i, m := range marks {
		h.expire(m.EndedAt)
		h.waiting[m.Source] = append(h.waiting[m.Source], m)
		h.take()
		if len(h.out.Sets) == setsAtOnce && i < len(marks)-1 {
			h.out.More = true
			break
		}
	}
	h.finish(newest)
	return h.out
}

// hearing is one replay.
type hearing struct {
	After
	window  Duration
	waiting map[string][]Mark // by source, oldest first
	read    map[string]int
	out     Heard
}

// expire drops what is too old for an end.
func (h *hearing) expire(at Time) {
	oldest := at - Time(h.window/1000)
	for _, s := range h.Sources() {
		list := h.waiting[s.Key()]
		for len(list) > 0 && list[0].EndedAt < oldest {
			h.out.Expired = append(h.out.Expired, list[0])
			list = list[1:]
		}
		h.waiting[s.Key()] = list
	}
}

// take takes a set if one is full.
func (h *hearing) take() {
	if len(h.All) == 0 {
		for _, s := range h.Any {
			for _, m := range h.waiting[s.Key()] {
				h.out.Sets = append(h.out.Sets, []Mark{m})
			}
			h.waiting[s.Key()] = nil
		}
		return
	}
	var set []Mark
	for _, s := range h.All {
		list := h.waiting[s.Key()]
		if len(list) == 0 {
			return
		}
		set = append(set, list[0])
	}
	for _, s := range h.All {
		h.waiting[s.Key()] = h.waiting[s.Key()][1:]
	}
	h.out.Sets = append(h.out.Sets, set)
}

// finish looks at what is left. What was not read may be part of a set only where all that was read of a source is gone.
func (h *hearing) finish(newest Time) {
	unread := h.out.More
	for _, s := range h.Sources() {
		if h.read[s.Key()] >= MarksOfSource && len(h.waiting[s.Key()]) == 0 {
			unread = true
		}
	}
	if !unread {
		h.expire(newest)
	}
	for _, s := range h.Sources() {
		h.out.Waiting = append(h.out.Waiting, h.waiting[s.Key()]...)
		full := h.read[s.Key()] >= MarksOfSource
		h.out.More = h.out.More || full && len(h.out.Sets)+len(h.out.Expired) > 0
	}
}

// TriggerStanding is a trigger with the ends that it has heard of.
type TriggerStanding struct {
	ID       ID
	Revision int64
	Project  ID
	Workflow ID
	// ProjectName, Zone and Priority are of the workflow that it starts.
	ProjectName string
	Zone        string
	Priority    Priority
	Body        Trigger
	Enabled     bool
	Marks       []Mark
	Newest      Time // the latest end of all
}

// StartState says what became of an event.
type StartState uint8

// States of a start. Numbers are stored: never reuse one.
const (
	StartFired   StartState = 1 // a run was ordered
	StartSkipped StartState = 2 // none was, for a reason
)

var startNames = [...]string{"", "fired", "skipped"}

func (s StartState) String() string { return stateName(startNames[:], uint8(s)) }

// TriggerStart is what became of an event of a trigger.
type TriggerStart struct {
	ID       ID
	Trigger  ID
	Project  ID
	Workflow ID
	State    StartState
	Reason   string // why it was skipped
	Cause    string // for people: what happened
	Key      string // "" or what makes the event the same as one before
	Instance ID     // the run; 0: none
	At       Time
	// Failed: an expression of the trigger did. People are told; it is not kept.
	Failed bool
}

// TriggerDecision is what is decided about a trigger's marks. It counts only if nobody has decided about any of them, or
// changed the trigger, meanwhile.
type TriggerDecision struct {
	Trigger  ID
	Revision int64
	Gone     []Mark // taken, or too old
	Waiting  []Mark // looked at
	Starts   []TriggerStart
	Commands []Command // of the starts that were fired; the version is the workflow's newest
	More     bool      // there is more to decide
}

// TriggerRow is a trigger as people read it.
type TriggerRow struct {
	ID         ID
	Project    string
	Workflow   string
	Trigger    Trigger
	Revision   int64
	Enabled    bool
	Overridden bool // a verb said whether it is enabled
	Waiting    []Mark
	LookedAt   Time          // of one that waits for what happens outside: until when somebody looked; 0: nobody has yet
	Problem    string        // why nobody can
	Last       *TriggerStart // nil: nothing happened yet
}

// NamedStart is a start with the names of what it belongs to.
type NamedStart struct {
	TriggerStart
	TriggerName  string
	ProjectName  string
	WorkflowName string
}

// StartFilter narrows a list of starts. Zero fields do not narrow.
type StartFilter struct {
	Project  string
	Workflow string
	Trigger  string
	Instance ID
	Limit    int
	Cursor   ID
}
