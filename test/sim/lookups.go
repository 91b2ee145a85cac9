// What runs ask of the store, and whom they follow.

package sim

import (
	"cmp"
	"slices"

	"baton/internal/flow"
)

// lookup answers the question of a run.
func (s *Store) lookup(q flow.Lookup) (found flow.Found) {
	for _, u := range q.Upstreams {
		found.Upstreams = append(found.Upstreams, s.upstream(u, q.Instance))
	}
	_, waits := s.commands[q.Child]
	found.Child = waits || s.instances[q.Child] != nil
	if id := s.named(q.Workflow); id != 0 {
		found.Definition = s.defs[id]
	} else {
		found.Missing = "there is no workflow " + q.Workflow
	}
	return found
}

func (s *Store) named(workflow string) flow.ID {
	for _, id := range sorted(s.defs) {
		if s.defs[id].Name == workflow {
			return id
		}
	}
	return 0
}

// upstream looks at the run of each window that counts: the last one with the data time.
func (s *Store) upstream(u flow.Upstream, self flow.ID) (f flow.FoundUpstream) {
	if f.Workflow = s.named(u.Workflow); f.Workflow == 0 {
		return f
	}
	for _, w := range u.Windows {
		var last flow.Instance
		look := func(in flow.Instance) {
			if in.Workflow == f.Workflow && in.ID != self && in.DataTime >= w.From && in.DataTime < w.To &&
				(last.ID == 0 || cmp.Or(cmp.Compare(in.DataTime, last.DataTime), cmp.Compare(in.ID, last.ID)) > 0) {
				last = in
			}
		}
		for _, id := range sorted(s.instances) {
			look(s.instances[id].Instance)
		}
		for _, id := range sorted(s.commands) {
			c := s.commands[id]
			at := startOf(c).DataTime
			if at == 0 {
				at = c.At
			}
			look(flow.Instance{ID: id, Workflow: c.Workflow, DataTime: at, State: flow.InstanceSubmitted})
		}
		f.Runs = append(f.Runs, flow.FoundRun{ID: last.ID, State: last.State})
	}
	return f
}

// follow keeps whom a change follows, and tells those who follow what it ends, if the one who commits knows that
// somebody follows.
func (s *Store) follow(ch flow.Change, followed bool) (told bool) {
	for _, f := range ch.Follows {
		if !slices.Contains(s.follows, f) {
			s.follows = append(s.follows, f)
		}
	}
	s.follows = slices.DeleteFunc(s.follows, func(f flow.Follow) bool { return slices.Contains(ch.Unfollow, f.Row) })
	if !followed || !ch.Instance.State.Ended() {
		return false
	}
	for _, f := range s.follows {
		if f.Workflow == ch.Instance.Workflow && ch.Instance.DataTime >= f.Span.From && ch.Instance.DataTime < f.Span.To {
			id := s.ids.Next(s.w.now)
			s.order(flow.InboxItem{ID: id, Instance: f.Instance, Kind: flow.InboxUpstream, Dedup: "news:" + id.String(), Payload: []byte(`{"row":"` + f.Row.String() + `"}`), At: s.w.now})
			told = true
		}
	}
	return told
}
