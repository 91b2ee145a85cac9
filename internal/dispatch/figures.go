// Figures: how much waits and how much room there is, for those who watch.

package dispatch

// Figures are counted at one moment.
type Figures struct {
	Sessions          int
	Used, Free, Apart int            // slots of both kinds: held; to be given by this master; of sessions that take nothing now
	Waiting           map[string]int // items by group
}

// Figures counts.
func (p *Pool) Figures() Figures {
	f := Figures{Sessions: len(p.sessions), Waiting: map[string]int{}}
	for _, s := range p.sessions {
		for k := range kinds {
			if s.lane(k) != k {
				continue // counted there
			}
			used := s.of(s.used, k)
			f.Used += used
			left := max(min(s.Slots[k], s.Room[k])-used, 0)
			if s.free(k) {
				f.Free += left
			} else {
				f.Apart += left
			}
		}
	}
	for _, q := range p.queues {
		f.Waiting[q.group] += q.waiting
	}
	return f
}
