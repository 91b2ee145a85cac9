// What runs ask of the store, and whom they follow.

package sim

import (
	"cmp"
	"encoding/json"
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
	return followed && ch.Instance.State.Ended() && s.tellFollowers(&ch.Instance)
}

// tellFollowers tells those who follow the end of a run.
func (s *Store) tellFollowers(i *flow.Instance) (told bool) {
	for _, f := range s.follows {
		if f.Workflow == i.Workflow && i.DataTime >= f.Span.From && i.DataTime < f.Span.To {
			s.tell(f.Instance, flow.InboxUpstream, flow.UpstreamNews{Row: f.Row})
			told = true
		}
	}
	return told
}

// tell puts news into the inbox of a run.
func (s *Store) tell(to flow.ID, kind flow.InboxKind, news any) {
	raw, err := json.Marshal(news)
	if err != nil {
		panic(err) // a struct of texts
	}
	id := s.ids.Next(s.w.now)
	s.order(flow.InboxItem{ID: id, Instance: to, Kind: kind, Dedup: "news:" + id.String(), Payload: raw, At: s.w.now})
}
