// Questions that a run has and only the store can answer.

package flow

import "strings"

// Lookup is what a row of a run wants to know: which workflow a name means now and whether a run is still there, or
// how the runs stand that a dependent waits for.
type Lookup struct {
	Task     ID // whose question it is
	Instance ID // of that row: it does not wait for itself
	Project  string
	Workflow string
	Child    ID // the run that is to be taken up again, 0: none

	Upstreams []Upstream // of a dependent; the fields above it but the first two are empty then
}

// Upstream is a workflow, or a task of one, whose runs a dependent waits for.
type Upstream struct {
	Project  string
	Workflow string
	Task     string // "": the whole run
	Match    Match
	Windows  []Span // earliest first
	// Own: it is the workflow that waits. Then it is told whether there was a run before, for the first one waits
	// for none.
	Own bool
}

// Span is a stretch of time from From on, up to and without To.
type Span struct{ From, To Time }

// Match says which run of a window counts.
type Match string

// Which run counts: the one with the latest data time in the window, or the one that ended there last, as in
// DolphinScheduler.
const (
	MatchDataTime  Match = "data_time"
	MatchLatestEnd Match = "latest_end"
)

// Found is what the store knew.
type Found struct {
	Definition Definition // of the newest version of the workflow; its ID is 0 when there is none
	Missing    string     // why there is none
	Child      bool       // the run is there
	Upstreams  []FoundUpstream
}

// FoundUpstream is how an upstream stands.
type FoundUpstream struct {
	Workflow ID // 0: there is no such workflow
	Earlier  bool
	Runs     []FoundRun // one for each window
}

// FoundRun is the run of a window that counts, ID 0 when there is none.
type FoundRun struct {
	ID      ID
	State   InstanceState
	Rerun   bool      // it is ordered to be rerun together with others, and has not begun yet
	Task    TaskState // of the task that is waited for, 0: it has no row, or the whole run is waited for
	Reason  string    // of the task
	EndedAt Time
	Outputs []byte
}

// Upshot of what a dependent waits for.
type Upshot uint8

// What a dependent's upstreams come to.
const (
	UpshotPending Upshot = iota
	UpshotSucceeded
	UpshotFailed
)

// Upshot tells what the run comes to for who waits for it, or for a task of it.
func (r FoundRun) Upshot(task string) Upshot {
	switch {
	case r.ID == 0 || r.Rerun:
		return UpshotPending
	case task == "" && r.State == InstanceSucceeded:
		return UpshotSucceeded
	case task == "":
		if r.State.Ended() {
			return UpshotFailed
		}
		return UpshotPending
	case r.Task.Success() || r.Task == TaskSkipped:
		return UpshotSucceeded
	case r.Task.Failure():
		return UpshotFailed
	default:
		return UpshotPending
	}
}

// Follow is what a waiting row is to be told of: ends of runs of a workflow, or of a task of it, with a data time in
// the span.
type Follow struct {
	Workflow ID
	Instance ID // that waits
	Row      ID
	Task     string // "": any end of a run
	Span     Span
}

// EventKey is what a row follows that waits for an event: Follow.Task of one without a workflow.
func EventKey(project, name string) string { return "event:" + project + "/" + name }

// EventNews is the payload of an InboxEvent.
type EventNews struct {
	Row    ID                `json:"row"`
	Params map[string]string `json:"params,omitempty"` // they become outputs
}

// UpstreamNews is the payload of an InboxUpstream.
type UpstreamNews struct {
	Row ID `json:"row"`
}

// UsedWorkflow is a workflow, or a task of one, that a task of another names.
type UsedWorkflow struct {
	Project  string
	Workflow string
	Task     string // of it; "": the whole
	By       string // the task that names it
	Waits    bool   // it waits for it; otherwise it runs it
}

// Known tells whether the names are known before a run: none is made of a parameter.
func (u UsedWorkflow) Known() bool {
	return !strings.Contains(u.Project+u.Workflow+u.Task, "$")
}
