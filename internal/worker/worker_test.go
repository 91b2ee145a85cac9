package worker_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/worker"
)

// overWires runs a test over each of the wires.
func overWires(t *testing.T, test func(t *testing.T, wire string)) {
	t.Parallel()
	for wire := range wires {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			test(t, wire)
		})
	}
}

func TestFunctionAndProcessRunToTheirEnd(t *testing.T) { overWires(t, runToTheirEnd) }

func runToTheirEnd(t *testing.T, wire string) {
	w := setupOver(t, wire, nil)
	w.m.grant(order(1, "noop", ""), order(2, "script", `echo hello; echo '${setValue(k=v)}'; echo '{"n": 1}' > $BATON_OUTPUT`), order(3, "script", "exit 75"), order(4, "script", "kill -9 $$"))
	if e := w.m.end(t, 1); flow.AttemptState(e.State) != flow.AttemptSucceeded || e.HasExitCode {
		t.Errorf("noop: %v", e)
	}
	if e := w.m.end(t, 2); flow.AttemptState(e.State) != flow.AttemptSucceeded || string(e.Outputs) != `{"k":"v","n":1}` || e.StartedAt == 0 {
		t.Errorf("script: %v", e)
	}
	if e := w.m.end(t, 3); flow.AttemptState(e.State) != flow.AttemptFailed || e.Cause != "exit:75" || e.ExitCode != 75 || e.Class != "user" {
		t.Errorf("exit: %v", e)
	}
	if e := w.m.end(t, 4); flow.AttemptState(e.State) != flow.AttemptFailed || e.Cause != "signal:SIGKILL" || e.HasExitCode {
		t.Errorf("signal: %v", e)
	}
	if got := w.m.logOf(t, 2); got != "hello\n${setValue(k=v)}\n" {
		t.Errorf("log %q", got)
	}
	if got := w.m.logOf(t, 99); !strings.Contains(got, "not_found") {
		t.Errorf("log of nobody %q", got)
	}
}

func TestKillIsConfirmedOrRefused(t *testing.T) { overWires(t, killIsConfirmed) }

func killIsConfirmed(t *testing.T, wire string) {
	w := setupOver(t, wire, nil)
	w.m.grant(order(1, "script", "trap '' TERM; setsid sleep 1000 & sleep 1000"), order(2, "script", "sleep 1000"))
	w.m.wait(t, "starts", func() bool { return w.m.started[1] != nil && w.m.started[2] != nil })
	w.m.send(&rpc.FromMaster{Kills: []*rpc.Kill{{Token: 2, Instance: 1, Task: 2}, {Token: 7, Instance: 1, Task: 7}}})
	if e := w.m.end(t, 2); flow.AttemptState(e.State) != flow.AttemptKilled || !e.Confirmed || e.HasExitCode {
		t.Errorf("killed: %v", e)
	}
	w.m.wait(t, "a refusal", func() bool { return w.m.refused[7] != nil })
	w.m.grant(order(7, "noop", ""))
	w.m.wait(t, "a second refusal", func() bool { return w.m.refused[7].Reason == "tombstoned" })
}

func TestSecretsFilesAndPatterns(t *testing.T) { overWires(t, secretsFilesAndPatterns) }

