package flow

import (
	"slices"
	"strings"
	"testing"
)

// Without a rate the limit alone decides.
func TestTurns(t *testing.T) {
	t.Parallel()
	run := func(ids ...ID) (out []Seat) {
		for _, id := range ids {
			out = append(out, Seat{ID: id, Times: 1, State: InstanceRunning})
		}
		return out
	}
	again := func(id ID) Seat { return Seat{ID: id, Times: 2, State: InstanceQueued} }
	lame := Seat{ID: 1, Times: 1, State: InstanceQuarantined}
	for _, c := range []struct {
		name    string
		e       Execution
		going   []Seat
		waiting []Seat
		before  ID
		want    string
	}{
		{"room for one of two", Execution{Limit: 2}, run(1), run(2, 3), 0, "admit:2:1"},
		{"no room", Execution{Limit: 1}, run(1), run(2), 0, ""},
		{"more go on than may", Execution{Limit: 1}, run(1, 2), run(3), 0, ""},
		{"not limited any more", Execution{}, run(1, 2), run(3, 4), 0, "admit:3:1 admit:4:1"},
		{"not limited any more, and what would have been discarded", Execution{Over: OverDiscard}, run(1), run(2), 0, "admit:2:1"},
		{"an earlier start is no run yet", Execution{Limit: 2}, nil, run(2, 5), 3, "admit:2:1"},
		{"who runs again waits for no start", Execution{Limit: 1}, nil, []Seat{again(5)}, 3, "admit:5:2"},
		{"discard", Execution{Limit: 1, Over: OverDiscard}, nil, run(1, 2, 3), 0, "admit:1:1 discard:2:1 discard:3:1"},
		{"stop the oldest", Execution{Limit: 1, Over: OverStopOldest}, run(1), run(2), 0, "oust:1:1"},
		{"stop the oldest, of whom one is enough", Execution{Limit: 2, Over: OverStopOldest}, run(1, 2), run(3), 0, "oust:1:1"},
		{"the newest only", Execution{Limit: 1, Over: OverStopOldest}, run(1), run(2, 3), 0, "discard:2:1 oust:1:1"},
		{"the newest begin in order", Execution{Limit: 2, Over: OverStopOldest}, nil, run(2, 3, 4), 0, "discard:2:1 admit:3:1 admit:4:1"},
		{"the newest have room", Execution{Limit: 3, Over: OverStopOldest}, run(1), run(2, 3), 0, "admit:2:1 admit:3:1"},
		{"a quarantined run is a person's", Execution{Limit: 1, Over: OverStopOldest}, []Seat{lame}, run(2), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			orders, later := TurnRule{Execution: c.e}.Give(Line{Going: c.going, Waiting: c.waiting, Before: c.before, Now: 7})
			behind := func(w Seat) bool { return c.before != 0 && w.ID > c.before && w.Times == 1 }
			if (later != 0) != slices.ContainsFunc(c.waiting, behind) {
				t.Errorf("later is %d", later)
			}
			for _, order := range orders {
				item := order.Item(9, 8)
				if item.Instance != order.ID || item.Dedup != order.Dedup() || (item.Kind == InboxVerb) != (order.Kind == OrderOust) || (order.Why != "") != (order.Kind == OrderDiscard) {
					t.Errorf("%+v says %+v, %s", order, item, item.Payload)
				}
				got = append(got, item.Dedup)
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}
