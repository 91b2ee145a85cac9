// kind: Workflow, its keys in the order people read them.

package spec

import (
	"time"
	_ "time/tzdata" // which zones exist must not depend on the host that checks a file

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// workflow is a definition while it is read: the result, and where its parts stand.
type workflow struct {
	flow.Workflow
	at        value
	tasks     []value // parallel to Tasks
	finally   []value // parallel to Finally
	schedules []value // parallel to Schedules
	triggers  []value // parallel to Triggers
}

func workflowPart[V any](at func(*flow.Workflow) *V) func(*workflow) *V {
	return func(w *workflow) *V { return at(&w.Workflow) }
}

var workflowKeys = newTable("a workflow",
	kindKey[workflow](kindWorkflow),
	field("project", "Project the workflow belongs to. It is made when it does not exist.", asName,
		workflowPart(func(w *flow.Workflow) *string { return &w.Project })),
	field("name", "Name, unique in its project: any text up to 128 characters without / and control characters.", asName,
		workflowPart(func(w *flow.Workflow) *string { return &w.Name })).must(),
	field("renamed_from", "The name before; keeps the history of a workflow that gets a new one.", asName,
		workflowPart(func(w *flow.Workflow) *string { return &w.RenamedFrom })),
	field("description", "What it is for, for people.", asText,
		workflowPart(func(w *flow.Workflow) *string { return &w.Description })),
	field("labels", "Texts to find and group workflows by.", asLabels,
		workflowPart(func(w *flow.Workflow) *map[string]string { return &w.Labels })).alias("tags"),
	field("params", "Parameters of every run: a value, or type, default, required, enum and description.", asDeclarations,
		workflowPart(func(w *flow.Workflow) *[]flow.Param { return &w.Params })).alias("parameters", "variables", "globalParams"),
	schedulesKey,
	triggersKey,
	field("timezone", "IANA time zone of $[…] for runs that no schedule fired, such as Asia/Shanghai.", defaulting(asTimezone, "UTC"),
		workflowPart(func(w *flow.Workflow) *string { return &w.Timezone })).alias("timeZone", "tz"),
	executionKey,
	field("failure", "When a task failed: continue with the other branches, or end the run and kill them.",
		defaulting(oneOf(flow.FailureContinue, flow.FailureEnd), flow.FailureContinue),
		workflowPart(func(w *flow.Workflow) *flow.Failure { return &w.Failure })).alias("failureStrategy", "on_failure"),
	field("priority", "What goes first of what is ready at the same moment.", defaulting(asPriority, flow.PriorityMedium),
		workflowPart(func(w *flow.Workflow) *flow.Priority { return &w.Priority })),
	field("timeout", "How long a run may take, from its first start, paused time not counted.", asWorkflowTimeout,
		workflowPart(func(w *flow.Workflow) *flow.Timeout { return &w.Timeout })),
	field("deadlines", "Times of day by which a run must have begun or ended: the first such moment after it was due.", asDeadlines,
		workflowPart(func(w *flow.Workflow) *[]flow.Deadline { return &w.Deadlines })).alias("sla", "deadline"),
	field("rate", "How many runs may begin in a time; others wait.", mapped(rateKeys, yaml.FlowStyle, nil),
		workflowPart(func(w *flow.Workflow) *flow.Rate { return &w.Rate })).alias("rate_limit", "rateLimit", "throttle"),
	field("worker_group", "Group of workers that run its tasks.", defaulting(asName, flow.DefaultGroup),
		workflowPart(func(w *flow.Workflow) *string { return &w.WorkerGroup })).alias("workerGroup", "queue"),
	field("environment", "Name of an Environment: how the processes of its tasks are prepared on the workers.", asName,
		workflowPart(func(w *flow.Workflow) *string { return &w.Environment })).alias("environmentCode", "env"),
	later[workflow]("tenant", "operating system user that runs the tasks"),
	field("outputs", "Values taken when a run ends: texts with ${…}.", asOutputs,
		workflowPart(func(w *flow.Workflow) *[]flow.Output { return &w.Outputs })),
	tasksKey,
	finallyKey,
)

// asTimezone is a zone the time zone database knows. Local is refused: it would be another one on every
// node.
var asTimezone = checked(asText, func(s string) string {
	if s == "" || s == "Local" {
		return "expected an IANA time zone such as Asia/Shanghai, found " + shown(s)
	}
	if _, err := time.LoadLocation(s); err != nil {
		return "there is no time zone " + shown(s) + "; write an IANA name such as UTC, Asia/Shanghai or Europe/Berlin"
	}
	return ""
})

// asOutputs keeps the order of the file.
var asOutputs = ordered("a map of texts, such as {total: \"${total}\"}", asText, paramKey,
	func(k, v string) flow.Output { return flow.Output{Name: k, Value: v} },
	func(o flow.Output) (string, string) { return o.Name, o.Value })

// read makes the workflow of a document.
func (r *reader) workflow(doc value, project string) *flow.Workflow {
	w := workflow{at: doc}
	workflowKeys.read(r, doc, &w)
	if w.Project == "" {
		w.Project = project
	}
	r.checkSchedules(&w)
	r.checkTurns(&w)
	r.checkFinally(&w)
	r.checkTriggers(&w)
	if len(w.tasks) > 0 {
		g := r.link(&w)
		r.references(&w, g)
	}
	return &w.Workflow
}
