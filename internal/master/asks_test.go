package master

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"baton/internal/flow"
)

// ask takes the next question, which there must be.
func ask(t *testing.T, a *asks[flow.ID]) question[flow.ID] {
	t.Helper()
	q, ok := a.next(50, cmp.Compare[flow.ID])
	if !ok {
		t.Fatal("nothing is asked")
	}
	return q
}

// However much is wanted all the time, each key has its turn, and so has the look at all.
func TestAsksStarveNobody(t *testing.T) {
	t.Parallel()
	var a asks[flow.ID]
	a.net(true, t0)
	a.want(1000)
	last, pages := 0, 0
	for n := 1; n <= 20; n++ {
		for k := range flow.ID(120) {
			a.want(k + 1)
		}
		q := ask(t, &a)
		var next flow.ID
		switch {
		case len(q.keys) > 0:
			if slices.Contains(q.keys, 1000) {
				last = n
			}
		case pages == 4:
			pages++
		default:
			pages++
			next = flow.ID(100 * pages)
		}
		a.answered(nil, nil, next)
	}
	if last == 0 || last > 6 {
		t.Errorf("the last of 121 keys came with question %d", last)
	}
	if pages != 5 {
		t.Errorf("%d pages of all were read, of 5", pages)
	}
}

// The keys go round: who was asked about last waits until the others were.
func TestAsksGoRound(t *testing.T) {
	t.Parallel()
	var a asks[flow.ID]
	for _, want := range [][]flow.ID{{1, 2}, {3, 4}, {5, 1}, {2, 3}} {
		for k := range flow.ID(5) {
			a.want(k + 1)
		}
		q, _ := a.next(2, cmp.Compare[flow.ID])
		if !slices.Equal(q.keys, want) {
			t.Errorf("asked of %v, want %v", q.keys, want)
		}
		a.answered(nil, nil, 0)
	}
}

// What a failed question was about, and the runs that it named, are asked again, after the next poll.
func TestAsksAgainWhatFailed(t *testing.T) {
	t.Parallel()
	var a asks[flow.ID]
	a.want(7, 42)
	ask(t, &a)
	a.want(7, 43)
	a.answered(errors.New("gone"), nil, 0)
	if q, ok := a.next(50, cmp.Compare[flow.ID]); ok {
		t.Fatalf("asked again at once: %+v", q)
	}
	a.net(false, t0)
	q := ask(t, &a)
	if runs := q.runs(); !slices.Equal(q.keys, []flow.ID{7}) || !slices.Contains(runs, 42) || !slices.Contains(runs, 43) {
		t.Errorf("keys %v, runs %v", q.keys, runs)
	}
	a.answered(nil, []flow.ID{7}, 0) // of one that could not be decided about the runs are named again
	if q := ask(t, &a); len(q.runs()) != 2 {
		t.Errorf("runs %v", q.runs())
	}
	a.answered(nil, nil, 0)

	a.net(true, t0.Add(allEvery))
	ask(t, &a)
	a.answered(nil, nil, 9)
	ask(t, &a)
	a.answered(errors.New("gone"), nil, 0)
	a.net(true, t0.Add(allEvery))
	if q := ask(t, &a); len(q.keys) > 0 || q.after != 9 {
		t.Errorf("%+v: the page that failed is not read again", q)
	}
	a.answered(nil, nil, 0)
	if q, ok := a.next(50, cmp.Compare[flow.ID]); ok {
		t.Errorf("%+v: there is nothing left", q)
	}
}
