package product

import (
	"strings"
	"testing"
	"time"
)

func TestTimetable(t *testing.T) {
	t.Parallel()
	turns := Timetable{Name: "turn", N: 1003, Every: 10}
	from := time.Unix(1_800_000_000, 0)
	for _, c := range []struct{ seconds, want int }{{1, 101}, {3, 303}, {4, 403}, {10, 1003}} {
		if got := turns.due(from, from.Add(time.Duration(c.seconds)*time.Second)); got != c.want {
			t.Errorf("in %d seconds %d are due, want %d", c.seconds, got, c.want)
		}
	}
	flows := turns.flows()
	if len(flows) != 2 || len(flows[0].Schedules) != 1000 || len(flows[1].Schedules) != 3 {
		t.Fatalf("%d workflows", len(flows))
	}
	const want = `name: turn1
schedules:
  - {every: 10s, start: 1970-01-01T00:00:00Z}
  - {every: 10s, start: 1970-01-01T00:00:01Z}
  - {every: 10s, start: 1970-01-01T00:00:02Z}
tasks:
  t0: {type: noop}
`
	if got := flows[1].YAML(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	once := Timetable{Name: "once", N: 2, At: from}
	if got := once.flows()[0].YAML(); strings.Count(got, "{at: 2027-01-15T08:00:00Z}") != 2 || once.due(from, from.Add(time.Second)) != 2 {
		t.Error(got)
	}
}
