// What the API needs of the store.

package api

import (
	"context"

	"baton/internal/flow"
)

// Store is the durable side of the API. Implementations are safe for concurrent use. Reads never
// count, never page by offset, and never hold a transaction longer than one statement.
// flow.CodeNotFound and flow.CodeConflict come as *flow.Error; every other error is internal.
type Store interface {
	Orders
	Runs
	Definitions
	Backfills
	Cluster
}

// Orders are the durable wishes of callers.
type Orders interface {
	// Submit records a command. With a key that is known it returns the run of the first call and
	// existing=true, or a conflict when digest (of name, version, parameters, …) differs.
	Submit(ctx context.Context, cmd flow.Command, digest string) (id flow.ID, existing bool, err error)
	// Order inserts an inbox item. An item with the same Dedup is returned instead of inserted.
	// Not found: there is no such instance (or command).
	Order(ctx context.Context, item flow.InboxItem) (flow.ID, error)
	// RerunDownstream orders a run to be rerun by the item, and with it of each of some workflows the last run for the same
	// data time, those that go on aside: all of it or nothing. The first of what it returns is the run itself. A conflict:
	// it is not at rest.
	RerunDownstream(ctx context.Context, first flow.InboxItem, workflows []flow.ID, next func() flow.ID) ([]flow.Downstream, error)
	// Outcome returns what became of an inbox item, nil while it is not known.
	Outcome(ctx context.Context, inbox flow.ID) (*flow.Outcome, error)
}

// Runs are instances, their tasks and attempts, read for people.
type Runs interface {
	// Instance reads one run with its names; a command not yet taken is a run in state submitted.
	Instance(ctx context.Context, id flow.ID) (flow.Run, error)
	// Instances lists runs, newest first, waiting commands among them, with what a Summary shows of each.
	Instances(ctx context.Context, f flow.RunFilter) (flow.Page[flow.Run], error)
	// Tasks reads the task rows of a run in order of creation.
	Tasks(ctx context.Context, instance flow.ID) ([]flow.TaskRow, error)
	// Attempts reads all attempts of a run, or of one task of it, in order of creation, the current
	// ones of each row included. It has the name of the task beside each.
	Attempts(ctx context.Context, instance flow.ID, task string) ([]flow.NamedAttempt, error)
	// Commands lists waiting commands, newest first.
	Commands(ctx context.Context, limit int, cursor flow.ID) (flow.Page[flow.Run], error)
	// Alerts lists alerts, newest first.
	Alerts(ctx context.Context, f flow.AlertFilter) (flow.Page[flow.Alert], error)
	// Given lists the verbs given to a run that are not carried out yet, oldest first.
	Given(ctx context.Context, instance flow.ID) ([]flow.Given, error)
	// Outcomes lists the verbs given to a run, oldest first.
	Outcomes(ctx context.Context, instance flow.ID) ([]flow.Outcome, error)
}

