// Reasons to wait: what each means, and what a person can do about it.

package flow

// Codes that only runs, explanations, schedules and backfills have; those of tasks stand in task.go.
const (
	ReasonRunning    = "running"
	ReasonQueued     = "queued" // for a place on a worker
	ReasonWaiting    = "waiting"
	ReasonPausing    = "pausing"
	ReasonStopping   = "stopping"
	ReasonNotStarted = "not_started"
	ReasonNotChosen  = "not_chosen"
	ReasonUpstream   = "upstream"
	// Of schedules and their times.
	ReasonUnreadable = "unreadable"
	ReasonExhausted  = "exhausted"
	ReasonCalendar   = "calendar"
	ReasonWindow     = "window"
	ReasonMissed     = "missed"
	ReasonLate       = "late"
	// Of backfills.
	ReasonOnFailure = "on_failure"
)

// Wait is a code that something gives as its reason which has not ended: the code, a colon and a sentence. docs/reasons.md
// is made from these.
type Wait struct {
	Of    string // whose reason it is: one of WaitOf
	Code  string
	Means string
	Do    string // what a person can do about it
}

// What has reasons to wait.
const (
	WaitOfTask     = "task"
	WaitOfRun      = "run"
	WaitOfNoRow    = "no row" // of a task that has none yet; only explanations tell it
	WaitOfBackfill = "backfill"
	WaitOfSchedule = "schedule"
	WaitOfFire     = "fire"
)

