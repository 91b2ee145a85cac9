// The route table: every route with the permission it asks for. Nothing else adds a route below
// /api/v1.

package api

import (
	"net/http"
	"slices"

	"baton/internal/flow"
)

const (
	get  = http.MethodGet
	put  = http.MethodPut
	post = http.MethodPost
)

func (s *Server) routes() []Route {
	return slices.Concat([]Route{
		to(get, "/openapi.json", Public, "get-openapi", "This document", (*Server).getOpenAPI, sends("The OpenAPI 3.1 document", "application/json")),
		to(get, "/version", Public, "get-version", "Version of the server", (*Server).getVersion),
		to(get, "/schema", Public, "get-schema", "JSON Schema of workflow files, for editors", (*Server).getSchema),

		to(get, "/projects", ProjectRead, "list-projects", "List projects by name", (*Server).listProjects),
		to(get, "/projects/{project}", ProjectRead, "get-project", "Read a project", (*Server).getProject),

		to(get, "/workflows", WorkflowRead, "list-workflows", "List workflows by project and name, newest versions", (*Server).listWorkflows),
		to(post, "/projects/{project}/events/{event}", InstanceOperate, "send-event", "Send an event to the tasks that wait for it", (*Server).sendEvent),
		to(get, "/projects/{project}/workflows/{workflow}", WorkflowRead, "get-workflow", "Read a workflow with its definition", (*Server).getWorkflow),
		to(get, "/projects/{project}/workflows/{workflow}/versions", WorkflowRead, "list-versions", "List a workflow's versions, newest first", (*Server).listVersions),
		to(get, "/schedules", ScheduleRead, "list-schedules", "List schedules and their next times", (*Server).listSchedules),
		to(post, "/projects/{project}/workflows/{workflow}/schedules/{schedule}/enable", ScheduleOperate, "enable-schedule", "Have a schedule fire", enableSchedule(true)),
		to(post, "/projects/{project}/workflows/{workflow}/schedules/{schedule}/disable", ScheduleOperate, "disable-schedule", "Keep a schedule from firing", enableSchedule(false)),
		to(post, "/projects/{project}/workflows/{workflow}/schedules/enable", ScheduleOperate, "enable-schedules", "Have all schedules of a workflow fire", enableSchedules(true)),
		to(post, "/projects/{project}/workflows/{workflow}/schedules/disable", ScheduleOperate, "disable-schedules", "Keep all schedules of a workflow from firing", enableSchedules(false)),
		to(get, "/fires", ScheduleRead, "list-fires", "List what became of times of schedules, newest decision first", (*Server).listFires),
		to(get, "/triggers", ScheduleRead, "list-triggers", "List triggers and what they wait for", (*Server).listTriggers),
		to(post, "/projects/{project}/workflows/{workflow}/triggers/{trigger}/enable", ScheduleOperate, "enable-trigger", "Have a trigger start runs", enableTrigger(true)),
		to(post, "/projects/{project}/workflows/{workflow}/triggers/{trigger}/disable", ScheduleOperate, "disable-trigger", "Keep a trigger from starting runs", enableTrigger(false)),
		to(post, "/projects/{project}/workflows/{workflow}/triggers/enable", ScheduleOperate, "enable-triggers", "Have all triggers of a workflow start runs", enableTriggers(true)),
		to(post, "/projects/{project}/workflows/{workflow}/triggers/disable", ScheduleOperate, "disable-triggers", "Keep all triggers of a workflow from starting runs", enableTriggers(false)),
		to(post, "/projects/{project}/workflows/{workflow}/triggers/{trigger}", BySecret, "call-webhook", "Start a run by a webhook", (*Server).callWebhook, limit(webhookBodyBytes), answers(http.StatusAccepted),
			explained("It takes no token but the secret of the trigger: `X-Baton-Signature: sha256=HEX`, the HMAC-SHA-256 of the body (also as GitHub's `X-Hub-Signature-256`), or `Authorization: Bearer SECRET`. The run is durable when the answer comes. A key that is known answers the first run.")),
		to(get, "/starts", ScheduleRead, "list-starts", "List what became of events of triggers, newest first", (*Server).listStarts),
		to(get, "/calendars", ScheduleRead, "list-calendars", "List calendars: which days work", (*Server).listCalendars),
		to(get, "/pools", PoolRead, "list-pools", "List pools, who holds slots of them and who waits for some", (*Server).listPools),
		to(get, "/projects/{project}/pools/{pool}", PoolRead, "get-pool", "Read a pool, who holds slots of it and who waits for some", (*Server).getPool),
		to(put, "/projects/{project}/pools/{pool}/slots", PoolOperate, "set-pool-slots", "Change how many slots a pool has", (*Server).setSlots),
		to(post, "/projects/{project}/pools/{pool}/close", PoolOperate, "close-pool", "Give no more slots of a pool", closePool(true)),
		to(post, "/projects/{project}/pools/{pool}/open", PoolOperate, "open-pool", "Give slots of a pool again", closePool(false)),

		to(post, "/validate", WorkflowRead, "validate", "Check workflow files", (*Server).validate, limit(documentBodyBytes)),
		to(post, "/diff", WorkflowRead, "diff", "Tell what apply would change", (*Server).diff, limit(documentBodyBytes)),
		to(post, "/apply", WorkflowWrite, "apply", "Make or change what the files describe: all of it or nothing", (*Server).apply, limit(documentBodyBytes)),
		to(get, "/export", WorkflowRead, "export", "Write workflows as one file", (*Server).export, sends("YAML documents", "application/yaml")),
		to(post, "/blobs/missing", WorkflowWrite, "missing-blobs", "Tell which resources are not stored yet", (*Server).missingBlobs),
		to(put, "/blobs/{sha256}", WorkflowWrite, "put-blob", "Store a resource under its sum", (*Server).putBlob, limit(flow.MaxResource)),
		to(get, "/blobs/{sha256}", WorkflowRead, "get-blob", "Read a resource", (*Server).getBlob, sends("The bytes", "application/octet-stream")),

		to(get, "/instances", InstanceRead, "list-instances", "List runs, newest first", (*Server).listInstances),
		to(post, "/instances", InstanceStart, "start-instance", "Start a run", (*Server).startInstance, answers(http.StatusCreated), also(http.StatusOK, "The run that the idempotency key made before; `existing` is true")),
		to(get, "/instances/{instance}", InstanceRead, "get-instance", "Read a run with its tasks", (*Server).getInstance),
		to(get, "/instances/{instance}/wait", InstanceRead, "wait-instance", "Read a run when it is at rest, or in a state", (*Server).waitInstance, explained("A long poll: it answers as soon as the state is there, and with `reached: false` when `timeout` is over.")),
		to(get, "/instances/{instance}/tasks", InstanceRead, "list-tasks", "List the task instances of a run in order of creation", (*Server).listTasks),
		to(get, "/instances/{instance}/shards", InstanceRead, "list-shards", "List the items of maps and the rounds of loops in order of creation", (*Server).listShards),
		to(get, "/instances/{instance}/attempts", InstanceRead, "list-attempts", "List attempts in order of creation", (*Server).listAttempts),
		to(get, "/instances/{instance}/explain", InstanceRead, "explain-instance", "Tell why a run and its tasks stand where they stand", (*Server).explainInstance),
		to(get, "/instances/{instance}/outcomes", InstanceRead, "list-outcomes", "List the verbs given to a run and what became of them, oldest first", (*Server).listOutcomes),
		to(get, "/instances/{instance}/tasks/{task}/log", LogRead, "read-log", "Read or follow the log of a task", (*Server).readLog, sends("The log; with follow=true server-sent events `log`, `attempt`, `end` and `failed`", "text/plain", "text/event-stream")),

		to(get, "/events", InstanceRead, "watch-instances", "Follow the changes of all runs", (*Server).watchAll, sends("Server-sent events `change` and `gap`", "text/event-stream")),
		to(get, "/instances/{instance}/events", InstanceRead, "watch-instance", "Follow a run", (*Server).watchInstance, sends("Server-sent events: `instance` (the whole run: first, and after a gap), then `change`", "text/event-stream")),

		to(get, "/commands", InstanceRead, "list-commands", "List starts that no master has taken yet, newest first", (*Server).listCommands),
		to(get, "/alerts", AlertRead, "list-alerts", "List alerts, newest first", (*Server).listAlerts),
		to(get, "/backfills", InstanceRead, "list-backfills", "List backfills, newest first", (*Server).listBackfills),
		to(post, "/backfills", InstanceStart, "create-backfill", "Run a workflow for each of many dates, or tell what would run", (*Server).createBackfill, answers(http.StatusCreated), also(http.StatusOK, "A preview; or the backfill that the idempotency key made before: `existing` is true")),
		to(get, "/backfills/{backfill}", InstanceRead, "get-backfill", "Read a backfill with its dates", (*Server).getBackfill),
		to(post, "/backfills/{backfill}/pause", InstanceOperate, "pause-backfill", "Have no date of a backfill begin; what runs goes on", orderBackfill(flow.VerbPause)),
		to(post, "/backfills/{backfill}/resume", InstanceOperate, "resume-backfill", "Go on with a backfill that is paused, or that a failure ended", (*Server).resumeBackfill),
		to(post, "/backfills/{backfill}/stop", InstanceOperate, "stop-backfill", "Stop the runs of a backfill, and end it", orderBackfill(flow.VerbStop)),

		to(get, "/nodes", NodeRead, "list-nodes", "List masters and workers, live and recently lost", (*Server).listNodes),
		to(get, "/nodes/{node}", NodeRead, "get-node", "Read a node and what it has in hand", (*Server).getNode),
		to(post, "/nodes/{node}/drain", NodeOperate, "drain-node", "Have a master or worker take nothing new, also after a restart", (*Server).drainNode),
		to(post, "/nodes/{node}/undrain", NodeOperate, "undrain-node", "Have a drained node take work again", (*Server).undrainNode),
		to(get, "/failovers", NodeRead, "list-failovers", "List nodes that were declared dead, newest first", (*Server).listFailovers),
		to(get, "/datasources", DataSourceRead, "list-datasources", "List data sources; passwords are never in it", (*Server).listDataSources),
		to(get, "/environments", EnvironmentRead, "list-environments", "List environments: how the processes of tasks are prepared", (*Server).listEnvironments),
		to(get, "/groups", NodeRead, "list-groups", "List worker groups, declared and served", (*Server).listGroups),
		to(get, "/settings", SettingRead, "list-settings", "List the settings of the cluster", (*Server).listSettings),
		to(get, "/settings/{key}", SettingRead, "get-setting", "Read a setting of the cluster", (*Server).getSetting),
		to(put, "/settings/{key}", SettingWrite, "set-setting", "Change a setting of the cluster", (*Server).setSetting),
		to(post, "/tokens", TokenWrite, "create-token", "Make an administrator's token; it is shown once", (*Server).createToken, answers(http.StatusCreated)),
	}, instanceVerbs(), taskVerbs())
}