func secretsFilesAndPatterns(t *testing.T, wire string) {
	w := setupOver(t, wire, nil)
	content := []byte("#!/bin/sh\necho from the file, $DB, $DB\n")
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.m.mu.Lock()
	w.m.blobs[sum] = content
	w.m.mu.Unlock()
	g := order(1, "script", `pwd; ls; ./x.sh; printf hun; printf 'ter2\n'; echo '${setValue(pw='"$DB"')}'; exit 3`)
	g.Files = []*rpc.Resource{{Name: "x.sh", Sha256: sum, Executable: true}}
	g.Secrets = []*rpc.SecretEnv{{Name: "DB", FromFile: secret}}
	g.LogPatterns = []string{"from the .*,", "nothing"}
	missing := order(2, "script", "true")
	missing.Files = []*rpc.Resource{{Name: "y", Sha256: strings.Repeat("0", 64)}}
	escaping := order(3, "script", "true")
	escaping.Files = []*rpc.Resource{{Name: "../y", Sha256: sum}}
	unset := order(4, "script", "true")
	unset.Secrets = []*rpc.SecretEnv{{Name: "A", FromEnv: "NO_SUCH_VARIABLE"}}
	piped := order(5, "script", "true")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	piped.Secrets = []*rpc.SecretEnv{{Name: "A", FromFile: pipe}}
	huge := order(6, "script", "true")
	huge.Secrets = []*rpc.SecretEnv{{Name: "A", FromFile: "/proc/self/exe"}}
	w.m.grant(g, missing, escaping, unset, piped, huge)
	e := w.m.end(t, 1)
	if e.Cause != "exit:3" || len(e.Matched) != 1 || e.Matched[0] != "from the .*," {
		t.Errorf("got %v", e)
	}
	log := w.m.logOf(t, 1)
	want := fmt.Sprintf("%s\nx.sh\nfrom the file, ***, ***\n***\n${setValue(pw=***)}\n", filepath.Join(w.cfg.Data, "work", "1"))
	if log != want {
		t.Errorf("log %q, want %q", log, want)
	}
	if e := w.m.end(t, 2); e.Class != "infrastructure" || !strings.Contains(e.Reason, "not_found") {
		t.Errorf("missing file: %v", e)
	}
	if e := w.m.end(t, 3); e.Class != "user" || !strings.Contains(e.Reason, "plain name") {
		t.Errorf("escaping file: %v", e)
	}
	if e := w.m.end(t, 4); e.Cause != "secret" || !strings.Contains(e.Reason, "NO_SUCH_VARIABLE") {
		t.Errorf("unset secret: %v", e)
	}
	if e := w.m.end(t, 5); e.Cause != "secret" || !strings.Contains(e.Reason, "pipe is not a regular file") {
		t.Errorf("secret from a pipe: %v", e)
	}
	if e := w.m.end(t, 6); e.Cause != "secret" || !strings.Contains(e.Reason, "is larger than 1048576 bytes") {
		t.Errorf("huge secret: %v", e)
	}
	if left, _ := filepath.Glob(filepath.Join(w.cfg.Data, "work", "[0-9]*")); len(left) > 0 {
		t.Errorf("work folders left: %v", left)
	}
}

func TestEnvironmentIsSourced(t *testing.T) { overWires(t, environmentIsSourced) }

func environmentIsSourced(t *testing.T, wire string) {
	w := setupOver(t, wire, nil)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := order(1, "script", `ls -A; sh -c 'echo "$HOME_OF $OWN $KEY"'`)
	g.Env = map[string]string{"OWN": "task", "BASE": "/opt"}
	g.Secrets = []*rpc.SecretEnv{{Name: "KEY", FromFile: secret}}
	g.Setup = &rpc.Setup{Environment: "spark3", Version: 4, Script: "export HOME_OF=$BASE/spark3 OWN=env KEY=env", Keep: []string{"KEY", "OWN"}}
	plain := order(2, "script", `echo "$A"`)
	plain.Env = map[string]string{"A": "1"}
	plain.Setup = &rpc.Setup{Environment: "plain", Version: 1}
	ended := order(3, "script", "echo on")
	ended.Setup = &rpc.Setup{Environment: "broken", Version: 1, Script: "echo 'no Java here' >&2; exit 9"}
	w.m.grant(g, plain, ended)
	for token, want := range map[int64]string{
		1: "[baton] environment spark3, version 4\n/opt/spark3 task ***\n",
		2: "[baton] environment plain, version 1\n1\n",
		3: "[baton] environment broken, version 1\nno Java here\n",
	} {
		e := w.m.end(t, token)
		if log := w.m.logOf(t, token); log != want {
			t.Errorf("attempt %d: log %q, want %q; %v", token, log, want, e)
		}
		if token == 3 && e.Cause != "exit:9" {
			t.Errorf("%v", e)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.cfg.Data, "work", "[0-9]*")); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	if !w.m.hellos[0].Sources {
		t.Error("the worker does not say that it sources scripts")
	}
}

