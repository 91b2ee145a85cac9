// Built-in parameters: DolphinScheduler's names, computed when asked for.

package param

import (
	"slices"
	"time"
)

// Builtins is what built-in parameters and time placeholders are computed from.
// An empty field means that its parameter does not exist here: no task is known
// when the globals of a run are resolved.
type Builtins struct {
	DataTime     time.Time      // the moment the run is about
	Zone         *time.Location // in which DataTime is read; nil is UTC
	Project      string
	Workflow     string
	Instance     string // id of the workflow instance
	Task         string
	TaskInstance string // id
	ExecutePath  string // work folder of the task

	// Engine holds the engine's other dotted names of this attempt: shard.index,
	// shard.total, shard.param, map.item, map.index, map.total, loop.index, run.state,
	// run.failed_tasks. May be nil.
	Engine map[string]string
}

const (
	nameBizDate   = "system.biz.date"
	nameCurDate   = "system.biz.curdate"
	nameDatetime  = "system.datetime"
	nameProject   = "system.project.name"
	nameWorkflow  = "system.workflow.definition.name"
	nameInstance  = "system.workflow.instance.id"
	nameTask      = "system.task.definition.name"
	nameTaskRow   = "system.task.instance.id"
	nameExecution = "system.task.execute.path"
)

// Names of an item of a map, and of a round of a loop.
const (
	MapItem   = "map.item"
	MapIndex  = "map.index"
	MapTotal  = "map.total"
	LoopIndex = "loop.index"
)

// Names of what the tasks know of a run that run at its end.
const (
	RunState       = "run.state"
	RunFailedTasks = "run.failed_tasks"
)

// BuiltinNames lists the built-in parameters that exist in a task, sorted,
// without the engine's names that only some tasks have.
func BuiltinNames() []string {
	names := []string{
		nameBizDate, nameCurDate, nameDatetime, nameProject, nameWorkflow,
		nameInstance, nameTask, nameTaskRow, nameExecution,
	}
	slices.Sort(names)
	return names
}

// Lookup returns the value of a built-in parameter.
func (b *Builtins) Lookup(name string) (string, bool) {
	switch name {
	case nameBizDate:
		return b.date("20060102", -1)
	case nameCurDate:
		return b.date("20060102", 0)
	case nameDatetime:
		return b.date("20060102150405", 0)
	case nameProject:
		return b.Project, b.Project != ""
	case nameWorkflow:
		return b.Workflow, b.Workflow != ""
	case nameInstance:
		return b.Instance, b.Instance != ""
	case nameTask:
		return b.Task, b.Task != ""
	case nameTaskRow:
		return b.TaskInstance, b.TaskInstance != ""
	case nameExecution:
		return b.ExecutePath, b.ExecutePath != ""
	default:
		v, ok := b.Engine[name]
		return v, ok
	}
}

// date prints the data time some calendar days later.
func (b *Builtins) date(layout string, days int) (string, bool) {
	if b.DataTime.IsZero() {
		return "", false
	}
	return wallOf(b.DataTime, b.zone()).AddDate(0, 0, days).Format(layout), true
}

func (b *Builtins) zone() *time.Location {
	if b.Zone == nil {
		return time.UTC
	}
	return b.Zone
}

// names lists what Lookup answers here.
func (b *Builtins) names() []string {
	var names []string
	for _, n := range BuiltinNames() {
		if _, ok := b.Lookup(n); ok {
			names = append(names, n)
		}
	}
	for n := range b.Engine {
		names = append(names, n)
	}
	return names
}
