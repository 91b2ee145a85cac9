package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
)

// What the test reckons the times of a schedule to be is what Baton's tables say.
func TestTimesOfSchedules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 11, 58, 40, 0, time.UTC)
	for _, c := range clockworks() {
		for _, s := range c.bounded(now, 90*time.Second) {
			for span := 1; span < 7; span++ {
				if s.every != 0 {
					s.every = span
				} else {
					s.cron = [2]int{span - 1, 2 + span}
				}
				said := flow.Schedule{Timezone: c.zone, Start: flow.At(s.start), End: flow.At(s.end), Every: flow.Duration(time.Duration(s.every) * time.Second)}
				if s.every == 0 {
					said.Cron = s.expression()
				}
				table, err := timetable.New(said, nil)
				if err != nil {
					t.Fatal(err)
				}
				var want []time.Time
				for _, p := range table.Preview(flow.At(now), 1000) {
					want = append(want, p.At.Std())
				}
				upTo := s.end.Add(time.Hour)
				if len(want) == 1000 {
					upTo = want[999]
				}
				if got := s.times(now, upTo); len(got) == 0 || !slices.EqualFunc(got, want, time.Time.Equal) {
					t.Errorf("%s %s: %d times %v, not %d %v", s.name, s.span(), len(got), got[:min(3, len(got))], len(want), want[:min(3, len(want))])
				}
			}
		}
	}
}

// clocked is the life of schedule couple: each second second, changed to each third about second 20, off at 24.
func clocked() (of *reigns, rows []fire, pasts []past) {
	s := timed{name: "couple", every: 2, missed: "last", start: at(10), end: at(40)}
	changed := s
	changed.every = 3
	of = &reigns{"tick", "couple", []reign{
		{&s, at(8), at(8.1), "apply"}, {&changed, at(19.5), at(20.5), "span"}, {nil, at(24.2), at(24.4), "disable"},
	}}
	for i, sec := range []float64{10, 12, 14, 16, 18, 20, 22} {
		id := fmt.Sprint(100 + i)
		rows = append(rows, fire{Workflow: "tick", Schedule: "couple", Nominal: at(sec), Last: at(sec), Times: 1, State: stateFired, Instance: id, At: at(sec).Add(20 * time.Millisecond)})
		pasts = append(pasts, past{instance: instance{ID: id, Workflow: "tick", Trigger: triggerSchedule, DataTime: at(sec), State: "succeeded"}})
	}
	return of, rows, pasts
}

// broken names the invariants of schedules that are found broken.
func broken(of *reigns, rows []fire, pasts []past) string {
	r := &run{result: &Result{looked: map[string]int{}}, reigns: []*reigns{of}}
	r.checkFates(rows)
	r.checkFired(rows, pasts)
	var out []string
	for _, v := range r.result.violations {
		out = append(out, v.invariant+": "+v.text)
	}
	return strings.Join(out, "\n")
}

func TestFatesBite(t *testing.T) {
	t.Parallel()
	without := func(rows []fire, i int) []fire { return slices.Delete(slices.Clone(rows), i, i+1) }
	with := func(rows []fire, sec float64) []fire {
		return append(rows, fire{Workflow: "tick", Schedule: "couple", Nominal: at(sec), Last: at(sec), Times: 1, State: "skipped", Reason: "missed: x", At: at(sec + 1)})
	}
	many := func(rows *[]fire, from, n int, last float64) { // a row for n times from the one at an index on
		f := &(*rows)[from]
		f.Times, f.Last, f.State, f.Reason, f.Instance = n, at(last), "skipped", "missed: x", ""
	}
	for name, c := range map[string]struct {
		lie  func(of *reigns, rows *[]fire, pasts *[]past)
		want string // "": it is none
	}{
		"nothing": {func(*reigns, *[]fire, *[]past) {}, ""},
		"the order took effect early": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			*rows, *pasts = without(*rows, 5), slices.Delete(*pasts, 5, 6)
		}, ""},
		"one row for two": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			many(rows, 1, 2, 14)
			*rows, *pasts = without(*rows, 2), slices.Delete(*pasts, 1, 3)
		}, ""},
		"lost": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			*rows, *pasts = without(*rows, 2), slices.Delete(*pasts, 2, 3)
		}, invFates},
		"lost by the new revision": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			*rows, *pasts = without(*rows, 6), slices.Delete(*pasts, 6, 7)
		}, invFates},
		"doubled":                  {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 14) }, invFates},
		"made up":                  {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 15) }, invFates},
		"the old revision goes on": {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 24) }, invFates},
		"disabled and fired":       {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 25) }, invFates},
		"before its start":         {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 8) }, invFates},
		"nobody's schedule":        {func(_ *reigns, rows *[]fire, _ *[]past) { *rows = with(*rows, 12); (*rows)[7].Schedule = "x" }, invFates},
		"one row for too many": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			many(rows, 1, 3, 14)
			*rows, *pasts = without(*rows, 2), slices.Delete(*pasts, 1, 3)
		}, invFates},
		"a row for two, and one of them": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			many(rows, 1, 2, 14)
			*pasts = slices.Delete(*pasts, 1, 2)
		}, invFates},
		"a run without a fire": {func(_ *reigns, _ *[]fire, pasts *[]past) {
			*pasts = append(*pasts, past{instance: instance{ID: "99", Workflow: "tick", Trigger: triggerSchedule, DataTime: at(12), State: "succeeded"}})
		}, invFired},
		"a fire without a run":      {func(_ *reigns, _ *[]fire, pasts *[]past) { *pasts = (*pasts)[1:] }, invFired},
		"a run that somebody began": {func(_ *reigns, _ *[]fire, pasts *[]past) { (*pasts)[1].Trigger = "manual" }, invFired},
		"a run for another time":    {func(_ *reigns, _ *[]fire, pasts *[]past) { (*pasts)[1].DataTime = at(13) }, invFired},
		"a run that never ends":     {func(_ *reigns, _ *[]fire, pasts *[]past) { (*pasts)[1].State = "running" }, invFired},
		"two fires with one run":    {func(_ *reigns, rows *[]fire, _ *[]past) { (*rows)[1].Instance = (*rows)[2].Instance }, invFired},
		"left out with a run": {func(_ *reigns, rows *[]fire, _ *[]past) {
			(*rows)[1].State, (*rows)[1].Reason = "missed", "window: x"
		}, invFired},
		"left out without a reason": {func(_ *reigns, rows *[]fire, pasts *[]past) {
			(*rows)[1].State, (*rows)[1].Instance = "skipped", ""
			*pasts = slices.Delete(*pasts, 1, 2)
		}, invFired},
		"decided before it came": {func(_ *reigns, rows *[]fire, _ *[]past) { (*rows)[1].At = at(11.9) }, invFired},
		"missed: all, and left out": {func(of *reigns, rows *[]fire, pasts *[]past) {
			of.schedule = "second"
			for i := range *rows {
				(*rows)[i].Schedule = "second"
			}
			(*rows)[1].State, (*rows)[1].Reason, (*rows)[1].Instance = "skipped", "missed: x", ""
			*pasts = slices.Delete(*pasts, 1, 2)
		}, invAll},
	} {
		of, rows, pasts := clocked()
		c.lie(of, &rows, &pasts)
		got := broken(of, rows, pasts)
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: found %q, not %q", name, got, c.want)
		}
	}
}

