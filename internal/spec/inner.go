// What a map does with each item, or a loop in each round: a task within the task.

package spec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/param"
)

const optionTask = "task"

// innerKeys are the keys of a task that mean something for an item or a round: its place in the graph is that of the
// map.
var innerKeys = newTable("what is done with each item",
	runKey(func(t *flow.Task) (string, []byte) { return t.Type, t.With }),
	typeKey(func(t *flow.Task) (string, []byte) { return t.Type, t.With }),
	withKey(func(t *flow.Task) *yaml.Node {
		if _, sugar := plainScript(t.Type, t.With); sugar {
			return nil
		}
		return writeOptions(t.With)
	}),
	taskKeyParams, taskKeySubstitute, taskKeyRetry, taskKeyEnv, taskKeyFiles, taskKeyTimeout, taskKeyDelivery,
	taskKeyPool, taskKeyPriority, taskKeyWorkerGroup, taskKeyEnvironment,
	later[flow.Task]("tenant", "operating system user that runs the task"),
)

// besideOf lists the options of a type that are kept as its inner task.
func besideOf(kind string) []string {
	if kind == flow.TypeLoop {
		return []string{optionTask}
	}
	return []string{optionTask, "workflow", "project", "params"}
}

// inner reads what is done with each item, nil if nothing is said that can be used.
func (r *reader) inner(kind string, with value) *flow.Task {
	task, isTask := with.get(optionTask)
	child := childOptions(with)
	_, isChild := with.get("workflow")
	switch {
	case kind == flow.TypeLoop && !isTask:
		r.fail(with, "a loop needs `task`: what is done in each round, such as {run: \"./poll.sh\"}")
	case kind == flow.TypeLoop:
		return r.innerTask(kind, task)
	case isTask == isChild:
		r.fail(with, "a map needs `task`, what is done with each item, such as {run: \"./load.sh\"}, or `workflow`, what runs for each item; one of the two")
	case isTask && len(child.node.Content) > 0:
		r.fail(with, "project and params are those of the runs of a workflow; a task has its own params, in with.task")
	case isTask:
		return r.innerTask(kind, task)
	default:
		o := options{reader: r, kind: flow.TypeSubWorkflow, with: child, extra: map[string]value{}}
		raw, _ := o.read()
		return &flow.Task{Type: flow.TypeSubWorkflow, With: raw}
	}
	return nil
}

// childOptions are those of the options of a map that a sub_workflow has.
func childOptions(with value) value {
	n := *with.node
	n.Content = nil
	for i := 0; i+1 < len(with.node.Content); i += 2 {
		if k := with.node.Content[i].Value; k != optionTask && slices.Contains(besideOf(flow.TypeMap), k) {
			n.Content = append(n.Content, with.node.Content[i], with.node.Content[i+1])
		}
	}
	return value{node: &n, up: with.up, key: with.key}
}

func (r *reader) innerTask(kind string, v value) *flow.Task {
	var t flow.Task
	if !v.isMap() {
		r.expected(v, `a map, such as {run: "./load.sh"}`)
		return nil
	}
	innerKeys.read(r, v, &t)
	w := r.work(v)
	switch {
	case w.kind == flow.TypeSubWorkflow && kind == flow.TypeMap:
		r.fail(v.at("type"), "for a run of a workflow for each item write `workflow` in the place of `task`")
	case decides(w.kind) || flow.Hosted(w.kind):
		r.fail(v.at("type"), "what a %s does is done by a worker; it cannot be of type %s", kind, w.kind)
	}
	t.Type, t.With = w.kind, w.with
	t.Files = withResources(t.Files, w.files)
	r.baseNames(v, t.Files)
	return &t
}

// writeFan writes the options of a map or a loop with its inner task among them.
func writeFan(t *flow.Task) *yaml.Node {
	n := writeOptions(t.With)
	if n == nil {
		n = &yaml.Node{Kind: yaml.MappingNode}
	}
	switch {
	case t.Inner == nil:
	case t.Inner.Type == flow.TypeSubWorkflow:
		if child := writeOptions(t.Inner.With); child != nil {
			n.Content = append(n.Content, child.Content...)
		}
	default:
		n.Content = append(n.Content, textNode(optionTask), innerKeys.write(t.Inner))
	}
	return n
}

// fanReferences checks what a map or a loop refers to: the task within it sees more than the map itself.
func (s scope) fanReferences(at value, t *flow.Task) {
	with := at.at("with")
	if v, ok := with.get("until"); ok {
		s.inner = t
		s.condition(v)
	}
	if t.Inner == nil {
		return
	}
	s.inner = t
	if v, ok := with.get(optionTask); ok && v.isMap() {
		s.common(v, t.Inner.Type, t.Inner.Substitute)
		s.poolKey(v)
		return
	}
	s.common(at.withOnly(childOptions(with)), flow.TypeSubWorkflow, "")
	s.notItself(s.g.w, with)
}

// item is the parameter that an item is in, "" outside of a map.
func (s scope) item() string {
	if s.inner == nil || s.inner.Type != flow.TypeMap {
		return ""
	}
	var o struct {
		As string `json:"as"`
	}
	_ = json.Unmarshal(s.inner.With, &o) // the schema was asked
	return cmp.Or(o.As, flow.DefaultItem)
}

// fanRef checks a name of an item or a round.
func (s scope) fanRef(name, head string) (message, near string) {
	names := []string{param.MapItem, param.MapIndex, param.MapTotal}
	where := "with.task, or the params of the workflow, of a task of type map"
	if head == "loop" {
		names, where = []string{param.LoopIndex}, "with.task, or until, of a task of type loop"
	}
	switch {
	case s.inner == nil || s.inner.Type != head:
		return fmt.Sprintf("%s exists only in %s", shown(name), where), ""
	case slices.Contains(names, name):
		return "", ""
	}
	near = s.problems.nearest(name, names)
	return withNear(fmt.Sprintf("a %s has no %s; there are %s", head, shown(name), strings.Join(names, ", ")), near), near
}

// withOnly is a task of which only the options are looked at.
func (v value) withOnly(with value) value {
	n := yaml.Node{Kind: yaml.MappingNode, Line: v.node.Line, Column: v.node.Column}
	n.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "with"}, with.node}
	return value{node: &n, up: v.up, key: v.key}
}