func TestFunctionsThatMisbehave(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	w := setup(t, nil,
		fn("panics", func(context.Context, *task.Attempt) (task.Outputs, error) { panic("ouch") }),
		fn("fails", func(_ context.Context, a *task.Attempt) (task.Outputs, error) {
			fmt.Fprintln(a.Log, "trying")
			return nil, &task.Failure{Cause: "http:503", Message: "no answer"}
		}),
		fn("waits", func(ctx context.Context, _ *task.Attempt) (task.Outputs, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		fn("stuck", func(context.Context, *task.Attempt) (task.Outputs, error) { <-stuck; return nil, nil }),
		fn("large", func(context.Context, *task.Attempt) (task.Outputs, error) {
			return task.Outputs{"x": task.TextValue(strings.Repeat("x", flow.MaxOutputsPerTask))}, nil
		}),
	)
	defer close(stuck)
	quick := order(4, "stuck", "")
	quick.KillGraceMicros = 1000
	w.m.grant(order(1, "panics", ""), order(2, "fails", ""), order(3, "waits", ""), quick, order(5, "large", ""))
	if e := w.m.end(t, 1); e.Cause != "panic" || !strings.Contains(e.Reason, "ouch") {
		t.Errorf("panics: %v", e)
	}
	if e := w.m.end(t, 2); e.Cause != "http:503" || w.m.logOf(t, 2) != "trying\n[baton] no answer\n" {
		t.Errorf("fails: %v", e)
	}
	if e := w.m.end(t, 5); e.Cause != task.CauseOutputs || !strings.Contains(e.Reason, "64 KiB") {
		t.Errorf("large: %v", e)
	}
	w.m.wait(t, "starts", func() bool { return w.m.started[3] != nil && w.m.started[4] != nil })
	w.m.send(&rpc.FromMaster{Kills: []*rpc.Kill{{Token: 3, Instance: 1, Task: 3}, {Token: 4, Instance: 1, Task: 4}}})
	if e := w.m.end(t, 3); flow.AttemptState(e.State) != flow.AttemptKilled || !e.Confirmed {
		t.Errorf("waits: %v", e)
	}
	if e := w.m.end(t, 4); flow.AttemptState(e.State) != flow.AttemptKilled || e.Confirmed {
		t.Errorf("stuck: %v", e)
	}
}

func TestAtMostOnceWaitsForLeave(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	w := setup(t, func(c *worker.Config, _ *master) { c.ResendAfter = 20 * time.Millisecond }, fn("once", func(context.Context, *task.Attempt) (task.Outputs, error) {
		runs.Add(1)
		return nil, nil
	}))
	g := order(1, "once", "")
	g.Hold = true
	w.m.grant(g)
	w.m.wait(t, "started", func() bool { return w.m.started[1] != nil })
	if runs.Load() != 0 {
		t.Error("it began without leave")
	}
	// A master may have dropped that word.
	w.m.mu.Lock()
	delete(w.m.started, 1)
	w.m.mu.Unlock()
	w.m.wait(t, "started, again", func() bool { return w.m.started[1] != nil })
	w.m.send(&rpc.FromMaster{Begins: []int64{1, 1}, Grants: []*rpc.Grant{g}})
	w.m.end(t, 1)
	if runs.Load() != 1 {
		t.Errorf("it ran %d times", runs.Load())
	}
}

func TestSlotsAndUnknownTypes(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *worker.Config, _ *master) { c.Slots, c.FunctionSlots = 2, 1 })
	w.m.grant(
		order(1, "script", "sleep 1000"), order(2, "script", "sleep 1000"), order(3, "script", "exit 0"), order(4, "no_such_type", ""), order(5, "noop", ""),
	)
	w.m.wait(t, "refusals", func() bool { return w.m.refused[3] != nil && w.m.refused[4] != nil })
	w.m.end(t, 5) // it takes no place of a process
	if h := w.m.hellos[0]; !slices.Contains(h.Types, "script") || slices.Contains(h.Types, "no_such_type") {
		t.Errorf("announced the types %v", h.Types)
	}
	if w.m.refused[3].Reason != "full" || w.m.refused[4].Reason != "unknown_type" {
		t.Errorf("got %v, %v", w.m.refused[3], w.m.refused[4])
	}
}

// TestIsolatedWorkerStopsItsAttempts: no answer for three quarters of the lease, and everything is
// dead before the lease is over; then a new incarnation says hello and tells of the loss.
func TestIsolatedWorkerStopsItsAttempts(t *testing.T) {
	t.Parallel()
	w := setup(t, func(_ *worker.Config, m *master) { m.lease = time.Second })
	w.m.grant(order(1, "script", "trap '' TERM; sleep 1000; sleep 1000"))
	w.m.wait(t, "a beat", func() bool { return len(w.m.beats) > 0 && w.m.started[1] != nil })
	w.m.mu.Lock()
	w.m.mute = true
	w.m.mu.Unlock()
	w.m.wait(t, "a new incarnation", func() bool { return len(w.m.hellos) > 1 })
	hello := w.m.hellos[1]
	if hello.Session != 0 || len(hello.Earlier) != 1 || len(hello.Held) != 1 || hello.Held[0].State != rpc.HeldState_HELD_STATE_ENDED {
		t.Errorf("hello %v", hello)
	}
	if e := w.m.end(t, 1); flow.AttemptState(e.State) != flow.AttemptLost || e.Class != "infrastructure" || !e.Confirmed {
		t.Errorf("got %v", e)
	}
}

