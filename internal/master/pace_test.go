package master

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const fast, slow = 10 * time.Millisecond, 600 * time.Millisecond
	for _, c := range []struct {
		name string
		most int
		play func(*pace, int) // in a second
		want string           // each second
	}{
		{"all is well", 500, func(p *pace, _ int) { p.committed(fast) }, "500 500 500"},
		{"one slow commit", 500, func(p *pace, s int) {
			p.committed([]time.Duration{slow, fast}[min(s, 1)])
		}, "250 275 300"},
		{"a slow store", 500, func(p *pace, _ int) { p.committed(slow) }, "250 125! 62! 31! 25! 25!"},
		{"a store that recovers", 100, func(p *pace, s int) {
			if s < 3 {
				p.committed(slow)
			}
		}, "50 25! 12! 17! 22! 27! 32! 37! 42! 47! 52 57"},
		{"memory, until it is well below", 100, func(p *pace, s int) {
			p.measured([]float64{0.5, 0.96, 0.93, 0.89, 0.93, 0.93}[s])
		}, "100 50 25! 30! 35! 40!"},
		{"it never takes none", 1, func(p *pace, _ int) { p.committed(slow) }, "1 1 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPace(c.most, 0.95)
			var got []string
			for s := range len(strings.Fields(c.want)) {
				c.play(&p, s)
				p.set(t0.Add(time.Duration(s) * time.Second))
				p.set(t0.Add(time.Duration(s)*time.Second + time.Millisecond)) // not due
				text := fmt.Sprint(p.now)
				if p.busy() {
					text += "!"
				}
				got = append(got, text)
			}
			if now := strings.Join(got, " "); now != c.want {
				t.Errorf("%s\nwant %s", now, c.want)
			}
		})
	}
}
