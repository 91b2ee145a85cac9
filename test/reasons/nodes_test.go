package reasons

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

const short = "name: short\ntasks: {a: {run: 'true'}}"

// What waits for places on workers.
func workersAreFull(t *testing.T, all *seen) {
	w := standalone(t, all, "--slots", "1", "--name", "small")
	w.apply(t, "name: long\ntasks: {a: {run: "+on+"}}\n---\n"+short)
	w.until(t, w.begin(t, "long"), "a", "running")
	id := w.begin(t, "short")
	w.sees(t, id, wait{task: "a", state: "queued", says: []string{"no_slot: all 1 places of the 1 workers of group \"default\""}})

	for _, what := range []string{"masters", "workers"} { // both are called so
		for _, n := range harness.Decode[harness.List[struct{ ID string }]](t, w.baton(t, "get", what, "-o", "json")).Items {
			w.baton(t, "drain", n.ID)
		}
	}
	w.sees(t, id, wait{task: "a", state: "queued", says: []string{"no_worker: every worker of group \"default\" is draining"}})
	w.sees(t, w.begin(t, "short"), wait{state: "submitted", says: []string{"masters_drained: every master was told", "(small)", "baton undrain 1`"}})
}

func workerIsOverloaded(t *testing.T, all *seen) {
	w := standalone(t, all, "--overload-disk", "900TiB", "--name", "tiny")
	w.apply(t, short)
	w.sees(t, w.begin(t, "short"), wait{task: "a", state: "queued", says: []string{"no_slot: no place on the 1 workers", "worker tiny takes nothing now: ", "free on the disk"}})
}

// What waits for nodes that are not there, do not answer, or are lost.
func nodesAreAway(t *testing.T, all *seen) {
	dsn := pgtest.Empty(t)
	s := harness.New(t)
	s.Must(t, "migrate", "up", "--store", dsn)
	token := strings.TrimSpace(s.Must(t, "admin", "token", "create", "--store", dsn))
	store := []string{"--store", dsn, "--admin-listen", "127.0.0.1:0"}
	url := harness.Said(t, harness.Role(t, s.Dir, "api", append([]string{"api", "--listen", "127.0.0.1:0"}, store...)...), "ready", "url")
	w := &world{seen: all, s: s, api: harness.NewClient(t, url, token), as: []string{"--server", url, "--token", token}}
	w.watch(t, url, token)
	w.apply(t, short+"\n---\nname: long\ntasks: {a: {run: "+on+"}}\n---\nname: once\ntasks: {a: {delivery: at_most_once, run: "+on+"}}")

	first := w.begin(t, "short")
	w.sees(t, first, wait{state: "submitted", says: []string{"no_master: no master is there", "start one: baton master"}})
	w.sees(t, first, wait{task: "a", says: []string{"not_started: the run waits for a master"}, noRow: true})

	master := append([]string{"master", "--rpc-listen", "127.0.0.1:0", "--lease", "3s"}, store...)
	_, m1 := harness.Process(t, s.Dir, "m1", master...)
	w.sees(t, first, wait{task: "a", state: "queued", says: []string{"no_worker: no worker is connected", `group "default"`}})
	kill(t, m1, syscall.SIGKILL)
	w.sees(t, w.begin(t, "short"), wait{state: "submitted", says: []string{"no_master: no master is there", "lost: m1"}})
	harness.Role(t, s.Dir, "m2", master...)

	_, w1 := harness.Process(t, s.Dir, "w1", append([]string{"worker", "--registry", "sql", "--slots", "9"}, store...)...)
	long, once := w.begin(t, "long"), w.begin(t, "once")
	w.until(t, long, "a", "running")
	w.until(t, once, "a", "running")
	machine := append(below(t, w1), w1)
	for _, pid := range machine {
		kill(t, pid, syscall.SIGSTOP)
	}
	sent := w.begin(t, "short")
	w.sees(t, sent, wait{task: "a", state: "dispatched", says: []string{"dispatched: sent to worker w1"}})
	w.sees(t, long, wait{task: "a", state: "running", says: []string{"worker_suspect: nothing heard from worker w1"}})
	for _, pid := range machine {
		kill(t, pid, syscall.SIGKILL)
	}
	w.sees(t, once, wait{task: "a", state: "unknown", says: []string{"unknown: its worker was lost", "baton task succeed|skip|retry|kill " + once + " a"}})
	w.sees(t, once, wait{state: "running", says: []string{"unknown: a task's worker was lost"}})
	w.sees(t, long, wait{task: "a", state: "queued", says: []string{"no_worker: no worker is connected"}})
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// below are the processes that a process started, and those that these did.
func below(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, list := range lists {
		for _, child := range numbers(t, list) {
			out = append(out, append(below(t, child), child)...)
		}
	}
	return out
}

// numbers reads a file of numbers; one that is gone has none.
func numbers(t *testing.T, path string) []int {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []int
	for field := range strings.FieldsSeq(string(raw)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}