func TestStopEndsEverythingAndTheNextStartRemembers(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *worker.Config, m *master) { c.StopGrace, m.mute = 100*time.Millisecond, true })
	w.m.grant(order(1, "script", "trap '' TERM; sleep 1000; sleep 1000"), order(2, "noop", ""))
	w.m.wait(t, "start and end", func() bool { return w.m.started[1] != nil && w.m.ended[2] != nil })
	if err := worker.New(w.cfg, task.NewSet(), worker.Masters{}, slog.New(slog.DiscardHandler)).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("two on one folder: %v", err)
	}
	w.stop()
	w.m.mu.Lock()
	w.m.mute, w.m.ended = false, map[int64]*rpc.Ended{}
	w.m.mu.Unlock()
	w.run(t)
	hello := w.m.hellos[len(w.m.hellos)-1]
	if hello.Session != 0 || len(hello.Earlier) != 1 || len(hello.Held) != 2 {
		t.Errorf("hello %v", hello)
	}
	if e := w.m.end(t, 1); flow.AttemptState(e.State) != flow.AttemptLost {
		t.Errorf("stopped: %v", e)
	}
	if e := w.m.end(t, 2); flow.AttemptState(e.State) != flow.AttemptSucceeded {
		t.Errorf("ended before: %v", e)
	}
}

func TestDrainLetsWhatRunsFinish(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	dir := t.TempDir()
	w.m.grant(order(1, "script", "until [ -e "+dir+"/go ]; do sleep 0.01; done; echo finished"))
	w.m.wait(t, "a start", func() bool { return w.m.started[1] != nil })
	w.worker.Drain()
	w.worker.Drain()
	w.m.wait(t, "the masters to hear of it", func() bool { return len(w.m.beats) > 0 && w.m.beats[len(w.m.beats)-1].Draining })
	w.m.grant(order(2, "noop", ""))
	w.m.wait(t, "a refusal", func() bool { return w.m.refused[2] != nil })
	if n := w.worker.Running(); n != 1 {
		t.Errorf("%d run, want 1", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.over()
	if e := w.m.ended[1]; e == nil || flow.AttemptState(e.State) != flow.AttemptSucceeded {
		t.Errorf("what ran ended as %v", e)
	}
}

func TestStopEndsADrain(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *worker.Config, _ *master) { c.StopGrace = 100 * time.Millisecond })
	w.m.grant(order(1, "script", "sleep 1000"))
	w.m.wait(t, "a start", func() bool { return w.m.started[1] != nil })
	w.worker.Drain()
	w.m.wait(t, "the masters to hear of it", func() bool { return len(w.m.beats) > 0 && w.m.beats[len(w.m.beats)-1].Draining })
	w.stop()
	if e := w.m.ended[1]; e == nil || flow.AttemptState(e.State) != flow.AttemptLost {
		t.Errorf("what ran ended as %v", e)
	}
}

func TestKillReachesAnAttemptThatIsStillPrepared(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	sum := strings.Repeat("0", 64)
	w.m.mu.Lock()
	w.m.blobs[sum] = nil
	w.m.mu.Unlock()
	g := order(1, "script", "true")
	g.Files = []*rpc.Resource{{Name: "x", Sha256: sum}}
	w.m.grant(g)
	w.m.send(&rpc.FromMaster{Kills: []*rpc.Kill{{Token: 1, Instance: 1, Task: 1}}})
	w.m.wait(t, "an end or a refusal", func() bool { return w.m.ended[1] != nil || w.m.refused[1] != nil })
	if e := w.m.ended[1]; e != nil && (flow.AttemptState(e.State) != flow.AttemptKilled || !e.Confirmed || e.StartedAt != 0) {
		t.Errorf("got %v", e)
	}
}

func TestOutputsThatNoStoreTakes(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.m.grant(
		order(1, "script", `printf '{"a": "\\u0000"}' > $BATON_OUTPUT`),
		order(2, "script", `printf '{"a": "\377"}' > $BATON_OUTPUT`),
		order(3, "script", `printf '${setValue(a=\377\000b)}\n'`),
	)
	for token := int64(1); token <= 2; token++ {
		if e := w.m.end(t, token); e.Cause != task.CauseOutputs || !strings.Contains(e.Reason, "cannot be stored") {
			t.Errorf("got %v", e)
		}
	}
	if e := w.m.end(t, 3); string(e.Outputs) != `{"a":"\ufffd\ufffdb"}` && string(e.Outputs) != "{\"a\":\"\uFFFD\uFFFDb\"}" {
		t.Errorf("got %v", e)
	}
}
