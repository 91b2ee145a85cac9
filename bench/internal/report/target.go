// The targets, as data: which series is ours, which the peer's, which the limit's, and what a
// gate and a moonshot ask.

package report

// condition is one demand of a goal.
type condition struct {
	times  float64 // of the other series; or, without one,
	than   string
	amount float64 // in the target's unit
}

func of(times float64, than string) condition { return condition{times: times, than: than} }
func abs(amount float64) condition            { return condition{amount: amount} }

// goal holds when all demands hold that compare with something measured; when nothing it
// compares with was measured, the plain amount decides.
type goal []condition

// target is a line of the table. Times are in microseconds unless the unit says otherwise.
type target struct {
	number string
	what   string
	unit   string
	ours   string
	peer   string // series
	who    string // whose series that is
	limit  string
	less   bool // less is better
	gate   goal
	moon   goal
}

const (
	temporal = "Temporal"
	river    = "River"
	etcd     = "etcd"
	one      = "1 master"
)

// targets follow field/performance.md, part D. A ratio is what counts; the amount beside it is
// what the ratio means on the machine where the goals were set.
var targets = []target{
	{"1", "durable DAG steps/s, PostgreSQL", "/s", "baton.pg.steps", "temporal.pg.steps", temporal, "limit.pg.batch", false,
		goal{of(10, "temporal.pg.steps"), abs(1300)}, goal{of(60, "temporal.pg.steps"), of(0.22, "river.jobs"), of(0.05, "limit.pg.batch"), abs(8000)}},
	{"2", "durable DAG steps/s, SQLite", "/s", "baton.sqlite.steps", "temporal.sqlite.steps", temporal, "limit.sqlite.100", false,
		goal{of(10, "temporal.sqlite.steps"), abs(2000)}, goal{of(38, "temporal.sqlite.steps"), of(1, "limit.sqlite.1"), of(0.036, "limit.sqlite.100"), abs(8000)}},
	{"3", "CPU per step, PostgreSQL", "µs", "baton.pg.cpu", "temporal.pg.cpu", temporal, "limit.pg.batch.cpu", true,
		goal{of(1.0/14, "temporal.pg.cpu"), abs(1000)}, goal{of(1.0/55, "temporal.pg.cpu"), of(3, "river.cpu"), of(20, "limit.pg.batch.cpu"), abs(250)}},
	{"3", "CPU per step, SQLite", "µs", "baton.sqlite.cpu", "temporal.sqlite.cpu", temporal, "", true, goal{abs(1000)}, goal{abs(250)}},
	{"4", "fan-out 1,000 + join, PostgreSQL", "µs", "baton.pg.fan", "temporal.pg.fan", temporal, "limit.pg.fan", true,
		goal{abs(600_000)}, goal{of(1.0/36, "temporal.pg.fan"), abs(150_000)}},
	{"4", "fan-out 1,000 + join, SQLite", "µs", "baton.sqlite.fan", "temporal.sqlite.fan", temporal, "limit.sqlite.fan", true,
		goal{abs(600_000)}, goal{of(1.0/13, "temporal.sqlite.fan"), abs(150_000)}},
	{"4", "fan-out 10,000, PostgreSQL (12 × 1,000)", "µs", "baton.pg.wide", "", "", "", true, nil, goal{of(12, "baton.pg.fan")}},
	{"4", "fan-out 10,000, SQLite (12 × 1,000)", "µs", "baton.sqlite.wide", "", "", "", true, nil, goal{of(12, "baton.sqlite.fan")}},
	{"5", "1-step workflows/s by API, PostgreSQL", "/s", "baton.pg.single", "temporal.pg.single", temporal, "limit.pg.single.8", false,
		goal{of(5, "temporal.pg.single"), abs(400)}, goal{of(40, "temporal.pg.single"), of(0.3, "limit.pg.single.8"), abs(3000)}},
	{"5", "1-step workflows/s by API, SQLite", "/s", "baton.sqlite.single", "temporal.sqlite.single", temporal, "limit.sqlite.1", false,
		goal{of(5, "temporal.sqlite.single"), abs(400)}, goal{of(40, "temporal.sqlite.single"), abs(3000)}},
	{"6", "dispatch latency idle p50, PostgreSQL", "µs", "baton.pg.idle.p50", "river.latency.p50", river, "limit.pg.step", true,
		goal{abs(5000)}, goal{of(1, "river.latency.p50"), of(1.0/23, "temporal.pg.idle.p50"), of(2.5, "limit.pg.step"), abs(1000)}},
	{"6", "dispatch latency idle p99, PostgreSQL", "µs", "baton.pg.idle.p99", "river.latency.p99", river, "limit.pg.step", true,
		goal{abs(20_000)}, goal{of(1.2, "river.latency.p99"), abs(3000)}},
	{"6", "dispatch latency idle p50, SQLite", "µs", "baton.sqlite.idle.p50", "temporal.sqlite.idle.p50", temporal, "limit.sqlite.step", true,
		goal{abs(5000)}, goal{of(2.8, "limit.sqlite.step"), abs(500)}},
	{"6", "dispatch latency idle p99, SQLite", "µs", "baton.sqlite.idle.p99", "temporal.sqlite.idle.p99", temporal, "limit.sqlite.step", true,
		goal{abs(20_000)}, goal{abs(3000)}},
	{"7", "the same at half load p99, PostgreSQL", "µs", "baton.pg.load.p99", "temporal.pg.load.p99", temporal, "limit.pg.step", true,
		goal{abs(100_000)}, goal{of(5, "baton.pg.idle.p99"), abs(15_000)}},
	{"7", "the same at half load p99, SQLite", "µs", "baton.sqlite.load.p99", "temporal.sqlite.load.p99", temporal, "limit.sqlite.step", true,
		goal{abs(100_000)}, goal{of(5, "baton.sqlite.idle.p99"), abs(15_000)}},
	{"8", "shell tasks/s with output (River)", "/s", "baton.shell", "river.shell", river, "limit.exec", false,
		goal{of(0.25, "limit.exec"), abs(750)}, goal{of(0.5, "limit.exec"), abs(1500)}},
	{"8", "shell tasks/s with output (Temporal)", "/s", "baton.shell", "temporal.shell", temporal, "limit.exec.sh.echo", false,
		goal{of(0.25, "limit.exec"), abs(750)}, goal{of(0.5, "limit.exec"), abs(1500)}},
	{"10", "1,000 of 10,000 schedules due each second, until the run is committed, p99, PostgreSQL (Dkron at 100: 121)", "ms", "schedules.pg.run.p99", "", "", "limit.due.pg.p99", true, goal{abs(500)}, goal{abs(20)}},
	{"10", "the same, SQLite", "ms", "schedules.sqlite.run.p99", "", "", "limit.due.sqlite.p99", true, goal{abs(500)}, goal{abs(20)}},
	{"10", "the same, until the first task began, p99, PostgreSQL", "ms", "schedules.pg.begun.p99", "river.schedules.p99", river, "limit.due.pg.p99", true, goal{abs(500)}, goal{of(1, "river.schedules.p99"), abs(20)}},
	{"10", "1,000 of 100,000 schedules due each second, run committed, p99, PostgreSQL", "ms", "many.pg.run.p99", "", "", "limit.due.pg.p99", true, goal{abs(500)}, goal{abs(100)}},
	{"10", "the same, SQLite", "ms", "many.sqlite.run.p99", "", "", "limit.due.sqlite.p99", true, goal{abs(500)}, goal{abs(100)}},
	{"11", "10,000 schedules due at once, all runs committed, PostgreSQL", "ms", "stampede.pg.run.max", "", "", "limit.stampede.pg.max", true, goal{abs(5000)}, goal{abs(1000)}},
	{"11", "the same, SQLite", "ms", "stampede.sqlite.run.max", "", "", "limit.stampede.sqlite.max", true, goal{abs(5000)}, goal{abs(1000)}},
	{"11", "the same, kill -9 of one of 2 masters, PostgreSQL", "ms", "stampede.killed.run.max", "", "", "limit.stampede.pg.max", true, goal{abs(5000)}, goal{abs(1000)}},
	{"12", "kill -9 of a master, next step p99 (others' defaults: 15,000 to 90,000)", "ms", "cluster.failover.p99", "", "", "", true, goal{abs(5000)}, goal{abs(500)}},
	{"13", "kill -9 of a worker, tasks adopted p99 (others: 15,000 to 90,000)", "ms", "cluster.adopted.p99", "", "", "", true, goal{abs(10_000)}, goal{abs(1000)}},
	{"13", "host of a worker gone, tasks begin elsewhere, slowest (lease 10 s)", "ms", "cluster.host.max", "", "", "", true, goal{abs(20_000)}, goal{abs(12_000)}},
	{"14", "slowest list page p95, PostgreSQL", "ms", "history.postgres.list", "", "", "history.postgres.list.limit", true, goal{abs(100)}, goal{abs(10)}},
	{"14", "slowest list page p95, SQLite", "ms", "history.sqlite.list", "", "", "history.sqlite.list.limit", true, goal{abs(100)}, goal{abs(10)}},
	{"14", "steps/s beside the history, PostgreSQL", "/s", "history.postgres.steps", "history.postgres.steps.empty", "empty", "", false,
		goal{of(0.8, "history.postgres.steps.empty")}, goal{of(0.95, "history.postgres.steps.empty")}},
	{"14", "steps/s beside the history, SQLite", "/s", "history.sqlite.steps", "history.sqlite.steps.empty", "empty", "", false,
		goal{of(0.8, "history.sqlite.steps.empty")}, goal{of(0.95, "history.sqlite.steps.empty")}},
	{"14", "retention, rows/s, PostgreSQL", "/s", "history.postgres.prune", "", "", "", false, nil, goal{abs(10_000)}},
	{"14", "retention, rows/s, SQLite", "/s", "history.sqlite.prune", "", "", "", false, nil, goal{abs(10_000)}},
	{"14", "p99 of a step meanwhile, PostgreSQL", "µs", "history.postgres.prune.p99", "history.postgres.prune.before.p99", "before", "", true,
		nil, goal{of(2, "history.postgres.prune.before.p99")}},
	{"14", "p99 of a step meanwhile, SQLite", "µs", "history.sqlite.prune.p99", "history.sqlite.prune.before.p99", "before", "", true,
		nil, goal{of(2, "history.sqlite.prune.before.p99")}},
	{"15", "idle memory (PSS)", "MiB", "baton.pss", "temporal.pss", temporal, "limit.pss", true, goal{abs(90)}, goal{abs(40)}},
	{"15", "idle CPU", "%", "baton.idle.cpu", "temporal.idle.cpu", temporal, "", true, nil, goal{abs(0.3)}},
	{"16", "memory (PSS) with 10,000 schedules, 1,000 runs a second, PostgreSQL (Dkron with 400: 621)", "MiB", "schedules.pg.pss", "", "", "schedules.pg.pss.empty", true, goal{abs(400)}, goal{abs(150)}},
	{"16", "the same, SQLite in the process", "MiB", "schedules.sqlite.pss", "", "", "schedules.sqlite.pss.empty", true, goal{abs(400)}, goal{abs(150)}},
	{"17", "start to first answer, empty", "ms", "baton.start", "temporal.start", temporal, "limit.start", true, goal{abs(1000)}, goal{abs(100)}},
	{"17", "the same, beside the history, PostgreSQL", "ms", "history.postgres.start", "", "", "limit.start", true, goal{abs(10_000)}, goal{abs(1000)}},
	{"17", "the same, beside the history, SQLite", "ms", "history.sqlite.start", "", "", "limit.start", true, goal{abs(10_000)}, goal{abs(1000)}},
	{"17", "the same, with 100,000 schedules, PostgreSQL", "ms", "many.pg.start", "", "", "many.pg.start.empty", true, goal{abs(10_000)}, goal{abs(1000)}},
	{"17", "the same, with 100,000 schedules, SQLite", "ms", "many.sqlite.start", "", "", "many.sqlite.start.empty", true, goal{abs(10_000)}, goal{abs(1000)}},
	{"waiting", "dispatch latency idle p50 beside a million waiting tasks, PostgreSQL", "µs", "waiting.pg.p50", "waiting.pg.empty.p50", "none", "", true, goal{of(1.5, "waiting.pg.empty.p50")}, goal{of(1.1, "waiting.pg.empty.p50")}},
	{"waiting", "the same p99, PostgreSQL", "µs", "waiting.pg.p99", "waiting.pg.empty.p99", "none", "", true, goal{of(2, "waiting.pg.empty.p99")}, goal{of(1.2, "waiting.pg.empty.p99")}},
	{"waiting", "start until a first run has ended, PostgreSQL", "ms", "waiting.pg.first", "waiting.pg.empty.first", "none", "", true, goal{abs(10_000)}, goal{of(1.5, "waiting.pg.empty.first")}},
	{"waiting", "dispatch latency idle p50 beside a million waiting tasks, SQLite", "µs", "waiting.sqlite.p50", "waiting.sqlite.empty.p50", "none", "", true, goal{of(1.5, "waiting.sqlite.empty.p50")}, goal{of(1.1, "waiting.sqlite.empty.p50")}},
	{"waiting", "the same p99, SQLite", "µs", "waiting.sqlite.p99", "waiting.sqlite.empty.p99", "none", "", true, goal{of(2, "waiting.sqlite.empty.p99")}, goal{of(1.2, "waiting.sqlite.empty.p99")}},
	{"waiting", "start until a first run has ended, SQLite", "ms", "waiting.sqlite.first", "waiting.sqlite.empty.first", "none", "", true, goal{abs(10_000)}, goal{of(1.5, "waiting.sqlite.empty.first")}},
	{"20", "change of a node seen by all p99, database alone", "ms", "registry.sql.p99", "registry.etcd.p99", etcd, "registry.commit.p99", true, nil, goal{abs(5)}},
	{"masters", "steps/s with 2 masters", "/s", "cluster.2.steps", "cluster.1.steps", one, "", false, nil, goal{of(0.95, "cluster.1.steps")}},
	{"masters", "steps/s with 4 masters", "/s", "cluster.4.steps", "cluster.1.steps", one, "", false, nil, goal{of(0.95, "cluster.1.steps")}},
	{"masters", "dispatch latency idle p50 with 2 masters", "µs", "cluster.2.idle.p50", "cluster.1.idle.p50", one, "", true, nil, goal{of(1.1, "cluster.1.idle.p50")}},
	{"masters", "dispatch latency idle p50 with 4 masters", "µs", "cluster.4.idle.p50", "cluster.1.idle.p50", one, "", true, nil, goal{of(1.1, "cluster.1.idle.p50")}},
	{"idle", "CPU of a master with 1,000 workers", "% of a core", "cluster.fleet.master", "", "", "", true, goal{abs(5)}, goal{abs(5)}},
	{"idle", "database statements of a process", "/s", "cluster.idle.statements", "", "", "", true, goal{abs(5)}, goal{abs(2)}},
}

