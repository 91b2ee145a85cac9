// What changed since the last commit, and what is to be done after the next one.

package engine

import (
	"slices"

	"baton/internal/flow"
)

// change collects what Apply did until it is taken.
type change struct {
	stored   int // rows before this index are stored, or about to be by the change taken last
	touched  bool
	ended    bool                     // the run came to its end
	rows     map[int32]flow.TaskState // stored rows that changed → their stored state
	updated  []int32                  // keys of rows in order of first touch
	past     []flow.AttemptRow
	grants   []int32
	inbox    []flow.ID
	outcomes []flow.Outcome
	alerts   []flow.Alert
	commands []flow.Command
	news     []flow.InboxItem
	follows  []flow.Follow
	unfollow []flow.ID
	claims   []flow.Claim
	unclaims []flow.Claim
	keyed    bool // the run that exists got its key
}

// Effects are orders to be carried out after the commit, by row index. They say nothing that the
// rows do not say: after a reload they are found again by Resume.
type Effects struct {
	Queued  []int32 // rows that wait for a worker
	Asked   []int32 // of those, rows that want to know why: the answer is a Stuck
	Granted []int32 // rows whose attempt is to be sent
	Begun   []int32 // at-most-once attempts whose start is now durable
	Killing []int32 // rows whose attempt is to be killed
	Settled []int64 // tokens whose result is durable, or refused for ever: acknowledge
	Lookups []int32 // rows that wait for what only the store knows: Lookup has the question
	Freed   []int32 // rows that hold no slot any more, or were given one they cannot use
}

func (s *State) touch(r int32) {
	s.change.touched = true
	if int(r) >= s.change.stored {
		return
	}
	if s.change.rows == nil {
		s.change.rows = make(map[int32]flow.TaskState, 4)
	}
	if _, seen := s.change.rows[r]; !seen {
		s.change.rows[r] = s.Rows[r].State
		s.change.updated = append(s.change.updated, r)
	}
}

// Dirty tells whether there is something to commit.
func (s *State) Dirty() bool { return s.change.touched }

// Changed is how many rows the changes since the last Take are.
func (s *State) Changed() int {
	return 1 + len(s.Rows) - s.change.stored + len(s.change.updated) + len(s.change.past) + len(s.change.claims) + len(s.change.unclaims)
}

// Take returns what is to be committed and counts it as committed: a caller whose commit fails
// drops the state. Command is the id of the command when the instance is new, else 0. The result's order of
// Grants is that of the rows returned.
func (s *State) Take(command flow.ID) (flow.Change, []int32) {
	c := &s.change
	s.Wake()
	s.Inst.Seq++
	s.Inst.Engine = flow.EngineVersion
	out := flow.Change{
		Instance: s.Inst, Command: command,
		Past: c.past, Inbox: c.inbox, Outcomes: c.outcomes, Alerts: c.alerts, Commands: c.commands, News: c.news, Follows: c.follows, Unfollow: c.unfollow,
		Claims: c.claims, Unclaims: c.unclaims, Keyed: c.keyed, Ended: c.ended && s.Inst.State.Ended(),
	}
	// What counts is whether a row follows now: one that rested and went on since the last commit stays told.
	out.Follows = slices.DeleteFunc(out.Follows, func(f flow.Follow) bool { return !s.followsNow(f.Row) })
	out.Unfollow = slices.DeleteFunc(out.Unfollow, s.followsNow)
	if c.stored < len(s.Rows) {
		// A copy: the caller may still be writing it when the next event changes the rows.
		out.NewTasks = append(out.NewTasks, s.Rows[c.stored:]...)
	}
	for _, r := range c.updated {
		row := s.Rows[r]
		// Every move was checked against the machine when it was made; several may have been made
		// since the last commit. What the commit guards is that the stored row is where they began.
		sources := uint32(1) << c.rows[r]
		out.Tasks = append(out.Tasks, flow.TaskUpdate{Row: row, Sources: sources})
	}
	grants := c.grants
	for _, r := range grants {
		out.Grants = append(out.Grants, s.Rows[r].ID)
	}
	rows, updated := c.rows, c.updated
	s.change = change{stored: len(s.Rows)}
	if len(updated) <= 64 { // the memory of a usual step is used again
		clear(rows)
		s.change.rows, s.change.updated = rows, updated[:0]
	}
	return out, grants
}

// SetToken puts the token that a commit assigned into a granted row.
func (s *State) SetToken(r int32, token int64) { s.Rows[r].Attempt.Token = token }

func (s *State) alert(kind, task, message string, env Env) {
	s.change.touched = true
	s.change.alerts = append(s.change.alerts, flow.Alert{
		ID: env.NextID(), Kind: kind, Project: s.Inst.Project, Instance: s.Inst.ID, Task: task,
		Workflow: s.Plan.Def.Name, Message: flow.Text(message, flow.MaxReason), At: env.Now,
	})
}

// Touch makes the next Take write the instance even when no event changed it: a claim did.
func (s *State) Touch() { s.change.touched = true }

// Consume removes an inbox item in the next commit.
func (s *State) Consume(inbox flow.ID) {
	s.change.touched = true
	s.change.inbox = append(s.change.inbox, inbox)
}

// Resting tells whether nothing of it is with a worker or waits for one: it can be parked.
func (s *State) Resting() bool {
	if s.live > 0 || len(s.looking) > 0 {
		return false
	}
	if s.active == s.waiting+s.hosted+s.pooling || s.Inst.State.AtRest() {
		return true
	}
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.State == flow.TaskQueued && !row.Pooling() {
			return false
		}
	}
	return true
}
