// What the load runs: workflows of shell tasks that write what they do into the ledger.

package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// step is a task of a workflow.
type step struct {
	needs []string
	beats bool // it is long, and tells every half second that it is alive
	once  bool // at most once
	flaky bool // the first attempt fails
	join  string
	// What the engine does itself; the ledger has only what the tasks of it write.
	sub   string // it runs that workflow
	after string // it waits for the run of that workflow with the same data time
	items int    // it does what it does with so many items
	pool  string // it takes slots of that pool
	takes int    // so many
}

// hosted tells whether no worker runs it itself.
func (s step) hosted() bool { return s.sub != "" || s.after != "" || s.items > 0 }

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
	// An item fails once, and gives something that tells which it is, unless its disk is full.
	fails1 = `if [ "$BATON_ATTEMPT" = 1 ] && [ "${map.index}" = 1 ]; then say fail; exit 75; fi
`
	gives = `echo "{\"item\": \"${map.index}\"}" >"$BATON_OUTPUT" || { say fail; exit 75; }
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
		{pooled, map[string]step{
			"a": {pool: narrow, takes: 1}, "b": {pool: narrow, takes: 2, flaky: true}, "c": {pool: narrow, takes: 1, once: true},
			"d": {pool: mutex, takes: 1, beats: true}, "e": {needs: []string{"a", "b"}, pool: mutex, takes: 1},
		}},
		{"items", map[string]step{"m": {items: 6}, "z": {needs: []string{"m"}}}},
		{steered, map[string]step{"m": {items: 8}, "n": {needs: []string{"m"}, join: "all_done", items: 4}, "z": {needs: []string{"m", "n"}, join: "all_done"}}},
		{follower, map[string]step{"d": {after: ahead}, "z": {needs: []string{"d"}}}},
	}
}

// others are begun by what is planned for those above, or by a backfill.
func others() []workflow {
	return []workflow{
		{ahead, map[string]step{"a": {flaky: true}}},
		{dated, map[string]step{"a": {}, "b": {needs: []string{"a"}, flaky: true}}},
	}
}

// Workflows that others belong to.
const (
	follower = "follower"
	ahead    = "ahead"
	dated    = "dated"
)

// steered is the workflow with maps that is given several verbs while their items run, pooled that with limits that change.
const (
	steered = "steered"
	pooled  = "pooled"
)

// file is the workflows as Baton reads them; JSON is YAML.
func file() (string, error) {
	var docs []string
	for _, w := range append(workflows(), others()...) {
		raw, err := json.Marshal(w.document())
		if err != nil {
			return "", err
		}
		docs = append(docs, string(raw))
	}
	for name, slots := range pools {
		docs = append(docs, fmt.Sprintf("{kind: Pool, name: %s, slots: %d}", name, slots))
	}
	return strings.Join(docs, "\n---\n"), nil
}

func (w workflow) document() map[string]any {
	tasks := map[string]any{}
	for name, s := range w.tasks {
		t := s.does()
		if s.needs != nil {
			t["needs"] = s.needs
		}
		if s.pool != "" {
			pool := map[string]any{"name": s.pool, "slots": s.takes}
			if s.pool == mutex {
				pool["key"] = "${key}"
			}
			t["pool"] = pool
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
	return map[string]any{"name": w.name, "params": map[string]string{"ledger": "", "nap": "0.1", "beats": "0", "key": "k0"}, "tasks": tasks}
}

// does is what a step does, as the file says it.
func (s step) does() map[string]any {
	shell := func(script string) map[string]any {
		return map[string]any{"type": "shell", "with": map[string]string{"shell": "bash", "script": say + script}}
	}
	script := ""
	if s.flaky {
		script += fails
	}
	if s.beats {
		script += beats
	}
	switch {
	case s.sub != "":
		return map[string]any{"type": "sub_workflow", "with": map[string]string{"workflow": s.sub}}
	case s.after != "":
		return map[string]any{"type": "dependent", "with": map[string]any{"all": []map[string]string{{"workflow": s.after, "window": "same"}}}}
	case s.items > 0:
		item := shell(fails1 + gives + ends)
		item["retry"] = map[string]any{"times": 2, "delay": "300ms"}
		over := make([]string, s.items)
		for i := range over {
			over[i] = fmt.Sprintf("item %d", i)
		}
		return map[string]any{"type": "map", "with": map[string]any{"over": over, "parallel": 3, "task": item}}
	}
	return shell(script + ends)
}

// definition of a workflow by name.
func definition(name string) workflow {
	for _, w := range slices.Concat(workflows(), others(), outsiders()) {
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
