package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"baton/test/harness"
)

const noisy = `
name: flood
tasks: {a: {run: "head -c 200000000 /dev/zero | tr '\\000' y; echo; echo last"}}
---
name: line
tasks: {a: {run: "head -c 10000000 /dev/zero | tr '\\000' x; echo; echo after"}}
---
name: lines
tasks: {a: {run: "seq 1000000"}}
---
name: binary
tasks: {a: {run: "printf 'a\\000b\\377\\376c\\n${setValue(k=x\\000y\\377z)}\\n'; head -c 300000 /dev/urandom"}}
---
name: file
tasks: {a: {run: "(printf '{\"k\": \"'; head -c 10000000 /dev/zero | tr '\\000' 1; printf '\"}') > \"$BATON_OUTPUT\""}}
---
name: set
tasks: {a: {run: "printf '${setValue(k='; head -c 10000000 /dev/zero | tr '\\000' 1; printf ')}'"}}
---
name: nul
tasks: {a: {run: "printf '{\"k\": \"a\\\\u0000b\"}' > \"$BATON_OUTPUT\""}}
---
name: torn
tasks: {a: {run: "printf '{\"k\": ' > \"$BATON_OUTPUT\""}}
`

// The limit of a log is the operator's; the task does not notice.
func TestLogLimit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "--log-limit", "4KiB")
	s.Apply(t, noisy)
	run := s.Run(t, "lines")
	log := s.Logs(t, run.ID, "a")
	if run.State != "succeeded" || len(log) > 4096+200 || !strings.Contains(log, "[baton] the log ends here: it reached its limit of 4096 bytes") {
		t.Errorf("%s, a log of %d bytes that ends in %q", run.State, len(log), log[max(0, len(log)-200):])
	}
}

func TestTaskThatPrintsALot(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, noisy)
	run := s.Run(t, "flood")
	logs, err := filepath.Glob(filepath.Join(s.Data, "logs", run.ID, "*", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs of one attempt: %v %v", logs, err)
	}
	if info, err := os.Stat(logs[0]); err != nil || info.Size() != 200_000_000+len64("\nlast\n") || run.State != "succeeded" {
		t.Errorf("flood: %s, %v %v", run.State, info.Size(), err)
	}
	run = s.Run(t, "line")
	if log := s.Logs(t, run.ID, "a"); run.State != "succeeded" || log != strings.Repeat("x", 10_000_000)+"\nafter\n" {
		t.Errorf("line: %s, %d bytes", run.State, len(log))
	}
	run = s.Run(t, "lines")
	log, followed := s.Logs(t, run.ID, "a"), s.Must(t, "logs", run.ID, "a", "-f")
	if log != followed || strings.Count(log, "\n") != 1_000_000 || !strings.HasSuffix(log, "\n1000000\n") {
		t.Errorf("lines: %d lines, %d followed", strings.Count(log, "\n"), strings.Count(followed, "\n"))
	}
}

func len64(s string) int64 { return int64(len(s)) }

func TestTaskThatPrintsBinary(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, noisy)
	run := s.Run(t, "binary")
	if a := run.Task(t, "a"); a.State != "succeeded" || a.Output("k") != "x\uFFFDy\uFFFDz" {
		t.Errorf("binary: %s %q", a.State, a.Output("k"))
	}
	begin := "a\x00b\xff\xfec\n${setValue(k=x\x00y\xffz)}\n"
	if log := s.Logs(t, run.ID, "a"); len(log) != len(begin)+300_000 || !strings.HasPrefix(log, begin) {
		t.Errorf("binary: log of %d bytes, begins %q", len(log), log[:len(begin)])
	}
	if followed := s.Must(t, "logs", run.ID, "a", "-f"); !strings.HasPrefix(followed, "a\x00b\uFFFD") {
		t.Errorf("followed: %q", followed[:20])
	}
	// What is handed on and cannot be kept fails the task, and its log says why.
	for workflow, word := range map[string]string{"file": "KiB", "set": "KiB", "nul": "NUL", "torn": "line 1, column"} {
		run := s.Run(t, workflow)
		if a := run.Task(t, "a"); a.State != "failed" || a.Reason != "outputs" {
			t.Errorf("%s: %s %s", workflow, a.State, a.Reason)
		}
		log := s.Logs(t, run.ID, "a")
		last := log[strings.LastIndex(strings.TrimSuffix(log, "\n"), "\n")+1:]
		if !strings.HasPrefix(last, "[baton] ") || !strings.Contains(last, word) {
			t.Errorf("%s: the log ends with %.200q", workflow, last)
		}
	}
	healthy(t, s)
}