// instanceVerbs are one route for each order to a run.
func instanceVerbs() []Route {
	verb := func(name, summary string) Route {
		return to(post, "/instances/{instance}/"+name, InstanceOperate, name+"-instance", summary, orderInstance(name), accepted)
	}
	return []Route{
		verb(flow.VerbPause, "Pause a run: what runs finishes, nothing new starts"),
		verb(flow.VerbResume, "Go on with a paused run"),
		verb(flow.VerbRecover, "Take up what failed, was killed or never ran, in the same run"),
		to(post, "/instances/{instance}/rerun", InstanceOperate, "rerun-instance", "Run everything again in the same run", (*Server).rerunInstance, accepted),
		verb(flow.VerbRelease, "Try again with a quarantined run"),
		to(post, "/instances/{instance}/stop", InstanceOperate, "stop-instance", "Kill what runs and end the run", (*Server).stopInstance, accepted),
	}
}

// taskVerbs are one route for each order to a task of a run.
func taskVerbs() []Route {
	verb := func(name, summary string) Route {
		return to(post, "/instances/{instance}/tasks/{task}/"+name, InstanceOperate, name+"-task", summary, orderTask("task."+name), accepted)
	}
	return []Route{
		verb("retry", "Run a task again in a live run"),
		verb("skip", "Count a task as passed without running it"),
		verb("succeed", "Count a task as succeeded by hand"),
		verb("kill", "Kill a task; it is not retried"),
		verb("hold", "Keep a task from starting"),
		verb("release", "Let a held task start"),
		verb("start", "Start a waiting task now, past delay, retry wait or pool"),
		to(post, "/instances/{instance}/tasks/{task}/approve", InstanceOperate, "approve-task", "Approve what an approval asks", decideTask(flow.VerbTaskApprove), accepted),
		to(post, "/instances/{instance}/tasks/{task}/reject", InstanceOperate, "reject-task", "Reject what an approval asks: the task fails", decideTask(flow.VerbTaskReject), accepted),
	}
}

