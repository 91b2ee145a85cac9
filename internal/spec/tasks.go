// The tasks of a workflow by name: those of the graph, and those that run at the end.

package spec

import (
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// tasksKey is the graph.
var tasksKey = tasksOf(key[workflow]{
	name: flow.UnderTasks, required: true,
	doc: "The tasks by name. Their order is given by `needs` alone.",
	aka: []string{"steps", "jobs", "nodes", "taskDefinitionJson"},
}, "a workflow needs at least one task: tasks: {hello: {run: echo hello}}",
	func(w *workflow) (*[]flow.Task, *[]value) { return &w.Tasks, &w.tasks })

// finallyKey is what runs when the end of a run is decided.
var finallyKey = tasksOf(key[workflow]{
	name: flow.UnderFinally,
	doc:  "Tasks by name that run when all others have ended, however they did. They change nothing about how the run ends.",
	aka:  []string{"on_exit", "onExit", "always", "teardown", "cleanup"},
}, "finally names tasks, such as {clean: {run: ./clean.sh}}; leave it out when there are none",
	func(w *workflow) (*[]flow.Task, *[]value) { return &w.Finally, &w.finally })

// tasksOf completes the key of a map of tasks; empty says what is wrong with one that has none.
func tasksOf(k key[workflow], empty string, at func(*workflow) (*[]flow.Task, *[]value)) key[workflow] {
	k.schema = func() object {
		return object{
			"type": "object", "minProperties": 1, "maxProperties": flow.MaxTasks, "propertyNames": object{"maxLength": flow.MaxName, "pattern": `^[^/]+$`},
			"additionalProperties": object{"$ref": "#/$defs/task"},
		}
	}
	k.read = func(r *reader, v value, w *workflow) {
		if n := len(v.node.Content) / 2; v.isMap() && n > flow.MaxTasks {
			r.fail(v, "a workflow has at most %d tasks, this one has %d; split it", flow.MaxTasks, n)
			return
		}
		if v.isMap() && len(v.node.Content) == 0 || v.isNull() {
			r.fail(v, "%s", empty)
			return
		}
		entries, _ := pairs(r, v, "a map of tasks by name, such as {extract: {run: ./extract.sh}}", asTask, taskName)
		tasks, places := at(w)
		for _, e := range entries {
			e.val.Name = e.key
			*tasks, *places = append(*tasks, e.val), append(*places, e.at)
		}
	}
	k.write = func(w *workflow) *yaml.Node {
		tasks, _ := at(w)
		if len(*tasks) == 0 && !k.required {
			return nil
		}
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range *tasks {
			t := &(*tasks)[i]
			n.Content = append(n.Content, textNode(t.Name), taskKeys.write(t))
		}
		return n
	}
	return k
}

// taskName checks what a task is called. "T:compensate" names the row that undoes T.
func taskName(s string) string {
	if e := flow.CheckName(s); e != nil {
		return e.Message
	}
	if strings.HasSuffix(s, ":compensate") {
		return "a task's name cannot end with :compensate; that names the run of its compensation"
	}
	return ""
}

// checkFinally refuses what would mean nothing of tasks that run at the end.
func (r *reader) checkFinally(w *workflow) {
	if n := len(w.Tasks) + len(w.Finally); n > flow.MaxTasks && len(w.Finally) > 0 {
		r.fail(w.at.at("finally"), "a workflow has at most %d tasks, this one has %d with those under finally; split it", flow.MaxTasks, n)
	}
	for i := range w.Finally {
		if v, ok := w.finally[i].get("compensate"); ok {
			r.fail(v, "what runs at the end is never undone, so compensate does nothing; remove it")
		}
		if v, ok := w.finally[i].get("ignore_failure"); ok {
			r.fail(v, "a task under finally never fails the run, so ignore_failure does nothing; remove it")
		}
	}
}
