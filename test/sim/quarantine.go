// Quarantine: the store's model of runs that nobody can drive.

package sim

import (
	"encoding/json"
	"slices"

	"baton/internal/flow"
	"baton/internal/master"
)

// quarantine parks what its owner holds, or makes a parked instance of a command.
func (s *Store) quarantine(owner int64, e master.Quarantine) {
	dead := map[int64]bool{}
	for _, t := range s.triers[e.ID] {
		dead[t.by] = dead[t.by] || !s.lives(t.by)
	}
	deaths := 0
	for _, d := range dead {
		if d {
			deaths++
		}
	}
	if !s.poison[e.ID] && s.takes[e.ID] < flow.MaxTakes && deaths < flow.MaxTakes {
		s.violation("instance %d was quarantined: %s", e.ID, e.Reason)
	}
	in := s.instances[e.ID]
	switch c, waits := s.commands[e.ID]; {
	case e.Command && waits:
		delete(s.commands, e.ID)
		start := startOf(c)
		in = &flow.Loaded{Instance: flow.Instance{
			ID: e.ID, Workflow: c.Workflow, Version: c.Version, State: flow.InstanceSubmitted, Spec: c.Start, Parent: start.Parent, ParentRow: start.ParentRow,
		}}
		s.instances[e.ID] = in
	case e.Command || in == nil || in.Instance.Owner != owner:
		return
	}
	s.w.log("instance %d is quarantined: %s", e.ID, e.Reason)
	i := &in.Instance
	if s.settleVerbs(i) {
		s.stopUnread(in)
	} else if i.State != flow.InstanceQuarantined {
		i.Prior, i.State = i.State, flow.InstanceQuarantined
	}
	if i.Parent != 0 {
		s.tell(i.Parent, flow.InboxChild, flow.ChildNews{Child: i.ID, Row: i.ParentRow, State: i.State, Reason: e.Reason})
	}
	i.Owner, i.WakeAt, i.Reason = 0, 0, e.Reason
	s.takes[e.ID] = 0
	i.Seq++
}

// settleVerbs answers the verbs for a run that nobody can drive, and tells whether one of them stops it: one that was
// quarantined before. The others are refused.
func (s *Store) settleVerbs(i *flow.Instance) (stopped bool) {
	for _, id := range sorted(s.inbox) {
		item := s.inbox[id]
		if item.Instance != i.ID || item.Kind != flow.InboxVerb {
			continue
		}
		var v flow.Verb
		if err := json.Unmarshal(item.Payload, &v); err != nil {
			panic(err) // a struct of texts
		}
		if v.Parent != 0 {
			i.ParentRow = v.Parent
		}
		applied := !stopped && i.State == flow.InstanceQuarantined && v.Name == flow.VerbStop
		stopped = stopped || applied
		s.outcomes[id] = flow.Outcome{Inbox: id, Instance: i.ID, Verb: v.Name, Applied: applied, At: s.w.now}
		delete(s.inbox, id)
	}
	return stopped
}

// stopUnread ends a run as it stands: whether its processes are gone nobody can confirm.
func (s *Store) stopUnread(in *flow.Loaded) {
	id := in.Instance.ID
	in.Instance.State, in.Instance.Prior, in.Instance.EndedAt = flow.InstanceStopped, 0, s.w.now
	for n := range in.Tasks {
		row := &in.Tasks[n]
		if row.State.Ended() {
			continue
		}
		if child := row.Child(); child != 0 {
			s.tell(child, flow.InboxVerb, flow.Verb{Name: flow.VerbStop, By: "run " + id.String(), Parent: row.ID})
		}
		row.State, row.Reason, row.Kill, row.EndedAt, row.Claim, row.Given = flow.TaskKilled, flow.ReasonQuarantine, flow.KillNone, s.w.now, 0, false
		if row.Attempt.State.Live() {
			row.Attempt.State = flow.AttemptKilled
		}
		row.Attempt.Confirmed = false
	}
	for k, c := range s.claims {
		if c.Instance == id {
			delete(s.claims, k)
		}
	}
	for k, item := range s.inbox {
		if item.Instance == id {
			delete(s.inbox, k)
		}
	}
	s.tellFollowers(&in.Instance)
	s.follows = slices.DeleteFunc(s.follows, func(f flow.Follow) bool { return f.Instance == id })
}
