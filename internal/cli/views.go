// How each kind of object looks in a table.

package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

// widest is what a table cell with free text may take on a terminal without -o wide, so that rows fit in 100 columns.
const widest = 44

func (a *app) instanceView() view[api.Summary] {
	return view[api.Summary]{
		name: func(i api.Summary) string { return i.ID },
		columns: []column[api.Summary]{
			{head: "ID", cell: func(i api.Summary) string { return i.ID }},
			{head: "WORKFLOW", cell: func(i api.Summary) string { return shorten(placeOf(i.Project, i.Workflow), 32) }},
			{head: "VERSION", wide: true, cell: func(i api.Summary) string { return "v" + strconv.Itoa(int(i.Version)) }},
			{head: "STATE", state: true, cell: func(i api.Summary) string { return string(i.State) }},
			{head: "TRIGGER", wide: true, cell: func(i api.Summary) string { return i.Trigger }},
			{head: "DATA TIME", wide: true, cell: func(i api.Summary) string { return clock(i.DataTime) }},
			{head: "AGE", cell: func(i api.Summary) string { return age(i.SubmittedAt) }},
			{head: "TOOK", cell: func(i api.Summary) string { return took(i.StartedAt, i.EndedAt) }},
			{head: "OWNER", wide: true, cell: func(i api.Summary) string { return or(i.Owner, "-") }},
			{head: "REASON", free: true, cell: func(i api.Summary) string { return or(i.Reason, "") }},
		},
	}
}

func (a *app) taskView() view[api.Task] {
	return view[api.Task]{
		name: func(t api.Task) string { return t.Name },
		columns: []column[api.Task]{
			{head: "ID", wide: true, cell: func(t api.Task) string { return t.ID }},
			{head: "TASK", cell: func(t api.Task) string { return shorten(t.Name, 32) }},
			{head: "TYPE", cell: func(t api.Task) string { return t.Type }},
			{head: "STATE", state: true, cell: func(t api.Task) string { return string(t.State) }},
			{head: "VALID", wide: true, cell: func(t api.Task) string { return strconv.FormatBool(t.Valid) }},
			{head: "TRY", cell: func(t api.Task) string { return dash(int(t.Attempt)) }},
			{head: "EXIT", cell: func(t api.Task) string { return exitText(t.ExitCode) }},
			{head: "STARTED", wide: true, cell: func(t api.Task) string { return clock(t.StartedAt) }},
			{head: "TOOK", cell: func(t api.Task) string { return took(t.StartedAt, t.EndedAt) }},
			{head: "WORKER", wide: true, cell: func(t api.Task) string { return or(t.Worker, "-") }},
			{head: "RUN", wide: true, cell: func(t api.Task) string { return or(t.Child, "-") }},
			{head: "REASON", free: true, cell: reasonOf},
		},
	}
}

// reasonOf says in a row of a table what its fields say apart.
func reasonOf(t api.Task) string {
	reason := reasonWorthSaying(t)
	if !t.Valid {
		return strings.TrimSpace("superseded " + reason)
	}
	if t.NextCheckAt != 0 && reason != "" && !flow.Hosted(t.Type) {
		return reason + " until " + clock(t.NextCheckAt)
	}
	return reason
}

func shardView() view[api.Shard] {
	return view[api.Shard]{
		name: func(t api.Shard) string { return flow.ItemName(t.Task, int(t.Index)) },
		columns: []column[api.Shard]{
			{head: "ITEM", cell: func(t api.Shard) string { return shorten(flow.ItemName(t.Task, int(t.Index)), 32) }},
			{head: "PARAM", cell: func(t api.Shard) string { return shorten(or(t.Param, "-"), 32) }},
			{head: "STATE", state: true, cell: func(t api.Shard) string { return string(t.State) }},
			{head: "TRY", cell: func(t api.Shard) string { return dash(int(t.Attempt)) }},
			{head: "EXIT", cell: func(t api.Shard) string { return exitText(t.ExitCode) }},
			{head: "STARTED", wide: true, cell: func(t api.Shard) string { return clock(t.StartedAt) }},
			{head: "TOOK", cell: func(t api.Shard) string { return took(t.StartedAt, t.EndedAt) }},
			{head: "WORKER", wide: true, cell: func(t api.Shard) string { return or(t.Worker, "-") }},
			{head: "REASON", free: true, cell: func(t api.Shard) string { return or(t.Reason, "") }},
		},
	}
}

