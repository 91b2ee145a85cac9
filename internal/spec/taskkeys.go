// The keys of a task, and of what undoes one.

package spec

import (
	"fmt"
	"slices"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/task"
)

// Keys that a task has, and what a map does with each item has too.
var (
	taskKeyParams     = field("params", "Parameters of this task alone.", asPairs, func(t *flow.Task) *[]flow.Pair { return &t.Params }).alias("parameters", "localParams", "variables")
	taskKeySubstitute = field("substitute", "What is put into a script as text: env, only names with a dot and $[…]; text, also ${name} of parameters; none, nothing. The environment has them always.",
		defaulting(oneOf(flow.SubstituteEnv, flow.SubstituteText, flow.SubstituteNone), flow.SubstituteEnv), func(t *flow.Task) *flow.Substitute { return &t.Substitute }).ofWork()
	taskKeyRetry    = field("retry", "How often and when a failed try is followed by another.", asRetry, func(t *flow.Task) *flow.Retry { return &t.Retry }).alias("retries", "retry_policy", "retryPolicy", "failRetryTimes").ofWork()
	taskKeyEnv      = field("env", "Environment variables: a text, or {env: NAME} or {file: PATH}, a secret taken where the task runs.", asEnvironment, func(t *flow.Task) *[]flow.EnvVar { return &t.Env }).alias("environ", "environmentVariables").ofWork()
	taskKeyFiles    = field("files", "Files beside this one, put into the work folder by their base name, the executable bit kept.", asFiles, func(t *flow.Task) *[]flow.File { return &t.Files }).alias("resources", "resourceList").ofWork()
	taskKeyTimeout  = field("timeout", "How long a try may wait and run.", asTaskTimeout, func(t *flow.Task) *flow.Timeout { return &t.Timeout }).ofWork()
	taskKeyDelivery = field("delivery", "Promise about starts: at_least_once, again after a worker was lost; at_most_once, never again without a person.",
		defaulting(oneOf(flow.AtLeastOnce, flow.AtMostOnce), flow.AtLeastOnce), func(t *flow.Task) *flow.Delivery { return &t.Delivery }).ofWork()
	taskKeyPool = field("pool", "Slots that it takes of a Pool of the project while it has an attempt.", pointer(asPoolUse), func(t *flow.Task) **flow.PoolUse { return &t.Pool }).
			alias("taskGroup", "task_group", "taskGroupId", "mutex", "semaphore").ofWork()
	taskKeyEnvironment = field("environment", "Name of an Environment: how its process is prepared on the worker; the workflow's where it is left out.", asName, func(t *flow.Task) *string { return &t.Environment }).alias("environmentCode").ofWork()
	taskKeyPriority    = field("priority", "What goes first of what is ready at the same moment; the workflow's where it is left out.", asPriority, func(t *flow.Task) *flow.Priority { return &t.Priority })
	taskKeyWorkerGroup = field("worker_group", "Group of workers that run it; the workflow's where it is left out.", asName, func(t *flow.Task) *string { return &t.WorkerGroup }).alias("workerGroup", "queue").ofWork()
)

var taskKeys = newTable("a task",
	runKey(func(t *flow.Task) (string, []byte) { return t.Type, t.With }),
	typeKey(func(t *flow.Task) (string, []byte) { return t.Type, t.With }),
	withKey(func(t *flow.Task) *yaml.Node { return writeWith(t) }),
	field("description", "What it does, for people.", asText, func(t *flow.Task) *string { return &t.Description }),
	field("labels", "Texts to find and group tasks by.", asLabels, func(t *flow.Task) *map[string]string { return &t.Labels }).alias("tags"),
	field("needs", "Tasks that must have ended before it.", listOf(asName), func(t *flow.Task) *[]string { return &t.Needs }).
		alias("depends_on", "dependsOn", "deps", "dependencies", "depends", "after", "upstream", "preTasks"),
	field("join", "When it starts, of what it needs: all_succeeded, all_done, any_succeeded, none_failed, or an expression such as a.succeeded and not b.failed.",
		defaulting(asText, flow.JoinAllSucceeded), func(t *flow.Task) *string { return &t.Join }).alias("trigger_rule", "rule"),
	field("when", "Expression over the parameters; where it is false the task is skipped.", asText, func(t *flow.Task) *string { return &t.When }).alias("if", "condition"),
	taskKeyParams,
	taskKeySubstitute,
	taskKeyRetry,
	taskKeyEnv,
	taskKeyFiles,
	taskKeyTimeout,
	field("delay", "Wait after everything it needs has ended.", asDuration, func(t *flow.Task) *flow.Duration { return &t.Delay }).alias("delayTime", "wait"),
	taskKeyDelivery,
	taskKeyPool,
	later[flow.Task]("shards", "the task in many pieces at once"),
	taskKeyPriority,
	taskKeyWorkerGroup,
	taskKeyEnvironment,
	later[flow.Task]("tenant", "operating system user that runs the task"),
	field("disabled", "True: it does not run and counts as succeeded for what follows.", asBoolean, func(t *flow.Task) *bool { return &t.Disabled }).alias("disable", "skip"),
	field("ignore_failure", "True: its failure does not fail the run.", asBoolean, func(t *flow.Task) *bool { return &t.IgnoreFailure }).alias("continue_on_error", "allow_failure"),
	field("compensate", "Undoes the task when it had succeeded and the run ends failed.", pointer(asCompensation), func(t *flow.Task) **flow.Compensation { return &t.Compensate }).alias("undo", "rollback").ofWork(),
	later[flow.Task]("renamed_from", "the task's name before"),
)