// An order takes effect at one moment: what one had before it and the other after it, and nothing else.
func TestOrdersTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	old := timed{every: 2, start: at(10), end: at(40)}
	changed := old
	changed.every = 3
	for text, want := range map[string]bool{
		"20 22 24": true, "20 22 25": true, "22 25": true, "20 22 24 25": true,
		"20 25": false, "22 24 25": false, "20 22 23 25": false, "20 24": false, "": false, "22": false,
	} {
		of := &reigns{"tick", "couple", []reign{{&old, at(18.1), at(18.2), "a"}, {&changed, at(19.5), at(25.5), "b"}, {nil, at(25.6), at(25.7), "c"}}}
		var rows []fire
		for word := range strings.FieldsSeq(text) {
			var sec float64
			if _, err := fmt.Sscan(word, &sec); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fire{Workflow: "tick", Schedule: "couple", Nominal: at(sec), Last: at(sec), Times: 1})
		}
		v := of.compare(rows)
		if got := len(v.lost)+len(v.strange) == 0; got != want {
			t.Errorf("%q: %+v", text, v)
		}
	}
}

// The same seed orders the same, and each order changes something that is there.
func TestOrdersAreOfSomethingThere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		p := makePlan(Options{Seed: seed, Lease: time.Second})
		for _, c := range clockworks() {
			off := map[string]string{}
			for _, o := range p.timings[c.name] {
				if scheduleOf(o.workflow, o.schedule).name == "" {
					t.Fatalf("seed %d: nobody has %s", seed, o)
				}
				was := off[o.schedule]
				switch o.what {
				case "enable", "restore":
					if was != map[string]string{"enable": "disable", "restore": "remove"}[o.what] {
						t.Fatalf("seed %d: %s, it is %q", seed, o, was)
					}
					delete(off, o.schedule)
				default:
					if was != "" {
						t.Fatalf("seed %d: %s, it is %q", seed, o, was)
					}
					if o.what != "span" {
						off[o.schedule] = o.what
					}
				}
			}
		}
	}
}

func TestLateness(t *testing.T) {
	t.Parallel()
	r := &run{opt: Options{Lease: 4 * time.Second}, faults: []*fault{
		{planned: planned{class: killMaster}, at: at(13), mended: at(15), alone: true},
		{planned: planned{class: loseStore}, at: at(17.5), mended: at(18.5)},
	}}
	_, rows, _ := clocked()
	rows[2].At = at(14.5)
	count := map[string]int{}
	for _, l := range r.lates(rows) {
		count[l.class]++
		if l.took != 20*time.Millisecond && (l.class != killMaster || l.took != 500*time.Millisecond) {
			t.Errorf("%+v", l)
		}
	}
	if want := map[string]int{calmly: 4, killMaster: 2, together: 1}; fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%v, not %v", count, want)
	}
}

// A list of several pages is read to its end, once.
func TestPagesOfAList(t *testing.T) {
	t.Parallel()
	const n = 1203
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var from, limit int
		_, _ = fmt.Sscan(req.FormValue("cursor"), &from)
		_, _ = fmt.Sscan(req.FormValue("limit"), &limit)
		page := list[fire]{}
		for i := from; i < min(n, from+limit); i++ {
			page.Items = append(page.Items, fire{ID: fmt.Sprint(i)})
		}
		if from+limit < n {
			page.Next = fmt.Sprint(from + limit)
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer server.Close()
	c := newClient([]string{server.URL}, "", func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	})
	got, err := all[fire](t.Context(), c, "/api/v1/fires?state=fired")
	if err != nil || len(got) != n {
		t.Fatal(len(got), err)
	}
	for i, f := range got {
		if f.ID != fmt.Sprint(i) {
			t.Fatalf("%d: %s", i, f.ID)
		}
	}
}
