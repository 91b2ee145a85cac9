package worker

import (
	"testing"
	"time"

	"baton/internal/flow"
)

func TestOverload(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	usual := Limits{CPU: 1, Memory: 0.95, Disk: 256 * mib}
	for _, c := range []struct {
		name   string
		limits Limits
		seen   []Measured
		want   []string
	}{
		{"a small host that is fully used goes on", usual, []Measured{{CPU: 1, Memory: 0.9, Free: 1000 * mib}}, []string{""}},
		{
			"memory, until it is well below", usual,
			[]Measured{{Memory: 0.94, Free: 1000 * mib}, {Memory: 0.97, Free: 1000 * mib}, {Memory: 0.93, Free: 1000 * mib}, {Memory: 0.89, Free: 1000 * mib}, {Memory: 0.94, Free: 1000 * mib}},
			[]string{"", "memory 97 % (limit 95 %)", "memory 93 % (limit 95 %)", "", ""},
		},
		{
			"the disk, until there is a quarter more", usual,
			[]Measured{{Free: 256 * mib}, {Free: 255 * mib}, {Free: 300 * mib}, {Free: 320 * mib}},
			[]string{"", "255 MiB free on the disk of its data folder (at least 256 MiB)", "300 MiB free on the disk of its data folder (at least 256 MiB)", ""},
		},
		{"a disk that tells nothing", usual, []Measured{{Free: -1}}, []string{""}},
		{
			"two at once",
			Limits{CPU: 0.8, Memory: 0.5},
			[]Measured{{CPU: 0.8, Memory: 0.6}, {CPU: 0.7, Memory: 0.6}},
			[]string{"CPU 80 % (limit 80 %), memory 60 % (limit 50 %)", "memory 60 % (limit 50 %)"},
		},
		{"no limits", Limits{}, []Measured{{CPU: 1, Memory: 1}}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := overload{limits: c.limits}
			for i, m := range c.seen {
				if o.measured(m, 1); o.text != c.want[i] {
					t.Errorf("after %+v: %q, want %q", m, o.text, c.want[i])
				}
			}
		})
	}
}

func TestWhoCanBeginNothingTakesNothing(t *testing.T) {
	t.Parallel()
	at := func(s int) flow.Time { return flow.Time(1).Add(time.Duration(s) * time.Second) }
	o := overload{}
	says := func(want string, now flow.Time) {
		t.Helper()
		if o.measured(Measured{}, now); o.text != want {
			t.Errorf("it says %q, want %q", o.text, want)
		}
	}
	fails := func(now flow.Time) bool { return o.tried(false, "make work folder: read-only file system", now) }
	twice := func() bool { first := fails(at(1)); return fails(at(1)) || first }
	if twice() {
		t.Error("two may be chance")
	}
	o.tried(true, "", at(1))
	if twice() || !fails(at(1)) {
		t.Error("the third in a row is not, wherever it counts from")
	}
	says("it could not begin the last 3 tasks: make work folder: read-only file system", at(2))
	if fails(at(3)) {
		t.Error("what was on its way changes nothing")
	}
	says("", at(40)) // one is tried
	if !fails(at(41)) {
		t.Error("which fails, so that nothing more is taken")
	}
	says("it could not begin the last 5 tasks: make work folder: read-only file system", at(41))
	says("", at(80))
	if o.tried(true, "", at(81)); fails(at(82)) {
		t.Error("a success forgets what was before")
	}
}