// Definitions are projects, workflows with their versions, data sources and resources.
type Definitions interface {
	// Apply writes all documents in one transaction: projects that do not exist are made, a changed
	// workflow gets a new version, an unchanged one none (compared by the JSON of flow.Workflow).
	// Everything that cannot be beside what is stored is refused at once, as flow.RefusedErrors.
	Apply(ctx context.Context, docs []flow.Document, now flow.Time) ([]flow.Applied, error)
	// Check returns what Apply would refuse of the documents as flow.RefusedErrors, and changes nothing.
	Check(ctx context.Context, docs []flow.Document, now flow.Time) error
	// Project reads a project by name.
	Project(ctx context.Context, name string) (flow.Project, error)
	// Projects lists projects by name.
	Projects(ctx context.Context) ([]flow.Project, error)
	// Workflow reads a workflow by name; version 0 is the newest.
	Workflow(ctx context.Context, project, name string, version int32) (flow.Definition, error)
	// Workflows lists the newest versions by (project, name), after the given pair. An empty project lists all.
	Workflows(ctx context.Context, project string, limit int, afterProject, afterName string) ([]flow.Definition, error)
	// Versions lists a workflow's versions, newest first.
	Versions(ctx context.Context, project, name string) ([]flow.Definition, error)
	// SendEvent tells every task that waits for an event of a project that it has come, and returns how many there were.
	SendEvent(ctx context.Context, project, name string, params map[string]string, next func() flow.ID, now flow.Time) (int, error)
	// DataSources lists the data sources of a project by name; "" lists all.
	DataSources(ctx context.Context, project string) ([]flow.DataSource, error)
	// Calendars lists the newest versions of the calendars of a project by name; "" lists all.
	Calendars(ctx context.Context, project string) ([]flow.Calendar, error)
	// Environments lists the newest versions of the environments by name.
	Environments(ctx context.Context) ([]flow.Environment, error)
	// EnvironmentAt reads the version of an environment that was the newest at a time.
	EnvironmentAt(ctx context.Context, name string, at flow.Time) (flow.Environment, error)
	// WorkerGroups lists the declared worker groups by name.
	WorkerGroups(ctx context.Context) ([]flow.WorkerGroup, error)
	// Turn tells how a queued run stands.
	Turn(ctx context.Context, id flow.ID) (flow.TurnStanding, error)
	// Pools lists the pools of a project by name, "" those of all, each with so many of those that hold slots, and as
	// many of those that wait.
	Pools(ctx context.Context, project string, claims int) ([]flow.PoolStanding, error)
	// Pool reads one.
	Pool(ctx context.Context, project, name string, claims int) (flow.PoolStanding, error)
	// SetPool has a pool have so many slots, be closed or open, whatever its file says; nil leaves it alone.
	SetPool(ctx context.Context, project, name string, slots *int, closed *bool) error
	// PoolWaits tells what the tasks of a run that wait for slots wait for, a hundred of them at most.
	PoolWaits(ctx context.Context, instance flow.ID) ([]flow.PoolWait, error)
	// SchedulesOf reads the schedules of a workflow in the order of its file.
	SchedulesOf(ctx context.Context, workflow flow.ID) ([]flow.Schedule, error)
	// Schedules lists the schedules of a project, a workflow or all, after the one with that id.
	Schedules(ctx context.Context, project, workflow string, limit int, after flow.ID) (flow.Page[flow.ScheduleRow], error)
	// EnableSchedules turns the schedules of a workflow on or off, or one by its name, and returns how many
	// are meant.
	EnableSchedules(ctx context.Context, project, workflow, name string, on bool) (int, error)
	// Fires lists what became of times of schedules, newest decision first.
	Fires(ctx context.Context, f flow.FireFilter) (flow.Page[flow.NamedFire], error)
	// TriggersOf reads the triggers of a workflow in the order of its file.
	TriggersOf(ctx context.Context, workflow flow.ID) ([]flow.Trigger, error)
	// Triggers lists the triggers of a project, a workflow or all, after the one with that id, with what they have heard.
	Triggers(ctx context.Context, project, workflow string, limit int, after flow.ID) (flow.Page[flow.TriggerRow], error)
	// EnableTriggers turns the triggers of a workflow on or off, or one by its name, and returns how many are meant.
	EnableTriggers(ctx context.Context, project, workflow, name string, on bool) (int, error)
	// TriggerNamed reads a trigger by its names, without what it has heard.
	TriggerNamed(ctx context.Context, project, workflow, name string) (flow.TriggerStanding, error)
	// StartByEvent records an event of a trigger and orders its run, once for each key: with one that is known it returns
	// the run of the first, and existing=true. A conflict: the trigger is disabled.
	StartByEvent(ctx context.Context, start flow.TriggerStart, cmd flow.Command) (id flow.ID, existing bool, err error)
	// Overrides tells what verbs said of the schedules and triggers of a workflow.
	Overrides(ctx context.Context, project, workflow string) (flow.Overrides, error)
	// Starts lists what became of events of triggers, newest first.
	Starts(ctx context.Context, f flow.StartFilter) (flow.Page[flow.NamedStart], error)
	// MissingBlobs returns which of the resources (hex SHA-256) the store does not have.
	MissingBlobs(ctx context.Context, sums []string) ([]string, error)
	// PutBlob stores a resource under its sum. Storing it twice is no error.
	PutBlob(ctx context.Context, sum string, content []byte) error
	// Blob reads a resource.
	Blob(ctx context.Context, sum string) ([]byte, error)
}

