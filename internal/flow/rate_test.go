package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const noon = Time(1_790_000_000_000_000)

// seats are runs of an age of one run each: the first ids are those submitted first.
func seats(ids ...ID) (out []Seat) {
	for _, id := range ids {
		out = append(out, Seat{ID: id, Times: 1, State: InstanceRunning})
	}
	return out
}

// ago are moments before noon, in seconds.
func ago(seconds ...int) (out []Time) {
	for _, s := range seconds {
		out = append(out, noon.Add(-time.Duration(s)*time.Second))
	}
	return out
}

func TestRate(t *testing.T) {
	t.Parallel()
	two := Rate{Starts: 2, Per: Duration(time.Minute)}
	for _, c := range []struct {
		name    string
		rule    TurnRule
		going   []Seat
		waiting []Seat
		starts  []Time
		want    string
		later   int // seconds from now, 0: none
	}{
		{"the first ones", TurnRule{Rate: two}, nil, seats(1, 2), nil, "admit:1:1 admit:2:1", 0},
		{"one more than may", TurnRule{Rate: two}, nil, seats(1, 2, 3), nil, "admit:1:1 admit:2:1", 60},
		{"one began lately", TurnRule{Rate: two}, nil, seats(1, 2), ago(20), "admit:1:1", 40},
		{"two began lately", TurnRule{Rate: two}, nil, seats(1, 2), ago(50, 20), "", 10},
		{"the moment has come", TurnRule{Rate: two}, nil, seats(1, 2), ago(60, 20), "admit:1:1", 40},
		{"nobody waits", TurnRule{Rate: two}, nil, nil, ago(50, 20), "", 0},
		{"it was higher", TurnRule{Rate: two}, nil, seats(1), ago(50, 40, 30, 20), "", 30},
		{"the clock was set back", TurnRule{Rate: two}, nil, seats(1), ago(-4000, -3000), "", 60},
		{"no rate any more", TurnRule{}, nil, seats(1, 2), ago(3, 2, 1), "admit:1:1 admit:2:1", 0},

		{"the limit holds them up", TurnRule{Execution{Limit: 1}, two}, seats(1), seats(2), ago(50, 20), "", 0},
		{"then the rate does", TurnRule{Execution{Limit: 1}, two}, nil, seats(2), ago(50, 20), "", 10},
		{"the limit after the rate", TurnRule{Execution{Limit: 1}, two}, nil, seats(2, 3), ago(20), "admit:2:1", 0},

		{"nobody is discarded for the rate", TurnRule{Execution{Limit: 1, Over: OverDiscard}, two}, nil, seats(2, 3), ago(50, 20), "", 10},
		{"who waited for the rate is one too many later", TurnRule{Execution{Limit: 1, Over: OverDiscard}, two}, nil, seats(2, 3), ago(60, 20), "admit:2:1 discard:3:1", 0},
		{"one too many, whatever the rate", TurnRule{Execution{Limit: 1, Over: OverDiscard}, two}, seats(1), seats(2), ago(50, 20), "discard:2:1", 0},

		{"nobody is stopped for one that may not begin", TurnRule{Execution{Limit: 1, Over: OverStopOldest}, two}, seats(1), seats(2), ago(50, 20), "", 10},
		{"stopped when it may", TurnRule{Execution{Limit: 1, Over: OverStopOldest}, two}, seats(1), seats(2), ago(60, 20), "oust:1:1", 0},
		{"as many as may begin", TurnRule{Execution{Limit: 2, Over: OverStopOldest}, two}, seats(1, 2), seats(3, 4), ago(20), "oust:1:1", 0},
		{"the newest wait for the rate", TurnRule{Execution{Limit: 1, Over: OverStopOldest}, two}, nil, seats(2, 3), ago(50, 20), "discard:2:1", 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			orders, later := c.rule.Give(Line{Going: c.going, Waiting: c.waiting, Starts: c.starts, Now: noon})
			var got []string
			for _, o := range orders {
				got = append(got, o.Dedup())
				if admit := o.Kind == OrderAdmit && c.rule.Rate.Starts > 0; (o.At == noon) != admit {
					t.Errorf("%s is told that its turn came at %s", o.Dedup(), o.At)
				}
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%q, want %q", text, c.want)
			}
			var want Time
			if c.later != 0 {
				want = noon.Add(time.Duration(c.later) * time.Second)
			}
			if later != want {
				t.Errorf("later: %s, want %s", later, want)
			}
		})
	}
}

