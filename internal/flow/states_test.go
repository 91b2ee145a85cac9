// docs/states.md is made from the transition tables: `go test ./internal/flow -update` writes it, and
// without the flag this fails when it is not what the tables say.

package flow

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/states.md and other golden files anew")

const statesFile = "../../docs/states.md"

// stateDoc is what people read about one state.
type stateDoc struct {
	kind string // "" going on, "rest", "success", "failure", "reason"
	text string
}

var instanceDocs = map[InstanceState]stateDoc{
	InstanceSubmitted:    {"", "accepted and durable; no master has begun it yet"},
	InstanceQueued:       {"", "waits its turn: the workflow runs one after another, or its limit is reached"},
	InstanceRunning:      {"", "its tasks run, wait, or are eligible, those under `finally` when its end is decided; `reason` says which"},
	InstancePausing:      {"", "pause was asked for; what is running finishes first, nothing new starts"},
	InstancePaused:       {"rest", "nothing happens until `resume`; it keeps its place in a serial queue"},
	InstanceStopping:     {"", "stop was asked for; what is running is being killed"},
	InstanceCompensating: {"", "about to end failed or stopped; what had succeeded is undone first"},
	InstanceQuarantined:  {"rest", "the engine could not go on with it; `release` tries again, `stop` ends it"},
	InstanceStopped:      {"failure", "ended by a stop"},
	InstanceFailed:       {"failure", "a task failed and nothing handled it, or the run's time was over"},
	InstanceSucceeded:    {"success", "everything that was to run has succeeded, or its failure was handled"},
}

var taskDocs = map[TaskState]stateDoc{
	TaskWaiting:       {"", "waits for a time or for a person: a delay, a retry, a hold"},
	TaskQueued:        {"", "waits for a pool or for a place on a worker"},
	TaskDispatched:    {"", "a worker was chosen and is told; it has not said yet that it began"},
	TaskRunning:       {"", "runs on a worker"},
	TaskPaused:        {"rest", "was eligible or waiting when the run was paused"},
	TaskUnknown:       {"", "runs at most once and its worker was lost: a person settles it with succeed, skip, retry or kill"},
	TaskSucceeded:     {"success", "ended well"},
	TaskForcedSuccess: {"success", "said by a person to have succeeded"},
	TaskSkipped:       {"reason", "did not run: `disabled` and `by_hand` count as succeeded, `not_taken` as left out by a branch"},
	TaskFailed:        {"failure", "failed, and no try is left"},
	TaskKilled:        {"failure", "killed by a person, a stop, a timeout of the run, or `failure: end`"},
}

var attemptDocs = map[AttemptState]stateDoc{
	AttemptGranted:   {"", "a worker has it, durably; it has not begun"},
	AttemptStarted:   {"", "its process runs"},
	AttemptSuspect:   {"", "its worker is away; its result counts until the next attempt is granted"},
	AttemptSucceeded: {"success", "ended well"},
	AttemptFailed:    {"failure", "ended badly, for a cause that `retry.if` can name"},
	AttemptKilled:    {"failure", "killed; `confirmed` says whether its processes are known to be gone"},
	AttemptLost:      {"failure", "nobody could tell how it ended; a result that comes before the next attempt is granted still counts"},
	AttemptUnknown:   {"failure", "as lost, of a task that runs at most once"},
	AttemptVoid:      {"failure", "never began"},
}

