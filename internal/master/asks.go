package master

import (
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
)

// allEvery is how often the store is asked of all there is, for what nobody was told of: a run that made room, gave
// slots back or ended where its master died, a limit that was raised.
const allEvery = 10 * time.Second

// asks is what is to be asked of the store, one question at a time: of what a committed change named and, now and
// then, of all there is, in case a change was not seen.
type asks[K comparable] struct {
	wanted map[K][]flow.ID // and the runs that are asked about with it
	asking bool
	all    bool // of every one that something waits for
	after  K    // how far that has come
	looked flow.Time
}

func (a *asks[K]) want(k K, runs ...flow.ID) {
	if a.wanted == nil {
		a.wanted = map[K][]flow.ID{}
	}
	a.wanted[k] = append(a.wanted[k], runs...)
}

// net has all of them asked about now and then while something waits.
func (a *asks[K]) net(waits bool, now flow.Time) {
	if waits && now.Sub(a.looked) >= allEvery {
		a.looked, a.all = now, true
		a.after = *new(K)
	}
}

// question is one of some keys, in order, and the runs named with them; without keys, of all after one.
type question[K comparable] struct {
	keys  []K
	runs  []flow.ID
	after K
}

// next takes the next question, of most keys at most; false while one is asked, or there is none.
func (a *asks[K]) next(most int, compare func(K, K) int) (question[K], bool) {
	var q question[K]
	if a.asking || len(a.wanted) == 0 && !a.all {
		return q, false
	}
	a.asking = true
	q.keys = slices.SortedFunc(maps.Keys(a.wanted), compare)
	q.keys = q.keys[:min(len(q.keys), most)]
	for _, k := range q.keys {
		q.runs = append(q.runs, a.wanted[k]...)
		delete(a.wanted, k)
	}
	if len(q.keys) == 0 {
		a.all, q.after = false, a.after
	}
	return q, true
}

// answered notes what is left to ask: of those to be asked about again, and of all after next, unless it is zero. It
// is false if the question failed; all are then asked about with the next poll, as what was written is not known.
func (a *asks[K]) answered(err error, again []K, next K) bool {
	a.asking = false
	if err != nil {
		a.looked = 0
		return false
	}
	for _, k := range again {
		a.want(k)
	}
	if next != *new(K) {
		a.all, a.after = true, next
	}
	return true
}