// asTask reads one task without its name, which is its key.
var asTask = shape[flow.Task]{
	schema: taskKeys.schema,
	read: func(r *reader, v value) (flow.Task, bool) {
		var t flow.Task
		if !v.isMap() {
			e := r.expected(v, `a map, such as {run: "./extract.sh"}`)
			if v.isScalar() && !v.isNull() {
				e.Suggestion = "run"
			}
			return t, true // its name exists, so that needs: of others are not wrong as well
		}
		taskKeys.read(r, v, &t)
		w := r.work(v)
		t.Type, t.With, t.Branches, t.Decide, t.Inner = w.kind, w.with, w.branches, w.decide, w.inner
		switch {
		case decides(t.Type):
			r.noWork(v, t.Type)
		case flow.Hosted(t.Type):
			r.noWork(v, t.Type, "timeout", "compensate")
			r.noAttempt(v, t)
		}
		r.noProcess(v, &t)
		t.Files = withResources(t.Files, w.files)
		r.baseNames(v, t.Files)
		return t, true
	},
}

// decides tells the types that the engine decides without a worker.
func decides(kind string) bool { return kind == flow.TypeSwitch || kind == flow.TypeConditions }

// noProcess refuses an environment that would be ignored: what runs inside a worker has no process to prepare.
func (r *reader) noProcess(v value, t *flow.Task) {
	at, given := v.get("environment")
	typ, known := r.types.set.Get(t.Type)
	if !given || !known || decides(t.Type) || flow.Hosted(t.Type) || isProcess(typ) {
		return
	}
	if t.Compensate != nil {
		if undo, ok := r.types.set.Get(t.Compensate.Type); !ok || isProcess(undo) {
			return
		}
	}
	r.fail(at, "a task of type %s runs inside the worker, without a process of its own, so environment does nothing; remove it", t.Type)
}

func isProcess(t task.Type) bool {
	_, yes := t.(task.Process)
	return yes
}

// noWork refuses what would be ignored: what the engine itself runs has no process that could have it.
func (r *reader) noWork(v value, kind string, but ...string) {
	remedy := "remove it"
	if flow.Fans(kind) {
		remedy = "write it in with.task"
	}
	for k, child := range v.entries() {
		if i, known := taskKeys.index[k.Value]; known && taskKeys.keys[i].work && !slices.Contains(but, taskKeys.keys[i].name) {
			r.failAt(k.Line, k.Column, child.path(), flow.CodeInvalidFile,
				fmt.Sprintf("a task of type %s needs no worker, so %s does nothing; %s", kind, k.Value, remedy))
		}
	}
}

// noAttempt refuses timeouts that would never strike: what the engine runs begins at once.
func (r *reader) noAttempt(v value, t flow.Task) {
	timeout := v.at("timeout")
	for _, l := range []struct {
		name string
		set  bool
	}{{"queue", t.Timeout.Queue != 0}, {"start", t.Timeout.Start != 0}, {"heartbeat", t.Timeout.Heartbeat != 0}} {
		if l.set {
			r.fail(timeout.at(l.name), "a task of type %s needs no worker, so timeout.%s never strikes; timeout.run bounds how long it waits", t.Type, l.name)
		}
	}
}

var compensationKeys = newTable("a compensation",
	runKey(func(c *flow.Compensation) (string, []byte) { return c.Type, c.With }),
	typeKey(func(c *flow.Compensation) (string, []byte) { return c.Type, c.With }),
	withKey(func(c *flow.Compensation) *yaml.Node {
		if _, sugar := plainScript(c.Type, c.With); sugar {
			return nil
		}
		return writeOptions(c.With)
	}),
	field("params", "Parameters of the compensation, above those of its task.", asPairs, func(c *flow.Compensation) *[]flow.Pair { return &c.Params }),
	field("env", "Environment variables, as for a task.", asEnvironment, func(c *flow.Compensation) *[]flow.EnvVar { return &c.Env }),
	field("files", "Files beside this one, put into the work folder.", asFiles, func(c *flow.Compensation) *[]flow.File { return &c.Files }),
	field("retry", "How often and when a failed try is followed by another.", asRetry, func(c *flow.Compensation) *flow.Retry { return &c.Retry }),
	field("timeout", "How long a try may wait and run.", asTaskTimeout, func(c *flow.Compensation) *flow.Timeout { return &c.Timeout }),
)

var asCompensation = shape[flow.Compensation]{
	schema: func() object { return object{"$ref": "#/$defs/compensation"} },
	read: func(r *reader, v value) (flow.Compensation, bool) {
		var c flow.Compensation
		if !v.isMap() {
			r.expected(v, `a map, such as {run: "./undo.sh"}`)
			return c, false
		}
		compensationKeys.read(r, v, &c)
		w := r.work(v)
		if decides(w.kind) || flow.Hosted(w.kind) {
			r.fail(v.at("type"), "a compensation does work; it cannot be of type %s", w.kind)
		}
		c.Type, c.With = w.kind, w.with
		c.Files = withResources(c.Files, w.files)
		r.baseNames(v, c.Files)
		return c, true
	},
	write: func(c flow.Compensation) *yaml.Node { return compensationKeys.write(&c) },
}
