// Figures: how much waits and how much room there is, for those who watch.

package dispatch

// Figures are counted at one moment.
type Figures struct {
	Sessions          int
	Used, Free, Apart int            // slots: held; to be given by this master; of sessions that take nothing new
	Waiting           map[string]int // items by group
}

// Figures counts.
func (p *Pool) Figures() Figures {
	f := Figures{Sessions: len(p.sessions), Waiting: map[string]int{}}
	for _, s := range p.sessions {
		f.Used += s.used
		left := max(min(s.Slots, s.Room)-s.used, 0)
		if s.free() {
			f.Free += left
		} else {
			f.Apart += left
		}
	}
	for _, q := range p.queues {
		f.Waiting[q.group] += len(q.items)
	}
	return f
}