func attemptView() view[api.Attempt] {
	return view[api.Attempt]{
		name: func(t api.Attempt) string { return fmt.Sprintf("%s/%d", t.Task, t.Attempt) },
		columns: []column[api.Attempt]{
			{head: "TASK", cell: func(t api.Attempt) string { return shorten(t.Task, 32) }},
			{head: "ROW", wide: true, cell: func(t api.Attempt) string { return t.Row }},
			{head: "TRY", cell: func(t api.Attempt) string { return strconv.Itoa(int(t.Attempt)) }},
			{head: "TOKEN", cell: func(t api.Attempt) string { return strconv.FormatInt(t.Token, 10) }},
			{head: "STATE", state: true, cell: func(t api.Attempt) string { return string(t.State) }},
			{head: "EXIT", cell: func(t api.Attempt) string { return exitText(t.ExitCode) }},
			{head: "CAUSE", cell: func(t api.Attempt) string { return shorten(or(t.Cause, "-"), 24) }},
			{head: "CLASS", wide: true, cell: func(t api.Attempt) string { return or(t.Class, "-") }},
			{head: "INFRA", wide: true, cell: func(t api.Attempt) string { return strconv.Itoa(int(t.Infra)) }},
			{head: "CONFIRMED", wide: true, cell: func(t api.Attempt) string { return strconv.FormatBool(t.Confirmed) }},
			{head: "STARTED", wide: true, cell: func(t api.Attempt) string { return clock(t.StartedAt) }},
			{head: "TOOK", cell: func(t api.Attempt) string { return took(t.StartedAt, t.EndedAt) }},
			{head: "CPU", wide: true, cell: func(t api.Attempt) string { return cpuText(t.CPU) }},
			{head: "MEMORY", wide: true, cell: func(t api.Attempt) string { return memoryText(t.Memory) }},
			{head: "WORKER", cell: func(t api.Attempt) string { return or(t.Worker, "-") }},
			{head: "REASON", free: true, cell: func(t api.Attempt) string { return or(t.Reason, "") }},
		},
	}
}

func workflowView() view[api.Workflow] {
	return view[api.Workflow]{
		name: func(w api.Workflow) string { return placeOf(w.Project, w.Name) },
		columns: []column[api.Workflow]{
			{head: "PROJECT", cell: func(w api.Workflow) string { return shorten(w.Project, 20) }},
			{head: "NAME", cell: func(w api.Workflow) string { return shorten(w.Name, 32) }},
			{head: "VERSION", cell: func(w api.Workflow) string { return "v" + strconv.Itoa(int(w.Version)) }},
			{head: "TASKS", cell: func(w api.Workflow) string { return strconv.Itoa(w.Tasks) }},
			{head: "TURNS", cell: turnsOf},
			{head: "CHANGED", cell: func(w api.Workflow) string { return age(w.CreatedAt) }},
			{head: "LABELS", wide: true, cell: func(w api.Workflow) string { return pairs(w.Labels) }},
			{head: "DESCRIPTION", cell: func(w api.Workflow) string { return shorten(firstOf(w.Description), 32) }},
		},
	}
}

// turnsOf says how many runs of a workflow go on, or begin, at a time.
func turnsOf(w api.Workflow) string {
	var parts []string
	var key *string
	if e := w.Execution; e != nil {
		parts, key = append(parts, fmt.Sprintf("%d at a time", e.Limit)), e.Key
	}
	if r := w.Rate; r != nil {
		parts, key = append(parts, fmt.Sprintf("%d in %s", r.Starts, r.Per)), r.Key
	}
	if len(parts) == 0 {
		return "-"
	}
	text := strings.Join(parts, ", ")
	if key != nil {
		text += " by " + shorten(*key, 24)
	}
	return text
}

func projectView() view[api.Project] {
	return view[api.Project]{
		name: func(p api.Project) string { return p.Name },
		columns: []column[api.Project]{
			{head: "NAME", cell: func(p api.Project) string { return p.Name }},
			{head: "PARAMS", cell: func(p api.Project) string { return dash(len(p.Params)) }},
			{head: "WEIGHT", wide: true, cell: func(p api.Project) string { return strconv.Itoa(p.Weight) }},
			{head: "DESCRIPTION", cell: func(p api.Project) string { return shorten(firstOf(p.Description), 60) }},
		},
	}
}

func dataSourceView() view[api.DataSource] {
	return view[api.DataSource]{
		name: func(d api.DataSource) string { return placeOf(d.Project, d.Name) },
		columns: []column[api.DataSource]{
			{head: "PROJECT", cell: func(d api.DataSource) string { return d.Project }},
			{head: "NAME", cell: func(d api.DataSource) string { return d.Name }},
			{head: "TYPE", cell: func(d api.DataSource) string { return d.Type }},
			{head: "HOST", cell: func(d api.DataSource) string { return or(d.Host, "-") }},
			{head: "DATABASE", cell: func(d api.DataSource) string { return or(d.Database, "-") }},
			{head: "USER", wide: true, cell: func(d api.DataSource) string { return or(d.User, "-") }},
			{head: "PASSWORD", wide: true, cell: func(d api.DataSource) string { return or(d.Password, "-") }},
		},
	}
}

