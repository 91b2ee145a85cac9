package reasons

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/test/harness"
)

// elsewhere are sentences that no test here provokes, and the file that does.
var elsewhere = map[string]string{
	"calendar: moved from …": "internal/timetable/decide_test.go",
	"no_slot: no place on the … workers of group …: worker … takes nothing now (…), and is asked again after a while":                                                   "internal/dispatch/pool_test.go",
	"no_worker: no worker of group … has type …, such as …, which has …; it goes on when one with it joins":                                                             "internal/dispatch/pool_test.go",
	"quarantined: … masters in a row ended while they drove this run, the last two while they did nothing else; `baton release` tries again, `baton stop` ends the run": "test/crash/deadly_test.go",
	"child: run … is quarantined; `baton release …` or `baton stop …`: …":                                                                                               "internal/engine/testdata/scripts/child.txt",
	"map: its items gave more than a task may hand on; waits until nothing of its items is left":                                                                        "internal/engine/testdata/scripts/mapfull.txt",
	"deadline: it … by …; ":                                  "internal/engine/testdata/scripts/deadlines.txt", // the minute must come
	"disabled: `baton trigger enable … …` has it wait again": "internal/cli/testdata/server/triggers.txtar",
	// Of a moment within a step: what is committed says why no place was found.
	"queued: its worker was lost; waits for a place on another of group …": "internal/engine/testdata/scripts/retries.txt",
	"queued: waits for a place on a worker of group …":                     "internal/engine/testdata/scripts/hosted.txt",
	// A guard: a map whose list cannot be made has failed.
	"map: waits for its items": "internal/engine/items.go",
}

// Nothing waits without a reason that a person can read, and each that there is is provoked here.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	all := &seen{reasons: map[string]bool{}}
	complete := t.Run("all", func(t *testing.T) {
		t.Run("ordinary", func(t *testing.T) {
			w := standalone(t, all, "--slots", "60")
			cases := slices.Concat(tasksThatWait, runsThatWait)
			w.apply(t, files(cases...))
			t.Run("case", func(t *testing.T) {
				for _, c := range cases {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						w.provoke(t, c)
					})
				}
			})
		})
		for name, world := range map[string]func(*testing.T, *seen){
			"full": workersAreFull, "overloaded": workerIsOverloaded, "nodes": nodesAreAway, "backfills": backfillsRest, "times": timesAreMissed,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				world(t, all)
			})
		}
	})
	if !complete {
		return
	}
	told := 0
	for _, s := range sentences(t) {
		whole := s.code + ": " + s.words
		switch {
		case s.words == "": // the beginning of a longer one
		case all.has(s):
			told++
		case elsewhere[whole] == "":
			t.Errorf("%s: nobody was told %q: provoke it here, or say in `elsewhere` where it is tested", s.where, whole)
		}
	}
	t.Logf("%d sentences, of %d codes", told, len(flow.Waits))
}

func (s *seen) has(x sentence) bool {
	for reason := range s.reasons {
		if x.like.MatchString(reason) {
			return true
		}
	}
	return false
}

// What is tested elsewhere is.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	all := sentences(t)
	for whole, path := range elsewhere {
		if !slices.ContainsFunc(all, func(s sentence) bool { return s.code+": "+s.words == whole }) {
			t.Errorf("nothing says %q any more", whole)
		}
		raw, err := os.ReadFile(filepath.Join(harness.Root(), path))
		if err != nil {
			t.Fatal(err)
		}
		_, words, _ := strings.Cut(whole, ": ")
		parts := strings.Split(words, gap)
		longest := slices.MaxFunc(parts, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
		if short := longest[:min(len(longest), 20)]; !strings.Contains(string(raw), short) {
			t.Errorf("%s has nothing of %q", path, short)
		}
	}
}
