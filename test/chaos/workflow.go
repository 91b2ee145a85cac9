// What the load runs: workflows of shell tasks that write what they do into the ledger.

package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
)

// step is a task of a workflow.
type step struct {
	needs []string
	beats bool // it is long, and tells every half second that it is alive
	once  bool // at most once
	flaky bool // the first attempt fails
	join  string
	sub   string // it runs that workflow; the engine does so itself, and the ledger has only what that one's tasks write
}

type workflow struct {
	name  string
	tasks map[string]step
}

// Every line is one write at the end of the ledger.
const (
	say = `say() { read -r up _ </proc/uptime; echo "$1 $BATON_INSTANCE_ID $BATON_TASK_INSTANCE_ID $BATON_ATTEMPT $BATON_FENCE ${LC_CHAOS_NODE#*/} $up $EPOCHREALTIME $$" >>"$ledger"; }
say begin
`
	fails = `if [ "$BATON_ATTEMPT" = 1 ]; then say fail; exit 75; fi
`
	beats = `for ((i = 0; i < beats; i++)); do sleep 0.5; say beat; done
`
	ends = `sleep "$nap"
say end
`
)

// pulse is the workflow by which recovery is measured: short steps, one after the other.
const pulse = "pulse"

const pulseSteps = 8

func workflows() []workflow {
	chain := workflow{pulse, map[string]step{}}
	for i := range pulseSteps {
		s := step{}
		if i > 0 {
			s.needs = []string{fmt.Sprintf("s%d", i)}
		}
		chain.tasks[fmt.Sprintf("s%d", i+1)] = s
	}
	fan := workflow{"fan", map[string]step{"a": {}, "z": {}}}
	var all []string
	for i := range 6 {
		name := fmt.Sprintf("b%d", i+1)
		fan.tasks[name] = step{needs: []string{"a"}}
		all = append(all, name)
	}
	fan.tasks["z"] = step{needs: all}
	return []workflow{
		chain, fan,
		{"long", map[string]step{"a": {beats: true}, "b": {needs: []string{"a"}}}},
		{"once", map[string]step{"a": {once: true}, "b": {once: true, beats: true}, "c": {needs: []string{"a", "b"}, join: "all_done"}}},
		{"flaky", map[string]step{"a": {flaky: true}, "b": {needs: []string{"a"}}, "c": {needs: []string{"b"}, flaky: true}}},
		{"nest", map[string]step{"a": {}, "s": {needs: []string{"a"}, sub: "flaky"}, "t": {needs: []string{"a"}, sub: "mixed"}, "z": {needs: []string{"s", "t"}, join: "all_done"}}},
		{"mixed", map[string]step{
			"a": {}, "b": {needs: []string{"a"}, beats: true}, "c": {needs: []string{"a"}, once: true},
			"d": {needs: []string{"a"}, flaky: true}, "e": {needs: []string{"b", "c", "d"}, join: "all_done"},
		}},
	}
}

// file is the workflows as Baton reads them; JSON is YAML.
func file() (string, error) {
	var docs []string
	for _, w := range workflows() {
		raw, err := json.Marshal(w.document())
		if err != nil {
			return "", err
		}
		docs = append(docs, string(raw))
	}
	return strings.Join(docs, "\n---\n"), nil
}

func (w workflow) document() map[string]any {
	tasks := map[string]any{}
	for name, s := range w.tasks {
		script := say
		if s.flaky {
			script += fails
		}
		if s.beats {
			script += beats
		}
		if s.sub != "" {
			tasks[name] = map[string]any{"type": "sub_workflow", "with": map[string]string{"workflow": s.sub}, "needs": s.needs}
			continue
		}
		t := map[string]any{"type": "shell", "with": map[string]string{"shell": "bash", "script": script + ends}}
		if s.needs != nil {
			t["needs"] = s.needs
		}
		if s.once {
			t["delivery"] = "at_most_once"
		}
		if s.flaky {
			t["retry"] = map[string]any{"times": 2, "delay": "300ms"}
		}
		if s.join != "" {
			t["join"] = s.join
		}
		tasks[name] = t
	}
	return map[string]any{"name": w.name, "params": map[string]string{"ledger": "", "nap": "0.1", "beats": "0"}, "tasks": tasks}
}

// definition of a workflow by name.
func definition(name string) workflow {
	for _, w := range workflows() {
		if w.name == name {
			return w
		}
	}
	for _, c := range clockworks() {
		if c.name == name {
			return c.workflow
		}
	}
	return workflow{}
}