func TestStatesDoc(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`# States

<!-- Made from the transition tables in internal/flow by "go test ./internal/flow -update". Do not edit. -->

A **run** (workflow instance) has **task instances**, and each of these has **attempts**, one after another.
An arrow is the only way from one state to another: the program checks every change against these tables, and the database
refuses a row that comes from elsewhere. Clients accept states they do not know.

`)
	section(&b, "Run", InstanceMachine, instanceDocs, InstanceSubmitted, InstanceQuarantined,
		"What a run does is decided by its tasks: it ends when no task is active any more. When all chains have ended, a run that is being stopped is stopped if something was killed or cut off; otherwise failed goes before paused, and paused before succeeded. Quarantine, which may strike anywhere and whose release leads back, is left out of the picture.")
	section(&b, "Task instance", TaskMachine, taskDocs, TaskWaiting, 0,
		"A task gets a row when it becomes eligible, when its branch is not taken, or when it is disabled and reached; its first state is any of waiting, queued, paused, skipped, or an end. Behind a failure it gets none: it is *unreached*. An ended row changes only by a person's `task succeed` and `task skip`; `task retry` and `recover` make a new row.")
	section(&b, "Attempt", AttemptMachine, attemptDocs, AttemptGranted, 0,
		"Every attempt has a token that grows over everything. An attempt that a worker refused never was: the next one has its number and a greater token.")
	golden(t, statesFile, strings.TrimRight(b.String(), "\n")+"\n")
}

// golden compares a page with what it is made from, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not what the tables say; run go test ./internal/flow -update", path)
	}
}

func section[S interface {
	~uint8
	comparable
	fmt.Stringer
}](b *strings.Builder, title string, m *Machine[S], docs map[S]stateDoc, first, aside S, note string,
) {
	words := map[string]string{"": "no", "rest": "no, at rest", "success": "yes, as success", "failure": "yes, as failure", "reason": "yes, by its reason"}
	fmt.Fprintf(b, "## %s\n\n%s\n\n| state | ended | meaning |\n|---|---|---|\n", title, note)
	for s := S(1); int(s) <= len(docs); s++ {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", s, words[docs[s].kind], docs[s].text)
	}
	fmt.Fprintf(b, "\n```mermaid\nstateDiagram-v2\n    [*] --> %s\n", first)
	type arrow struct{ from, to S }
	var arrows []arrow
	labels := map[arrow][]string{}
	for _, t := range m.Transitions {
		for _, f := range t.From {
			a := arrow{f, t.To}
			if f == 0 || f == aside || t.To == aside {
				continue // the beginning; what would be a knot of arrows
			}
			if labels[a] == nil {
				arrows = append(arrows, a)
			}
			labels[a] = append(labels[a], t.Event)
		}
	}
	for _, a := range arrows {
		fmt.Fprintf(b, "    %s --> %s: %s\n", a.from, a.to, strings.Join(labels[a], ", "))
	}
	fmt.Fprintf(b, "```\n\n| what happens | from | to |\n|---|---|---|\n")
	for _, t := range m.Transitions {
		var from []string
		for _, f := range t.From {
			if f == 0 {
				from = append(from, "(nothing)")
				continue
			}
			from = append(from, "`"+f.String()+"`")
		}
		fmt.Fprintf(b, "| %s | %s | `%s` |\n", t.Event, strings.Join(from, ", "), t.To)
	}
	b.WriteString("\n")
}

func TestEveryStateIsDescribed(t *testing.T) {
	t.Parallel()
	if len(instanceDocs) != len(instanceNames)-1 || len(taskDocs) != len(taskNames)-1 || len(attemptDocs) != len(attemptNames)-1 {
		t.Error("a state has no description, or one too many has")
	}
	for s, d := range instanceDocs {
		if ended := d.kind == "success" || d.kind == "failure"; ended != s.Ended() || (d.kind != "") != s.AtRest() {
			t.Errorf("%s is described as %q", s, d.kind)
		}
	}
	for s, d := range taskDocs {
		if (d.kind != "" && d.kind != "rest") != s.Ended() || (d.kind == "success") != s.Success() || (d.kind == "failure") != s.Failure() {
			t.Errorf("%s is described as %q", s, d.kind)
		}
	}
	for s, d := range attemptDocs {
		if (d.kind != "") != s.Ended() || s.Ended() == s.Live() {
			t.Errorf("%s is described as %q", s, d.kind)
		}
	}
}
