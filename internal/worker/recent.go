// A memory of the last few things, bounded, forgetting the oldest.

package worker

import "slices"

// recent maps the last n keys that were put in. Which key is forgotten depends on the order of
// puts only.
type recent[K comparable, V any] struct {
	m     map[K]V
	order []K
	next  int // place in order that is overwritten next
	n     int
}

func newRecent[K comparable, V any](n int) recent[K, V] {
	return recent[K, V]{m: map[K]V{}, n: n}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.m[k]
	return v, ok
}

// last returns up to n of the keys that were put in last, oldest first.
func (r *recent[K, V]) last(n int) []K {
	all := slices.Concat(r.order[r.next:], r.order[:r.next])
	return all[max(0, len(all)-n):]
}

func (r *recent[K, V]) put(k K, v V) {
	if _, known := r.m[k]; !known {
		if len(r.order) < r.n {
			r.order = append(r.order, k)
		} else {
			delete(r.m, r.order[r.next])
			r.order[r.next] = k
			r.next = (r.next + 1) % r.n
		}
	}
	r.m[k] = v
}