func nodeView() view[api.Node] {
	return view[api.Node]{
		name: func(n api.Node) string { return n.Name },
		columns: []column[api.Node]{
			{head: "ID", cell: func(n api.Node) string { return n.ID }},
			{head: "NAME", cell: func(n api.Node) string { return shorten(n.Name, 32) }},
			{head: "ROLE", cell: func(n api.Node) string { return n.Role }},
			{head: "STATE", state: true, cell: func(n api.Node) string { return n.State }},
			{head: "RUNNING", cell: running},
			{head: "GROUPS", cell: func(n api.Node) string { return shorten(strings.Join(n.Groups, ","), 24) }},
			{head: "ADDRESS", wide: true, cell: func(n api.Node) string { return n.Address }},
			{head: "PID", wide: true, cell: func(n api.Node) string { return dash(n.PID) }},
			{head: "LABELS", wide: true, cell: func(n api.Node) string { return pairs(n.Labels) }},
			{head: "VERSION", wide: true, cell: func(n api.Node) string { return n.Version }},
			{head: "AGE", cell: func(n api.Node) string { return age(n.StartedAt) }},
		},
	}
}

func failoverView() view[api.Failover] {
	return view[api.Failover]{
		name: func(f api.Failover) string { return f.ID },
		columns: []column[api.Failover]{
			{head: "ID", wide: true, cell: func(f api.Failover) string { return f.ID }},
			{head: "AGE", cell: func(f api.Failover) string { return age(f.DiedAt) }},
			{head: "NODE", cell: func(f api.Failover) string { return shorten(f.Name, 24) }},
			{head: "ROLE", cell: func(f api.Failover) string { return f.Role }},
			{head: "BY", cell: func(f api.Failover) string { return shorten(cmp.Or(f.WitnessName, f.Witness), 24) }},
			{head: "RUNS", cell: func(f api.Failover) string { return strconv.Itoa(f.Runs) }},
			{head: "DONE", cell: func(f api.Failover) string { return doneAfter(f) }},
			{head: "REASON", free: true, cell: func(f api.Failover) string { return f.Reason }},
		},
	}
}

// doneAfter is how long it took to hand everything on.
func doneAfter(f api.Failover) string {
	if f.DoneAt == 0 {
		return "not yet"
	}
	return span(f.DoneAt.Sub(f.DiedAt))
}

// running is how full a node is; a master has no slots, and what a lost node runs nobody knows.
func running(n api.Node) string {
	if n.Slots == 0 || n.State == flow.NodeLost {
		return "-"
	}
	return fmt.Sprintf("%d/%d", n.Running, n.Slots)
}

func alertView() view[api.Alert] {
	return view[api.Alert]{
		name: func(a api.Alert) string { return a.ID },
		columns: []column[api.Alert]{
			{head: "ID", wide: true, cell: func(a api.Alert) string { return a.ID }},
			{head: "AGE", cell: func(a api.Alert) string { return age(a.CreatedAt) }},
			{head: "KIND", cell: func(a api.Alert) string { return a.Kind }},
			{head: "WORKFLOW", cell: func(a api.Alert) string { return shorten(a.Workflow, 24) }},
			{head: "INSTANCE", cell: func(a api.Alert) string { return or(a.Instance, "-") }},
			{head: "TASK", wide: true, cell: func(a api.Alert) string { return or(a.Task, "-") }},
			{head: "MESSAGE", free: true, cell: func(a api.Alert) string { return firstOf(a.Message) }},
		},
	}
}

func placeOf(project, name string) string {
	if project == flow.DefaultProject || project == "" {
		return name
	}
	return project + "/" + name
}

func or(s *string, none string) string {
	if s == nil {
		return none
	}
	return *s
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func exitText(code *int32) string {
	if code == nil {
		return "-"
	}
	return strconv.Itoa(int(*code))
}

func firstOf(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// clock is a moment in a table: to the second, and in UTC, since rows of one table may be of many zones.
func clock(t flow.Time) string {
	if t == 0 {
		return "-"
	}
	return t.Std().Format(time.DateTime + "Z")
}

func age(t flow.Time) string {
	if t == 0 {
		return "-"
	}
	return span(time.Since(t.Std()))
}

// took is how long something ran, so far when it has not ended.
func took(from, to flow.Time) string {
	switch {
	case from == 0:
		return "-"
	case to == 0:
		return span(time.Since(from.Std()))
	default:
		return span(to.Sub(from))
	}
}

// span writes the two greatest units: 320ms, 4.2s, 3m10s, 2h5m, 4d3h.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}

// pairs writes a map as k=v, in order.
func pairs(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, ",")
}

func cpuText(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return strconv.FormatFloat(*seconds, 'f', 2, 64) + "s"
}

func memoryText(bytes *int64) string {
	if bytes == nil {
		return "-"
	}
	return strconv.FormatInt((*bytes+1<<20-1)>>20, 10) + "MiB"
}
