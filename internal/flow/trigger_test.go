package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

const hour = Time(3600 * 1e6)

// heardOf plays ends, written as source and hour, and tells what is decided.
func heardOf(a After, window Duration, ends string) string {
	var marks []Mark
	var newest Time
	for i, word := range strings.Fields(ends) {
		var source byte
		var at int
		if _, err := fmt.Sscanf(word, "%c%d", &source, &at); err != nil {
			panic(err)
		}
		m := Mark{Source: "p/" + string(source) + ":succeeded", Instance: ID(i + 1), EndedAt: Time(at) * hour}
		marks, newest = append(marks, m), max(newest, m.EndedAt)
	}
	h := a.Hear(marks, window, newest)
	show := func(list []Mark) string {
		var out []string
		for _, m := range list {
			out = append(out, fmt.Sprintf("%s%d", ParseSource(m.Source).Workflow, m.EndedAt/hour))
		}
		return strings.Join(out, "+")
	}
	var sets []string
	for _, set := range h.Sets {
		sets = append(sets, show(set))
	}
	return fmt.Sprintf("sets [%s] expired [%s] waiting [%s]", strings.Join(sets, " "), show(h.Expired), show(h.Waiting))
}

func TestSetsOfEnds(t *testing.T) {
	t.Parallel()
	a, b, c := Source{Project: "p", Workflow: "a"}, Source{Project: "p", Workflow: "b"}, Source{Project: "p", Workflow: "c"}
	two, three, any := After{All: []Source{a, b}}, After{All: []Source{a, b, c}}, After{Any: []Source{a, b}}
	for _, x := range []struct {
		after  After
		window Duration
		ends   string
		want   string
	}{
		{two, 0, "", "sets [] expired [] waiting []"},
		{two, 0, "a1", "sets [] expired [] waiting [a1]"},
		{two, 0, "a1 b2", "sets [a1+b2] expired [] waiting []"},
		{two, 0, "b2 a1", "sets [a1+b2] expired [] waiting []"},
		{two, 0, "a1 a2 a3 b4 b5", "sets [a1+b4 a2+b5] expired [] waiting [a3]"},
		{two, 0, "a1 b26", "sets [] expired [a1] waiting [b26]"},
		{two, 0, "a1 b25", "sets [a1+b25] expired [] waiting []"},
		{two, 0, "a1 a20 b26", "sets [a20+b26] expired [a1] waiting []"},
		{two, Duration(2 * 3600e9), "a1 a2 a9 b10", "sets [a9+b10] expired [a1+a2] waiting []"},
		{two, 0, "a1 b2 a90", "sets [a1+b2] expired [] waiting [a90]"}, // whoever decides late decides the same
		{three, 0, "a1 b2 c3 b4 c5", "sets [a1+b2+c3] expired [] waiting [b4+c5]"},
		{three, 0, "a1 b2 b40", "sets [] expired [a1+b2] waiting [b40]"},
		{any, 0, "a1 b2 a3", "sets [a1 b2 a3] expired [] waiting []"},
	} {
		if got := heardOf(x.after, x.window, x.ends); got != x.want {
			t.Errorf("%+v of %q:\n got %s\nwant %s", x.after, x.ends, got, x.want)
		}
	}
}

// Deciding bit by bit comes to what deciding at the end does.
func TestSetsDoNotDependOnWhenSomebodyDecides(t *testing.T) {
	t.Parallel()
	after := After{All: []Source{{Project: "p", Workflow: "a"}, {Project: "p", Workflow: "b"}}}
	same := func(kinds []bool, gaps []uint8) bool {
		var all, left []Mark
		var bitwise [][]Mark
		at := Time(1)
		for i, kind := range kinds {
			source := after.All[0]
			if kind {
				source = after.All[1]
			}
			if i < len(gaps) {
				at += Time(gaps[i]) * hour / 8
			}
			m := Mark{Source: source.Key(), Instance: ID(i + 1), EndedAt: at}
			all, left = append(all, m), append(left, m)
			h := after.Hear(left, 0, at)
			bitwise, left = append(bitwise, h.Sets...), h.Waiting
		}
		h := after.Hear(all, 0, at)
		return h.More || slices.EqualFunc(h.Sets, bitwise, func(x, y []Mark) bool {
			return slices.EqualFunc(x, y, func(m, n Mark) bool { return m.Instance == n.Instance })
		})
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// A flood is decided in parts, and loses nothing.
func TestAFloodOfEndsIsDecidedInParts(t *testing.T) {
	t.Parallel()
	after := After{All: []Source{{Project: "p", Workflow: "a"}, {Project: "p", Workflow: "b"}}}
	const many = 3*MarksOfSource + 7
	var left []Mark
	for i := range 2 * many {
		left = append(left, Mark{Source: after.All[i/many].Key(), Instance: ID(i + 1), EndedAt: Time(i)})
	}
	sets := 0
	for range 100 {
		var read []Mark // the oldest of each source, as the store reads them
		for _, s := range after.All {
			n := 0
			for _, m := range left {
				if m.Source == s.Key() && n < MarksOfSource {
					read, n = append(read, m), n+1
				}
			}
		}
		h := after.Hear(read, 0, Time(2*many))
		for _, set := range h.Sets {
			for _, m := range set {
				left = slices.DeleteFunc(left, func(k Mark) bool { return k.Instance == m.Instance })
			}
		}
		if sets += len(h.Sets); !h.More {
			break
		}
	}
	if sets != many || len(left) != 0 {
		t.Errorf("%d sets of %d, %d marks left", sets, many, len(left))
	}
}

func TestSourceKeys(t *testing.T) {
	t.Parallel()
	s := Source{Project: "p", Workflow: "a:b"}
	if got := ParseSource(s.Key()); got != (Source{Project: "p", Workflow: "a:b", State: SourceSucceeded}) {
		t.Errorf("%+v", got)
	}
	for state, want := range map[SourceState]uint32{"": 1 << 11, SourceFailed: 1 << 10, SourceStopped: 1 << 9, SourceEnded: 7 << 9} {
		if got := (Source{State: state}).States(); got != want {
			t.Errorf("%q: %b", state, got)
		}
	}
}