// Waits lists all of them. One that is not here fails test/reasons, and so does one that no test there has provoked.
var Waits = []Wait{
	{WaitOfTask, ReasonHeld, "a person holds it", "`baton task release`"},
	{WaitOfTask, ReasonDelay, "its `delay`, or that of its loop between rounds, is not over", "wait, or `baton task start`"},
	{WaitOfTask, ReasonRetryDelay, "a try failed, and the next one is due later", "`baton logs` tells of the failure; `baton task start` tries at once"},
	{WaitOfTask, ReasonPool, "slots of its pool: who has them, who is before it, or that the pool is closed or too small", "`baton get pools NAME`; `baton pool set` or `open`; `baton task start` goes past the pool"},
	{WaitOfTask, ReasonQueued, "a place on a worker; the sentence of a moment, before the next two", "wait"},
	{WaitOfTask, ReasonNoWorker, "no worker can take it: none is connected, none serves its group, none has its type, or all are draining", "`baton get workers`; start one with the group, or `baton undrain`"},
	{WaitOfTask, ReasonNoSlot, "all places of the workers of its group are taken, or the workers take nothing for now", "wait, or add workers or `--slots`"},
	{WaitOfTask, ReasonDispatched, "a worker was chosen and has not said that it began", "wait; a worker that is gone is noticed when its lease is over"},
	{WaitOfTask, ReasonRunning, "it runs on a worker", "`baton logs -f`"},
	{WaitOfTask, ReasonSuspect, "its worker is not heard; a new try is granted when its lease is over", "`baton get workers`; look at the machine"},
	{WaitOfTask, ReasonKilling, "it is being killed and not yet gone with all that it started", "wait; after 10 s SIGKILL follows"},
	{WaitOfTask, ReasonUnknown, "its worker was lost and it may run at most once: nobody knows whether it did its work", "find out, then `baton task succeed`, `skip`, `retry` or `kill`"},
	{WaitOfTask, ReasonPaused, "the run is paused, or ended while it was", "`baton resume`; `baton recover` when the run has ended"},
	{WaitOfTask, ReasonWait, "a `wait` task: its time, or its event, has not come", "wait, `baton event`, or `baton task succeed`"},
	{WaitOfTask, ReasonApproval, "a person's answer", "`baton task approve` or `reject`"},
	{WaitOfTask, ReasonChild, "a run that it began", "`baton explain` that run"},
	{WaitOfTask, ReasonDependent, "runs of other workflows: none yet, not ended, or failed and to be mended", "`baton explain` the run it names, or run the workflow for that date; `baton task succeed` goes on without"},
	{WaitOfTask, ReasonMap, "the items of a map", "`baton get shards`"},
	{WaitOfTask, ReasonLoop, "a loop's next round, until what it wants holds", "`baton get shards`"},

	{WaitOfRun, "submitted", "the next free master; the sentence of a moment, before the next two", "wait"},
	{WaitOfRun, ReasonNoMaster, "no master is there", "start one"},
	{WaitOfRun, ReasonMastersDrained, "every master was drained", "`baton undrain`"},
	{WaitOfRun, ReasonTurn, "runs of its workflow that are before it (`execution`)", "wait, `baton stop` those, or raise the limit"},
	{WaitOfRun, ReasonRunning, "tasks run", "wait; `baton explain`"},
	{WaitOfRun, ReasonWaiting, "nothing of it runs: the task that waits and why, or how many do", "`baton explain`"},
	{WaitOfRun, ReasonQueued, "tasks wait for a place on a worker", "`baton explain`"},
	{WaitOfRun, ReasonUnknown, "tasks are `unknown`, and nothing else goes on", "settle them"},
	{WaitOfRun, ReasonPausing, "what runs finishes first", "wait, or `baton stop`"},
	{WaitOfRun, ReasonPaused, "a person paused it", "`baton resume`"},
	{WaitOfRun, ReasonDeadline, "it missed a deadline, and is being stopped for it; what follows says how far that is", "wait"},
	{WaitOfRun, ReasonStopping, "what ran is being killed", "wait; `baton explain` says where"},
	{WaitOfRun, ReasonFailureEnd, "a task failed, `failure: end`: the others are being killed", "wait"},
	{WaitOfRun, ReasonTimeout, "its time is over: its tasks are being killed", "wait"},
	{WaitOfRun, ReasonCompensating, "what had succeeded is being undone", "wait; `baton explain`"},
	{WaitOfRun, ReasonFinally, "its end is decided; the tasks of `finally` run before it", "wait; `baton stop` kills them"},
	{WaitOfRun, ReasonQuarantine, "the engine could not go on with it", "mend what the sentence says, then `baton release`, or `baton stop`"},

	{WaitOfNoRow, ReasonUpstream, "tasks before it have not ended: which, and how they stand", "look at these"},
	{WaitOfNoRow, ReasonNotStarted, "the run did not come to it: it has no master, is not running, or has ended", "look at the run"},
	{WaitOfNoRow, ReasonFinally, "it runs when all tasks before the end have ended", "wait"},
	{WaitOfNoRow, ReasonNotChosen, "the run was started with chosen tasks, and this is none of them", "run it with other `--tasks`"},
	{WaitOfNoRow, "unreached", "something before it failed or was killed", "mend that, then `baton recover`"},

	{WaitOfBackfill, ReasonPaused, "a person paused it", "`baton backfill --resume`"},
	{WaitOfBackfill, ReasonStopping, "its runs are being stopped", "wait"},
	{WaitOfBackfill, ReasonOnFailure, "a date did not succeed, and no other begins", "`baton recover` that run, then `baton backfill --resume`"},

	{WaitOfSchedule, ReasonDisabled, "a person disabled it, or its file did", "`baton schedule enable`"},
	{WaitOfSchedule, ReasonExhausted, "no time of it is left", "change its `cron`, `at` or `end`"},
	{WaitOfSchedule, ReasonUnreadable, "this version cannot read it, or its calendar", "mend what the sentence says"},

	{WaitOfFire, ReasonCalendar, "its calendar leaves the day out, or moved the time", "nothing; `baton get calendars`"},
	{WaitOfFire, ReasonDisabled, "the schedule was disabled before anybody had fired it", "`baton backfill` runs it after all"},
	{WaitOfFire, ReasonWindow, "no master was there for longer than `missed_window`", "`baton backfill` runs it after all"},
	{WaitOfFire, ReasonMissed, "no master was there, and `missed` leaves it out", "`baton backfill` runs it after all"},
	{WaitOfFire, ReasonLate, "no master was there in time; it was fired later", "nothing"},
}
