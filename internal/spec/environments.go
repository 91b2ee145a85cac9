// kind: Environment and kind: WorkerGroup, and which environments a workflow uses.

package spec

import (
	"fmt"
	"regexp"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

var environmentKeys = newTable("an environment",
	kindKey[flow.Environment](kindEnvironment),
	field("name", "Name that workflows and tasks give in `environment`.", asName, func(e *flow.Environment) *string { return &e.Name }).must(),
	later[flow.Environment]("renamed_from", "the environment's name before"),
	field("description", "What it is for, for people.", asText, func(e *flow.Environment) *string { return &e.Description }),
	field("env", "Variables of the processes: a text as it is, or {env: NAME} or {file: PATH}, a secret taken where the task runs. What a task says itself wins.", asFixedEnvironment,
		func(e *flow.Environment) *[]flow.EnvVar { return &e.Env }).alias("environ", "variables"),
	field("script", "Shell text that is sourced before the task: what it exports reaches the process.", asSetup, func(e *flow.Environment) *string { return &e.Script }).alias("config", "setup", "run"),
	field("worker_groups", "Worker groups whose tasks may use it; all where it is left out.", listOf(asName), func(e *flow.Environment) *[]string { return &e.Groups }).alias("workerGroups", "worker_group", "groups"),
)

var workerGroupKeys = newTable("a worker group",
	kindKey[flow.WorkerGroup](kindWorkerGroup),
	field("name", "Name that workflows and tasks give in `worker_group`, and workers in `groups`.", asName, func(g *flow.WorkerGroup) *string { return &g.Name }).must(),
	later[flow.WorkerGroup]("renamed_from", "the group's name before"),
	field("description", "What it is for, for people.", asText, func(g *flow.WorkerGroup) *string { return &g.Description }),
)

// asFixedEnvironment takes texts as they are: an environment knows neither run nor parameters. One that looks as if
// something were to be put in is refused, for it would reach the process with its braces.
var asFixedEnvironment = variables("a map of variables, such as {SPARK_HOME: /opt/spark}", func() shape[flow.EnvVar] {
	s := asEnvValue
	s.read = func(r *reader, v value) (flow.EnvVar, bool) {
		e, ok := asEnvValue.read(r, v)
		if ok && (strings.Contains(e.Value, "${") || strings.Contains(e.Value, "$[")) {
			r.fail(v, "nothing is put into a variable of an environment, which knows no run; a value made of others is for the script: export %s=…", lastName(v))
			return e, false
		}
		return e, ok
	}
	return s
}(), fixedEnvKey)

// lastName is the key that a value stands under.
func lastName(v value) string {
	path := v.path()
	return path[strings.LastIndexByte(path, '.')+1:]
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fixedEnvKey is stricter than a task's own key: the script beside it could not name any other.
func fixedEnvKey(s string) string {
	if fault := envKey(s); fault != "" {
		return fault
	}
	if !identifier.MatchString(s) {
		return fmt.Sprintf("environment variable %s: a name has letters, digits and _, and does not begin with a digit", shown(s))
	}
	return ""
}

var asSetup = checked(asText, func(s string) string {
	if len(s) > flow.MaxSetup {
		return fmt.Sprintf("the script has %d bytes, and at most %d: put what is long into a file on the workers and source that", len(s), flow.MaxSetup)
	}
	return ""
})

func (r *reader) environment(doc value) *flow.Environment {
	var e flow.Environment
	environmentKeys.read(r, doc, &e)
	return &e
}

func (r *reader) workerGroup(doc value) *flow.WorkerGroup {
	var g flow.WorkerGroup
	workerGroupKeys.read(r, doc, &g)
	return &g
}

// Environments lists the environments that a workflow names, or a start of it: first for tasks that name none, then by
// task, of those that run a process, with the worker group that the task is to run in.
func Environments(w *flow.Workflow, start flow.Start, types *task.Set) []flow.EnvironmentUse {
	var out []flow.EnvironmentUse
	for _, name := range []string{start.Environment, w.Environment} {
		if name != "" {
			out = append(out, flow.EnvironmentUse{Environment: name})
		}
	}
	for _, t := range w.AllTasks() {
		name := w.EnvironmentOf(t, start)
		if name == "" {
			continue
		}
		if typ, ok := types.Get(t.Work().Type); ok && isProcess(typ) || t.Compensate != nil && undoes(t.Compensate, types) {
			out = append(out, flow.EnvironmentUse{Task: t.Name, Environment: name, Group: w.GroupOf(t, start)})
		}
	}
	return out
}

func undoes(c *flow.Compensation, types *task.Set) bool {
	typ, ok := types.Get(c.Type)
	return ok && isProcess(typ)
}
