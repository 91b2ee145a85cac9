package window_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/window"
)

// A data time is in the bases of some moments if, and only if, the window seen from it has one of them inside.
func TestBasesAreTheInverseOfIntervals(t *testing.T) {
	t.Parallel()
	words := slices.DeleteFunc(window.Words(), func(w string) bool { return w == window.Same })
	rapid.Check(t, func(t *rapid.T) {
		w, err := window.Find(rapid.SampledFrom(words).Draw(t, "window"))
		if err != nil {
			t.Fatal(err)
		}
		at, zone := asked(t)
		moments := []time.Time{at}
		for _, h := range rapid.SliceOfN(rapid.IntRange(0, 60*24), 0, 4).Draw(t, "hours later") {
			moments = append(moments, at.Add(time.Duration(h)*time.Hour))
		}
		bases := w.Bases(moments, zone)
		for i, b := range bases {
			if !b.Start.Before(b.End) || i > 0 && !bases[i-1].End.Before(b.Start) {
				t.Fatalf("stretch %d: %s", i, summary(bases))
			}
		}
		for _, m := range moments {
			for range 20 {
				base := m.Add(time.Duration(rapid.IntRange(-40*24*3600, 70*24*3600).Draw(t, "away")) * time.Second)
				if rapid.Bool().Draw(t, "near") {
					base = m.Add(time.Duration(rapid.IntRange(-2*24*3600, 3*24*3600).Draw(t, "near by")) * time.Second)
				}
				sees := slices.ContainsFunc(w.Intervals(base, zone), func(i window.Interval) bool { return slices.ContainsFunc(moments, i.Contains) })
				if has := slices.ContainsFunc(bases, func(b window.Interval) bool { return b.Contains(base) }); has != sees {
					t.Fatalf("%s from %s: seen %t, among the bases %t: %s", w, base.In(zone), sees, has, summary(bases))
				}
			}
		}
	})
}

func TestBases(t *testing.T) {
	t.Parallel()
	shanghai := zoneOf(t, "Asia/Shanghai")
	at := func(text string) time.Time {
		m, err := time.ParseInLocation(time.DateTime, text, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		value string
		of    []string
		want  [][2]string
	}{
		{"today", []string{"2028-03-15 02:00:00"}, [][2]string{{"2028-03-15 00:00:00", "2028-03-16 00:00:00"}}},
		{"last1Days", []string{"2028-03-16 02:00:00", "2028-03-15 02:00:00"}, [][2]string{{"2028-03-16 00:00:00", "2028-03-18 00:00:00"}}},
		{"last2Hours", []string{"2028-03-15 02:30:00"}, [][2]string{{"2028-03-15 03:00:00", "2028-03-15 05:00:00"}}},
		{"lastMonthEnd", []string{"2028-02-29 02:00:00"}, [][2]string{{"2028-03-01 00:00:00", "2028-04-01 00:00:00"}}},
		{"lastMonthEnd", []string{"2028-02-28 02:00:00"}, nil},
		{"lastMonday", []string{"2028-03-06 02:00:00"}, [][2]string{{"2028-03-13 00:00:00", "2028-03-20 00:00:00"}}},
		{"last7Days", nil, nil},
	} {
		w, err := window.Find(c.value)
		if err != nil {
			t.Fatal(err)
		}
		var of []time.Time
		for _, m := range c.of {
			of = append(of, at(m))
		}
		var want []window.Interval
		for _, p := range c.want {
			want = append(want, window.Interval{Start: at(p[0]), End: at(p[1])})
		}
		if got := w.Bases(of, shanghai); summary(got) != summary(want) {
			t.Errorf("%s of %v: %s, want %s", c.value, c.of, summary(got), summary(want))
		}
	}
}