// Backfills are runs of a workflow for each of many dates.
type Backfills interface {
	// CreateBackfill writes a backfill with its dates, in the order in which they begin, and has the first begin: all of
	// it or nothing. parts are its own workflow and those that depend on it. next gives ids. With a key that is known it
	// returns the backfill of the first call and existing=true, or a conflict when digest differs.
	CreateBackfill(ctx context.Context, b flow.Backfill, parts []flow.BackfillPart, items []flow.BackfillItem, key, digest string, next func() flow.ID) (id flow.ID, existing bool, err error)
	// OrderBackfill pauses, resumes or stops a backfill, with what follows from it at once. A conflict says why it
	// is not possible; what is so already is no error.
	OrderBackfill(ctx context.Context, id flow.ID, o flow.BackfillOrder, next func() flow.ID, now flow.Time) error
	// Backfill reads a backfill with its dates, each as its run stands.
	Backfill(ctx context.Context, id flow.ID) (flow.NamedBackfill, error)
	// Backfills lists backfills without their dates, newest first.
	Backfills(ctx context.Context, f flow.BackfillFilter) (flow.Page[flow.NamedBackfill], error)
}

// Cluster is what the API shows of nodes, and who may ask.
type Cluster interface {
	// Nodes lists live and recently lost nodes of a role; "" lists all.
	Nodes(ctx context.Context, role string) ([]flow.Node, error)
	// CreateToken keeps the SHA-256 of a token for an administrator.
	CreateToken(ctx context.Context, name, sum string, now flow.Time) error
	// TokenName returns the name of the token with this sum. Not found: nobody has it.
	TokenName(ctx context.Context, sum string) (string, error)
	// TokenNames lists whose tokens there are.
	TokenNames(ctx context.Context) ([]string, error)
	// Drain makes a node take nothing new, by flow.Node.DrainKey or flow.DrainOf; Undrain takes that back.
	Drain(ctx context.Context, key, by string, now flow.Time) error
	Undrain(ctx context.Context, key string) error
	// Holding counts what a node has in hand: runs of a master, attempts of a worker.
	Holding(ctx context.Context, incarnation int64) (int, error)
	// Failovers lists nodes that were declared dead, newest first.
	Failovers(ctx context.Context, limit int) ([]flow.Failover, error)
	// Settings reads all settings of the cluster that are set.
	Settings(ctx context.Context) (map[string]string, error)
	// Setting reads a setting of the cluster, "" when it is not set.
	Setting(ctx context.Context, key string) (string, error)
	// SetSetting writes a setting of the cluster.
	SetSetting(ctx context.Context, key, value string) error
	// Prune deletes up to n ended runs older than before, with all that belongs to them, and tells
	// how many.
	Prune(ctx context.Context, before flow.Time, n int) (int, error)
	// Stray counts non-terminal rows that have neither a reason nor a next check: each is a defect.
	Stray(ctx context.Context) (int, error)
	// Waits tells since when the oldest command and the oldest inbox item wait, 0 for none, and the
	// time of the store.
	Waits(ctx context.Context) (command, inbox, now flow.Time, err error)
	// AlertUntaken alerts once of the oldest waiting command, if it was submitted before a time.
	AlertUntaken(ctx context.Context, before flow.Time, kind, message string, now flow.Time) error
	// Ping tells whether the store answers.
	Ping(ctx context.Context) error
}