// naps are sleeps of lengths that nobody else uses, so that they are found among all processes.
const naps = `
name: deaf
tasks: {a: {run: "trap '' TERM; echo up; while :; do sleep 0.1; done"}}
---
name: daemon
params: {nap: ""}
tasks: {a: {run: "(setsid sleep $nap >/dev/null 2>&1 &); (setsid setsid sleep $nap </dev/null >/dev/null 2>&1 &); sleep 0.1; echo done"}}
---
name: daemon-killed
params: {nap: ""}
tasks: {a: {run: "(setsid sleep $nap >/dev/null 2>&1 &); (setsid setsid sleep $nap </dev/null >/dev/null 2>&1 &); echo up; sleep $nap"}}
---
name: breeder
params: {nap: ""}
tasks:
  a:
    run: |
      for i in $(seq 150); do (setsid sh -c "trap '' TERM; while :; do sleep $nap; done" &); done
      echo up
      sleep $nap
`

func TestProcessesAreGone(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, naps)
	up := func(id string) {
		harness.Eventually(t, "the task is up", func() bool { return strings.HasPrefix(s.Baton(t, "logs", id, "a").Stdout, "up") })
	}
	t.Run("leaves daemons", func(t *testing.T) {
		t.Parallel()
		nap := napOf(1)
		run := s.Run(t, "daemon", "-p", "nap="+nap)
		if log := s.Logs(t, run.ID, "a"); !strings.Contains(log, "left 2 processes running; they were killed") {
			t.Errorf("log: %s", log)
		}
		if n := processes(t, nap); n > 0 || run.State != "succeeded" {
			t.Errorf("%s, and %d processes are left", run.State, n)
		}
	})
	t.Run("daemons of a killed task", func(t *testing.T) {
		t.Parallel()
		nap := napOf(2)
		run := s.Begin(t, "daemon-killed", "-p", "nap="+nap)
		up(run.ID)
		s.Must(t, "stop", run.ID)
		if a := until(t, s, run.ID, "stopped").Task(t, "a"); a.State != "killed" || processes(t, nap) > 0 {
			t.Errorf("%s, and %d processes are left", a.State, processes(t, nap))
		}
	})
	t.Run("ignores SIGTERM", func(t *testing.T) {
		t.Parallel()
		run := s.Begin(t, "deaf")
		up(run.ID)
		s.Must(t, "stop", run.ID)
		run = until(t, s, run.ID, "stopped")
		if took := run.EndedAt.Sub(*run.StartedAt); took < 9*time.Second || took > 40*time.Second {
			t.Errorf("killed after %s: the grace is 10 s", took)
		}
	})
	t.Run("breeds", func(t *testing.T) {
		t.Parallel()
		nap := napOf(3)
		run := s.Begin(t, "breeder", "-p", "nap="+nap)
		up(run.ID)
		s.Must(t, "task", "kill", run.ID, "a")
		if a := until(t, s, run.ID, "failed").Task(t, "a"); a.State != "killed" || a.Reason != "by_hand" || processes(t, nap) > 0 {
			t.Errorf("%s (%s), and %d processes are left", a.State, a.Reason, processes(t, nap))
		}
		healthy(t, s)
	})
}

// A daemon that cleared its environment too is known by having no other parent: of several tasks
// that run at the same time nobody can tell whose it is, so this one has a server to itself.
const washed = `
name: washed
params: {nap: ""}
tasks: {a: {run: "(env -i setsid setsid sleep $nap </dev/null >/dev/null 2>&1 &); echo up; sleep $nap"}}
`

func TestWashedDaemonIsGone(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, washed)
	nap := napOf(4)
	run := s.Begin(t, "washed", "-p", "nap="+nap)
	harness.Eventually(t, "the task is up, and its daemon", func() bool {
		return strings.HasPrefix(s.Baton(t, "logs", run.ID, "a").Stdout, "up") && processes(t, nap) == 2
	})
	s.Must(t, "stop", run.ID)
	if a := until(t, s, run.ID, "stopped").Task(t, "a"); a.State != "killed" || processes(t, nap) > 0 {
		t.Errorf("%s, and %d processes are left", a.State, processes(t, nap))
	}
}

func napOf(n int) string { return strconv.Itoa(100_000+os.Getpid()) + "." + strconv.Itoa(n) }

// processes counts those that sleep so long.
func processes(t *testing.T, nap string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range all {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), "sleep") && strings.Contains(string(raw), nap) {
			n++
		}
	}
	return n
}