var accepted = also(http.StatusAccepted, "Durable, but not carried out within 2 s")

var tagTexts = map[string]string{ //nolint:gosec // texts about tokens, not tokens
	"instances":    "Runs: start, watch, steer, explain.",
	"workflows":    "Workflows and their versions.",
	"schedules":    "When workflows run by themselves.",
	"fires":        "What became of each time of a schedule.",
	"triggers":     "What else starts workflows.",
	"starts":       "What became of each event of a trigger.",
	"calendars":    "Which days work.",
	"backfills":    "Runs of a workflow for each of many dates.",
	"pools":        "Limits that tasks share.",
	"projects":     "Name spaces of workflows.",
	"apply":        "Files to definitions.",
	"validate":     "Check files.",
	"diff":         "Compare files with what is stored.",
	"export":       "Definitions to files.",
	"blobs":        "Resources beside the files.",
	"events":       "Live changes.",
	"commands":     "Starts that wait for a master.",
	"alerts":       "What a person should know.",
	"nodes":        "Masters and workers.",
	"failovers":    "Who died, and what became of its work.",
	"datasources":  "Databases that sql tasks use.",
	"environments": "How the processes of tasks are prepared.",
	"groups":       "Groups of workers.",
	"settings":     "Settings of the cluster.",
	"tokens":       "Who may ask.",
	"schema":       "The file format.",
	"openapi.json": "This document.",
	"version":      "What runs here.",
}
