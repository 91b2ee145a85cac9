package crash

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/test/harness"
)

// outside are the points at which the server dies around writing what a file that arrived comes to: of the first look, which
// takes what was there before for known, and of those that start runs.
var outside = []string{"outside.before:1", "outside.after:1", "outside.before:2", "outside.after:2", "outside.before:3", "outside.after:3"}

const arrivals = `
name: arrivals
params: {path: ""}
triggers:
  - name: came
    file: {path: "IN/*", every: 1s, settled: 0s}
    params: {path: "${{ file.name }}"}
tasks:
  say: {run: echo "$path" >> "LEDGER"}
`

// A file that arrives starts one run, wherever the server dies over it.
func TestKilledOverAFile(t *testing.T) {
	t.Parallel()
	for _, point := range outside {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := harness.New(t)
			s.Program = harness.BinaryWith(t, "failpoint")
			in, away, ledger := filepath.Join(s.Dir, "in"), filepath.Join(s.Dir, "away"), filepath.Join(s.Dir, "ledger")
			for _, dir := range []string{in, away} {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			arrive := func(names ...string) {
				for _, name := range names { // whole, at once
					if err := os.WriteFile(filepath.Join(away, name), []byte(name), 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.Rename(filepath.Join(away, name), filepath.Join(in, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.Start(t)
			s.Apply(t, strings.NewReplacer("IN", in, "LEDGER", ledger).Replace(strings.Replace(arrivals, "settled: 0s}", "settled: 0s}\n    enabled: false", 1)))
			arrive("before")
			harness.Eventually(t, "the clock of the file system goes on", func() bool {
				info, err := os.Stat(filepath.Join(in, "before"))
				return err == nil && time.Since(info.ModTime()) > 200*time.Millisecond
			})
			s.Stop(t)

			s.Env = []string{"BATON_FAILPOINT=" + point}
			s.Start(t)
			s.Baton(t, "trigger", "enable", "arrivals") // it may die over that
			arrive("one", "two")
			deadline := time.Now().Add(time.Minute)
			for n := 'a'; ; n++ {
				select {
				case <-s.Died():
				case <-time.After(1200 * time.Millisecond): // another look has something to write
					arrive("more-" + string(n))
					if time.Now().Before(deadline) {
						continue
					}
					t.Fatalf("the server did not come to %s", point)
				}
				break
			}
			arrive("while-nobody-looked")
			s.Env = nil
			s.Start(t)
			arrive("after")
			var want []string
			entries, err := os.ReadDir(in)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() != "before" {
					want = append(want, e.Name())
				}
			}
			var got []string
			harness.Eventually(t, "a run of each file", func() bool {
				raw, _ := os.ReadFile(ledger) // not there yet
				got = strings.Fields(string(raw))
				return len(got) >= len(want)
			})
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("ran for %v; %v arrived", got, want)
			}
		})
	}
}
