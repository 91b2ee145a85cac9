// When the store is asked for what nobody tells of.

package master

import (
	"cmp"
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
	last   K               // of these, what was asked about last: it is the turn of those after it
	all    bool            // of every one that something waits for
	after  K               // how far that has come
	looked flow.Time

	asking bool
	asked  question[K]
	failed bool // the last one: nothing is asked before the next poll
}

func (a *asks[K]) want(k K, runs ...flow.ID) {
	if a.wanted == nil {
		a.wanted = map[K][]flow.ID{}
	}
	a.wanted[k] = append(a.wanted[k], runs...)
}

// net, with every poll, has all of them asked about now and then while something waits.
func (a *asks[K]) net(waits bool, now flow.Time) {
	a.failed = false
	if waits && now.Sub(a.looked) >= allEvery {
		a.looked, a.all = now, true
		a.after = *new(K)
	}
}

// question is one of some keys and the runs named with each; without keys, of all after one.
type question[K comparable] struct {
	keys  []K
	named map[K][]flow.ID
	after K
}

// runs are those that are named.
func (q *question[K]) runs() []flow.ID {
	var out []flow.ID
	for _, k := range q.keys {
		out = append(out, q.named[k]...)
	}
	return out
}

// next takes the next question, of most keys at most; false while one is asked, or there is none. However much is
// wanted, each key has its turn, and of all is asked every other time until they are through.
func (a *asks[K]) next(most int, compare func(K, K) int) (question[K], bool) {
	if a.asking || a.failed || len(a.wanted) == 0 && !a.all {
		return question[K]{}, false
	}
	ofAll := a.all && (len(a.wanted) == 0 || len(a.asked.keys) > 0)
	a.asking, a.asked = true, question[K]{}
	if ofAll {
		a.all, a.asked.after = false, a.after
		return a.asked, true
	}
	keys := slices.SortedFunc(maps.Keys(a.wanted), compare)
	turn, _ := slices.BinarySearchFunc(keys, a.last, func(k, last K) int { return cmp.Or(compare(k, last), -1) })
	keys = slices.Concat(keys[turn:], keys[:turn])
	keys = keys[:min(len(keys), most)]
	a.asked = question[K]{keys: keys, named: map[K][]flow.ID{}}
	for _, k := range keys {
		a.asked.named[k] = a.wanted[k]
		delete(a.wanted, k)
	}
	a.last = keys[len(keys)-1]
	return a.asked, true
}

// answered notes what is left to ask: of those to be asked about again, and of all after next, unless it is zero. It
// is false if the question failed; as what was written is not known, it is then asked again after the next poll.
func (a *asks[K]) answered(err error, again []K, next K) bool {
	a.asking = false
	if err != nil {
		a.failed = true
		again = a.asked.keys
		if len(again) == 0 && !a.all {
			a.all, a.after = true, a.asked.after
		}
	}
	for _, k := range again {
		a.want(k, a.asked.named[k]...)
	}
	if err == nil && next != *new(K) {
		a.all, a.after = true, next
	}
	return err == nil
}
