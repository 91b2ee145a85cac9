package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A line of claims for tests: "high 2 5m" is one of priority high on 2 slots that has waited 5 minutes.
func line(t *testing.T, now Time, text string) []Claim {
	t.Helper()
	var out []Claim
	for i, part := range strings.Split(text, ", ") {
		if part == "" {
			continue
		}
		var priority, waited string
		c := Claim{ID: ID(i + 1)}
		if _, err := fmt.Sscanf(part, "%s %d %s", &priority, &c.Slots, &waited); err != nil {
			t.Fatalf("%q: %v", part, err)
		}
		d, err := ParseDuration(waited)
		if err != nil {
			t.Fatal(err)
		}
		if c.Priority, err = ParsePriority(priority); err != nil {
			t.Fatal(err)
		}
		c.At = now.Add(-d.Std())
		out = append(out, c)
	}
	return out
}

func TestGive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		pool    Pool
		held    int
		waiting string
		want    []ID
	}{
		{"nobody waits", Pool{Slots: 3}, 0, "", nil},
		{"in order of age", Pool{Slots: 2}, 0, "medium 1 1s, medium 1 3s, medium 1 2s", []ID{2, 3}},
		{"of the same age by id", Pool{Slots: 1}, 0, "medium 1 1s, medium 1 1s", []ID{1}},
		{"priority goes before age", Pool{Slots: 1}, 0, "medium 1 9m, high 1 1s", []ID{2}},
		{"who has waited long counts for more", Pool{Slots: 1}, 0, "medium 1 10m, high 1 1s", []ID{1}},
		{"the lowest comes to the top", Pool{Slots: 1}, 0, "highest 1 39m, lowest 1 40m", []ID{2}},
		{"and no further", Pool{Slots: 1}, 0, "lowest 1 50m, highest 1 51m", []ID{2}},
		{"what is held is not given", Pool{Slots: 3}, 2, "medium 1 2s, medium 1 1s", []ID{1}},
		{"nobody goes past one that does not fit", Pool{Slots: 3}, 1, "medium 3 9s, medium 1 5s, high 1 1s", []ID{3}},
		{"one that needs more than there is holds up nobody", Pool{Slots: 3}, 1, "medium 4 9s, medium 1 5s", []ID{2}},
		{"fewer slots than are held", Pool{Slots: 1}, 3, "medium 1 9s", nil},
		{"no slots", Pool{}, 0, "medium 1 9s", nil},
		{"closed", Pool{Slots: 3, Closed: true}, 0, "medium 1 9s", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now := Time(1_790_000_000_000_000)
			var got []ID
			for _, g := range c.pool.Give(c.held, line(t, now, c.waiting), now) {
				got = append(got, g.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Whatever comes and goes, no more slots are held than there are, and whoever can be served is, however much comes
// after it with a higher priority.
func TestGiveProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pool := Pool{Slots: rapid.IntRange(1, 4).Draw(t, "slots")}
		now := Time(1_790_000_000_000_000)
		var waiting []Claim
		holders := map[ID]Claim{}
		ends := map[ID]Time{}
		var last ID
		ask := func(p Priority, slots int) ID {
			last++
			waiting = append(waiting, Claim{ID: last, Slots: slots, Priority: p, At: now})
			return last
		}
		held := func() (n int) {
			for _, h := range holders {
				n += h.Slots
			}
			return n
		}
		poor := ask(PriorityLowest, pool.Slots) // the one to starve if any: all slots, and last of all
		for minute := range 400 {
			now = now.Add(time.Minute)
			for id, at := range ends {
				if at <= now {
					delete(holders, id)
					delete(ends, id)
				}
			}
			for range rapid.IntRange(0, 2).Draw(t, "new") {
				ask(Priority(rapid.IntRange(1, 5).Draw(t, "priority")), rapid.IntRange(1, pool.Slots).Draw(t, "asked"))
			}
			for _, c := range pool.Give(held(), waiting, now) {
				holders[c.ID], ends[c.ID] = c, now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "minutes"))*time.Minute)
				waiting = slices.DeleteFunc(waiting, func(w Claim) bool { return w.ID == c.ID })
			}
			if held() > pool.Slots {
				t.Fatalf("%d of %d slots are held", held(), pool.Slots)
			}
			if _, served := holders[poor]; served {
				return
			}
			// From when it counts as the highest, only what is older goes before it, and it is the oldest.
			if minute > 4*int(PoolAgeing/time.Minute)+6 {
				t.Fatalf("it waits after %d minutes, behind %d", minute, len(waiting))
			}
		}
	})
}