func TestRateWhen(t *testing.T) {
	t.Parallel()
	r := Rate{Starts: 2, Per: Duration(time.Minute)}
	var got []string
	for before := range 6 {
		got = append(got, fmt.Sprint(r.When(ago(50, 20), noon, before).Sub(noon).Seconds()))
	}
	if text := strings.Join(got, " "); text != "10 40 70 100 130 160" {
		t.Error(text)
	}
	if at := r.When(nil, noon, 0); at != noon {
		t.Error(at)
	}
}

func TestTurnReason(t *testing.T) {
	t.Parallel()
	minute := Duration(time.Minute)
	for _, c := range []struct {
		rule TurnRule
		want string
	}{
		{TurnRule{Execution: Execution{Limit: 1}}, "turn: runs of this workflow go one after another"},
		{TurnRule{Execution: Execution{Limit: 2}}, "turn: at most 2 runs of this workflow go on at a time"},
		{TurnRule{Execution: Execution{Limit: 1, Key: "${k}"}}, `turn: runs of this workflow with key "eu" go one after another`},
		{TurnRule{Rate: Rate{Starts: 10, Per: minute}}, "turn: at most 10 runs of this workflow begin in 1m"},
		{TurnRule{Execution{Limit: 1}, Rate{Starts: 10, Per: minute}}, "turn: runs of this workflow go one after another, and at most 10 of them begin in 1m"},
		{TurnRule{Execution{Limit: 2, Key: "${k}"}, Rate{10, minute, "${k}"}}, `turn: at most 2 runs of this workflow with key "eu" go on at a time, and at most 10 of them begin in 1m`},
	} {
		if got := c.rule.Reason("eu"); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// Whatever comes and ends: no stretch as long as the rate has more starts than it says, no more go on than may, they
// begin in order, nobody who may begin waits, and who waits for the rate alone begins at the moment that was said.
func TestRateProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := TurnRule{
			Execution{Limit: rapid.IntRange(0, 3).Draw(t, "limit")},
			Rate{Starts: rapid.IntRange(1, 4).Draw(t, "starts"), Per: Duration(time.Duration(rapid.IntRange(1, 9).Draw(t, "per")) * time.Second)},
		}
		var going, waiting []Seat
		var starts []Time
		var last, began ID
		now, later := noon, Time(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			step := Time(rapid.Int64Range(0, 3_000_000).Draw(t, "time"))
			if due := later != 0 && now+step >= later; due {
				now = later // as a timer does
			} else {
				now += step
				for range rapid.IntRange(0, 3).Draw(t, "new") {
					last++
					waiting = append(waiting, seats(last)...)
				}
				if len(going) > 0 && rapid.Bool().Draw(t, "one ends") {
					going = slices.Delete(going, 0, 1)
				}
			}
			expected := later == now
			orders, again := rule.Give(Line{Going: going, Waiting: waiting, Starts: starts[max(len(starts)-rule.Rate.Starts, 0):], Now: now})
			if expected && len(orders) == 0 {
				t.Fatalf("nobody begins at the moment that was said")
			}
			for _, o := range orders {
				if o.Kind != OrderAdmit || o.ID != began+1 {
					t.Fatalf("%s, after run %d", o.Dedup(), began)
				}
				began = o.ID
				starts, going, waiting = append(starts, o.At), append(going, o.Seat), waiting[1:]
			}
			checkWindows(t, rule.Rate, starts)
			room := rule.Execution.Limit == 0 || len(going) < rule.Execution.Limit
			if limit := rule.Execution.Limit; limit > 0 && len(going) > limit {
				t.Fatalf("%d of %d go on", len(going), limit)
			}
			held := len(waiting) > 0 && room
			if held && !windowFull(rule.Rate, starts, now) {
				t.Fatalf("run %d waits although it might begin", waiting[0].ID)
			}
			if later = again; held != (later != 0) || held && later <= now {
				t.Fatalf("held up by the rate: %t; later is %s, now it is %s", held, later, now)
			}
		}
	})
}

// checkWindows looks at the stretch that begins with each start.
func checkWindows(t *rapid.T, r Rate, starts []Time) {
	for i, from := range starts {
		n := 0
		for _, at := range starts[i:] {
			if at.Sub(from) < r.Per.Std() {
				n++
			}
		}
		if n > r.Starts {
			t.Fatalf("%d begin within %s of %s, of at most %d", n, r.Per, from, r.Starts)
		}
	}
}

// windowFull tells whether a start at a moment would be one too many in the stretch that ends with it.
func windowFull(r Rate, starts []Time, now Time) bool {
	n := 0
	for _, at := range starts {
		if now.Sub(at) < r.Per.Std() {
			n++
		}
	}
	return n >= r.Starts
}