// details are series worth reading that are no target.
var details = []struct{ what, series, unit string }{
	{"Baton: CPU per step, PostgreSQL, server and worker", "baton.pg.cpu.server", "µs"},
	{"Baton: CPU per step, PostgreSQL, database", "baton.pg.cpu.database", "µs"},
	{"Baton: steps/s of a backlog that nobody waits for, PostgreSQL", "baton.pg.burst", "/s"},
	{"Baton: CPU per step of it, PostgreSQL", "baton.pg.burst.cpu", "µs"},
	{"Baton: steps/s of a backlog that nobody waits for, SQLite", "baton.sqlite.burst", "/s"},
	{"Baton: CPU per step of it, SQLite", "baton.sqlite.burst.cpu", "µs"},
	{"Baton: CPU per 1-step workflow by API, PostgreSQL", "baton.pg.single.cpu", "µs"},
	{"Baton: CPU per 1-step workflow by API, SQLite", "baton.sqlite.single.cpu", "µs"},
	{"Baton: CPU per shell task, its fork and exec included", "baton.shell.cpu", "µs"},
	{"Baton: a chain seen by its client, time per step, idle, PostgreSQL", "baton.pg.idle.whole", "µs"},
	{"Baton: a chain seen by its client, time per step, idle, SQLite", "baton.sqlite.idle.whole", "µs"},
	{"Baton: dispatch latency at half load p50, PostgreSQL", "baton.pg.load.p50", "µs"},
	{"Baton: dispatch latency at half load p50, SQLite", "baton.sqlite.load.p50", "µs"},
	{"Baton: start to first answer, second start", "baton.restart", "ms"},
	{"Baton: a list page beside the history, median of all, PostgreSQL", "history.postgres.list.median", "ms"},
	{"Baton: a list page beside the history, median of all, SQLite", "history.sqlite.list.median", "ms"},
	{"Temporal: dispatch latency idle p50, PostgreSQL", "temporal.pg.idle.p50", "µs"},
	{"Temporal: dispatch latency idle p99, PostgreSQL", "temporal.pg.idle.p99", "µs"},
	{"River: flat jobs/s, tuned", "river.jobs", "/s"},
	{"River: flat jobs/s, its defaults", "river.default.jobs", "/s"},
	{"River: CPU per flat job, tuned", "river.cpu", "µs"},
	{"River: insert to start p50, its defaults", "river.default.latency.p50", "µs"},
	{"Cluster: CPU per step, 1 master", "cluster.1.cpu", "µs"},
	{"Cluster: CPU per step, 2 masters", "cluster.2.cpu", "µs"},
	{"Cluster: CPU per step, 4 masters", "cluster.4.cpu", "µs"},
	{"Cluster: dispatch latency idle p99, 1 master", "cluster.1.idle.p99", "µs"},
	{"Cluster: dispatch latency idle p99, 4 masters", "cluster.4.idle.p99", "µs"},
	{"Cluster: kill -9 of a master, next step p50", "cluster.failover.p50", "ms"},
	{"Cluster: kill -9 of a master, next step, slowest", "cluster.failover.max", "ms"},
	{"Cluster: runs of the masters that were killed, in a round", "cluster.failover.runs", ""},
	{"Cluster: kill -9 of a worker, tasks adopted p50", "cluster.adopted.p50", "ms"},
	{"Cluster: CPU of 3 masters, 2 workers, api and database, idle", "cluster.idle.cpu", "% of a core"},
	{"Cluster: CPU of the database with 1,000 idle workers", "cluster.fleet.database", "% of a core"},
	{"Cluster: database statements with 1,000 idle workers, a master", "cluster.fleet.statements", "/s"},
	{"Schedules: due in turns, a master decided p50, PostgreSQL", "schedules.pg.decided.p50", "ms"},
	{"Schedules: due in turns, fate and order committed p50, PostgreSQL", "schedules.pg.ordered.p50", "ms"},
	{"Schedules: due in turns, fate and order committed p99, PostgreSQL", "schedules.pg.ordered.p99", "ms"},
	{"Schedules: due in turns, run committed p50, PostgreSQL", "schedules.pg.run.p50", "ms"},
	{"Schedules: due in turns, run committed, latest, PostgreSQL", "schedules.pg.run.max", "ms"},
	{"Schedules: due in turns, first task began p50, PostgreSQL", "schedules.pg.begun.p50", "ms"},
	{"Schedules: CPU per fire with its run of one task, PostgreSQL", "schedules.pg.cpu", "µs"},
	{"Schedules: to apply a workflow of 1,000, PostgreSQL", "schedules.pg.apply", "ms"},
	{"Schedules: stampede, all decided, PostgreSQL", "stampede.pg.decided.max", "ms"},
	{"Schedules: stampede, all fates and orders committed, PostgreSQL", "stampede.pg.ordered.max", "ms"},
	{"Schedules: stampede, half of the runs committed, PostgreSQL", "stampede.pg.run.p50", "ms"},
	{"Schedules: stampede, all first tasks began, PostgreSQL", "stampede.pg.begun.max", "ms"},
	{"Schedules: due in turns, a master decided p50, SQLite", "schedules.sqlite.decided.p50", "ms"},
	{"Schedules: due in turns, fate and order committed p50, SQLite", "schedules.sqlite.ordered.p50", "ms"},
	{"Schedules: due in turns, fate and order committed p99, SQLite", "schedules.sqlite.ordered.p99", "ms"},
	{"Schedules: due in turns, run committed p50, SQLite", "schedules.sqlite.run.p50", "ms"},
	{"Schedules: due in turns, run committed, latest, SQLite", "schedules.sqlite.run.max", "ms"},
	{"Schedules: due in turns, first task began p50, SQLite", "schedules.sqlite.begun.p50", "ms"},
	{"Schedules: due in turns, first task began p99, SQLite", "schedules.sqlite.begun.p99", "ms"},
	{"Schedules: CPU per fire with its run of one task, SQLite", "schedules.sqlite.cpu", "µs"},
	{"Schedules: to apply a workflow of 1,000, SQLite", "schedules.sqlite.apply", "ms"},
	{"Schedules: stampede, all decided, SQLite", "stampede.sqlite.decided.max", "ms"},
	{"Schedules: stampede, all fates and orders committed, SQLite", "stampede.sqlite.ordered.max", "ms"},
	{"Schedules: stampede, half of the runs committed, SQLite", "stampede.sqlite.run.p50", "ms"},
	{"Schedules: stampede, all first tasks began, SQLite", "stampede.sqlite.begun.max", "ms"},
	{"Schedules: stampede with a kill, runs ordered when a master is killed", "stampede.killed.at", ""},
	{"Schedules: stampede with a kill, all fates and orders committed", "stampede.killed.ordered.max", "ms"},
	{"Schedules: stampede with a kill, all first tasks began", "stampede.killed.begun.max", "ms"},
	{"Schedules: 100,000 applied, PostgreSQL", "many.pg.apply", "/s"},
	{"Schedules: of 100,000, first task began p99, PostgreSQL", "many.pg.begun.p99", "ms"},
	{"Schedules: memory with 100,000, PostgreSQL", "many.pg.pss", "MiB"},
	{"Schedules: memory of each of them, PostgreSQL", "many.pg.bytes", "B"},
	{"Schedules: 100,000 applied, SQLite", "many.sqlite.apply", "/s"},
	{"Schedules: of 100,000, first task began p99, SQLite", "many.sqlite.begun.p99", "ms"},
	{"Schedules: memory with 100,000, SQLite", "many.sqlite.pss", "MiB"},
	{"Schedules: memory of each of them, SQLite", "many.sqlite.bytes", "B"},
	{"Schedules: when a cron expression is due next", "cron.next", "ns"},
	{"Waiting: tasks that wait, PostgreSQL", "waiting.pg.tasks", ""},
	{"Waiting: loaded, PostgreSQL", "waiting.pg.load", "/s"},
	{"Waiting: memory (PSS) of the server, PostgreSQL", "waiting.pg.pss", "MiB"},
	{"Waiting: memory (PSS) of the server with none, PostgreSQL", "waiting.pg.empty.pss", "MiB"},
	{"Waiting: memory of each, PostgreSQL", "waiting.pg.bytes", "B"},
	{"Waiting: store of each, PostgreSQL", "waiting.pg.disk", "B"},
	{"Waiting: idle CPU, PostgreSQL", "waiting.pg.cpu", "% of a core"},
	{"Waiting: idle CPU with none, PostgreSQL", "waiting.pg.empty.cpu", "% of a core"},
	{"Waiting: tasks that wait, SQLite", "waiting.sqlite.tasks", ""},
	{"Waiting: loaded, SQLite", "waiting.sqlite.load", "/s"},
	{"Waiting: memory (PSS) of the server, SQLite", "waiting.sqlite.pss", "MiB"},
	{"Waiting: memory (PSS) of the server with none, SQLite", "waiting.sqlite.empty.pss", "MiB"},
	{"Waiting: memory of each, SQLite", "waiting.sqlite.bytes", "B"},
	{"Waiting: store of each, SQLite", "waiting.sqlite.disk", "B"},
	{"Waiting: idle CPU, SQLite", "waiting.sqlite.cpu", "% of a core"},
	{"Waiting: idle CPU with none, SQLite", "waiting.sqlite.empty.cpu", "% of a core"},
	{"River: periodic job began p50, tuned", "river.schedules.p50", "ms"},
	{"limit: 1,000 timers at once, committed p50, PostgreSQL", "limit.due.pg.p50", "ms"},
	{"limit: 1,000 timers at once, committed p50, SQLite", "limit.due.sqlite.p50", "ms"},
	{"etcd: change seen by all p99", "registry.etcd.p99", "ms"},
	{"ZooKeeper: change seen by all p99", "registry.zookeeper.p99", "ms"},
	{"Baton: change seen by all p50, database alone", "registry.sql.p50", "ms"},
	{"limit: append 4 KiB + fsync", "limit.append", "/s"},
	{"limit: overwrite 4 KiB + fdatasync", "limit.overwrite", "/s"},
	{"limit: PostgreSQL task lifecycles in batches of 100", "limit.pg.batch", "/s"},
	{"limit: PostgreSQL insert + update commits, 1 client", "limit.pg.single.1", "/s"},
	{"limit: PostgreSQL insert + update commits, 8 clients", "limit.pg.single.8", "/s"},
	{"limit: SQLite FULL, a task a commit", "limit.sqlite.1", "/s"},
	{"limit: SQLite FULL, 100 tasks a commit", "limit.sqlite.100", "/s"},
	{"limit: fork + exec + pipe, 2 goroutines", "limit.exec", "/s"},
	{"limit: sh -c true", "limit.exec.sh.true", "/s"},
	{"limit: sh -c 'echo hello', captured", "limit.exec.sh.echo", "/s"},
	{"limit: gRPC stream there and back p50", "limit.pingpong.p50", "µs"},
}
