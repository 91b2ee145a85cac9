// How long faults were felt: from the ledger, by the runs of short steps that they caught.

package chaos

import (
	"slices"
	"time"
)

// recovery is a time after which a run went on.
type recovery struct {
	class string
	fault int
	run   string
	took  time.Duration
}

// bound is what the design promises for a class; 0: nothing.
func bound(class string, lease time.Duration) time.Duration {
	switch class {
	case killMaster:
		return 500 * time.Millisecond
	case termMaster, killProper:
		return time.Second
	case freezeMaster, cutMaster, cutStore, muteMaster, deafMaster, killSupervisor, killWorker, freezeWorker, cutWorker, muteWorker, deafWorker, cutPair:
		return lease + 2*time.Second
	}
	return 0
}

// slack is how soon after a fault the step that was under way has to end for the run to count: one
// that works on for long does not feel the fault.
const slack = time.Second

// hostLost are the faults after which a worker's tasks are begun again elsewhere.
var hostLost = map[string]bool{killWorker: true, freezeWorker: true, cutWorker: true, muteWorker: true, deafWorker: true, killSupervisor: true}

// recoveries finds for every fault that came alone how long it was felt. When a worker was lost: how
// long until each task that it had begun began again. Otherwise how long each run of short steps stood
// still that was caught: those whose master was the victim, or the worker of whose present step; all of
// them when it was the store or the registry.
func (r *run) recoveries(lines []entry) []recovery {
	byRun, byRow := map[string][]entry{}, map[string][]entry{}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b entry) int { return a.at.Compare(b.at) })
	for _, e := range lines {
		byRun[e.instance] = append(byRun[e.instance], e)
		byRow[e.row] = append(byRow[e.row], e)
	}
	paused := map[string]bool{} // or whatever verb it was given: then it may wait for a person
	for _, s := range r.started {
		paused[s.id] = len(s.verbs) > 0
	}
	var out []recovery
	for _, f := range r.faults {
		switch {
		case !f.alone || f.idle:
		case hostLost[f.class]:
			for _, l := range byRow {
				if paused[l[0].instance] {
					continue
				}
				if took, ok := beganAgain(f, l); ok {
					out = append(out, recovery{f.class, f.number, l[0].instance, took})
				}
			}
		default:
			for _, s := range r.started {
				if s.workflow != pulse {
					continue
				}
				if took, ok := r.felt(f, s.id, byRun[s.id]); ok {
					out = append(out, recovery{f.class, f.number, s.id, took})
				}
			}
		}
	}
	return out
}

// beganAgain tells when a row that was under way on the victim began again.
func beganAgain(f *fault, lines []entry) (time.Duration, bool) {
	next := slices.IndexFunc(lines, func(e entry) bool { return e.at.After(f.at) && e.what == "begin" })
	if next < 1 {
		return 0, false
	}
	for _, e := range slices.Backward(lines[:next]) {
		if e.node != f.victim || e.what == "fail" || e.what == "end" && !e.at.After(f.at) {
			return 0, false
		}
	}
	return lines[next].at.Sub(f.at), true
}

func (r *run) felt(f *fault, id string, lines []entry) (time.Duration, bool) {
	from := f.at
	role := r.node(f.victim).role
	if role == roleStore {
		from = f.mended
	}
	next := slices.IndexFunc(lines, func(e entry) bool { return e.at.After(from) && e.what == "begin" })
	if next < 1 {
		return 0, false // not begun before, or at its last step
	}
	before := lines[:next]
	present := slices.IndexFunc(before, func(e entry) bool { return e.at.After(f.at) })
	if present < 0 {
		present = next
	}
	if present == 0 {
		return 0, false // it began during the fault
	}
	current := before[present-1] // the last that was written before the fault
	switch role {
	case roleMaster:
		if !slices.Contains(f.caught, id) {
			return 0, false
		}
	case roleWorker:
		if current.node != f.victim || current.what != "begin" {
			return 0, false
		}
		if f.class == cutPair && !slices.Contains(f.caught, id) {
			return 0, false
		}
	case roleStore, roleRegistry:
	default:
		return 0, false
	}
	if last := before[next-1]; last.what == "end" && last.at.After(from) {
		if last.at.Sub(from) > slack {
			return 0, false
		}
		from = last.at
	}
	return lines[next].at.Sub(from), true
}

// spread is the distribution of times.
type spread struct {
	n             int
	p50, p99, max time.Duration
	over          int // more than the bound
}

func spreadOf(times []time.Duration, bound time.Duration) spread {
	slices.Sort(times)
	s := spread{n: len(times)}
	if s.n == 0 {
		return s
	}
	s.p50, s.p99, s.max = times[s.n/2], times[min(s.n-1, s.n*99/100)], times[s.n-1]
	for _, t := range times {
		if bound > 0 && t > bound {
			s.over++
		}
	}
	return s
}
