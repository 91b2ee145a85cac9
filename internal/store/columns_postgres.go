// Rows as columns: the arrays that the group commit's parts take, in the order of their "?".

package store

import (
	"cmp"
	"slices"

	"baton/internal/flow"
)

// taskWrite is a task row to insert or change.
type taskWrite struct {
	row     *flow.TaskRow
	sources uint32
	granted bool
}

type pastWrite struct {
	instance flow.ID
	*flow.AttemptRow
}

type alertWrite struct {
	changed flow.ID
	*flow.Alert
}

// commandWrite is a run that a change begins, newsWrite what it tells another.
type commandWrite struct {
	changed flow.ID
	*flow.Command
	start flow.Start
}

type newsWrite struct {
	changed flow.ID
	*flow.InboxItem
}

func sortTasks(ts []taskWrite) {
	slices.SortFunc(ts, func(a, b taskWrite) int { return cmp.Compare(a.row.ID, b.row.ID) })
}

func sortConsumed(cs []consumed) {
	slices.SortFunc(cs, func(a, b consumed) int { return cmp.Compare(a.id, b.id) })
}

// column is one field of all rows.
func column[R, T any](rows []R, field func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = field(r)
	}
	return out
}

// length and first look into a column, of the types that columns have.
func length(column any) int {
	switch c := column.(type) {
	case []int64:
		return len(c)
	case []int32:
		return len(c)
	case []int16:
		return len(c)
	case []bool:
		return len(c)
	default:
		return len(c.([]string))
	}
}

func first(column any) any {
	switch c := column.(type) {
	case []int64:
		return c[0]
	case []int32:
		return c[0]
	case []int16:
		return c[0]
	case []bool:
		return c[0]
	default:
		return c.([]string)[0]
	}
}

type (
	inst    = *flow.Instance
	task    = taskWrite
	attempt = *flow.AttemptRow
)

func createdColumns(rows []inst) []any {
	ids := column(rows, func(i inst) int64 { return int64(i.ID) })
	return slices.Concat([]any{
		ids, ids,
		column(rows, func(i inst) int64 { return int64(i.Project) }),
		column(rows, func(i inst) int64 { return int64(i.Workflow) }),
		column(rows, func(i inst) int32 { return i.Version }),
	}, driveColumns(rows), []any{
		column(rows, func(i inst) bool { return i.DryRun }),
	}, flagColumns(rows), []any{
		column(rows, func(i inst) int64 { return int64(i.DataTime) }),
		column(rows, func(i inst) string { return i.Zone }),
		column(rows, func(i inst) int16 { code, _ := triggerCode(i.Trigger); return code }), // checked by checkChange
		column(rows, func(i inst) string { return i.Key }),
		column(rows, func(i inst) string { return i.Reason }),
		column(rows, func(i inst) string { return string(i.Spec) }),
	}, textColumns(rows), []any{
		column(rows, func(i inst) int64 { return int64(i.Parent) }),
		column(rows, func(i inst) int64 { return int64(i.ParentRow) }),
		column(rows, func(i inst) int64 { return int64(i.SubmittedAt) }),
	}, timeColumns(rows), []any{
		column(rows, func(i inst) string { return i.TurnKey }),
	})
}

func movedColumns(rows []inst) []any {
	return slices.Concat([]any{
		column(rows, func(i inst) int64 { return int64(i.ID) }),
	}, driveColumns(rows), flagColumns(rows), []any{
		column(rows, func(i inst) string { return i.Reason }),
	}, textColumns(rows), timeColumns(rows), []any{
		column(rows, func(i inst) int64 { return int64(i.ParentRow) }),
	})
}

// The next four are what the two writes of an instance share.

func driveColumns(rows []inst) []any {
	return []any{
		column(rows, func(i inst) int16 { return int16(i.State) }),
		column(rows, func(i inst) int16 { return int16(i.Prior) }),
		column(rows, func(i inst) int64 { return i.Seq }),
		column(rows, func(i inst) int64 { return i.Owner }),
		column(rows, func(i inst) int32 { return i.Engine }),
		column(rows, func(i inst) int64 { return int64(i.WakeAt) }),
		column(rows, func(i inst) int32 { return i.RunTimes }),
	}
}

func flagColumns(rows []inst) []any {
	return []any{
		column(rows, func(i inst) bool { return i.FailFast }),
		column(rows, func(i inst) bool { return i.Undo }),
		column(rows, func(i inst) bool { return i.Warned }),
		column(rows, func(i inst) bool { return i.Due }),
		column(rows, func(i inst) int16 { return int16(i.Priority) }),
	}
}

func textColumns(rows []inst) []any {
	return []any{
		column(rows, func(i inst) string { return string(i.Params) }),
		column(rows, func(i inst) string { return string(i.Outputs) }),
		column(rows, func(i inst) string { return string(i.Holds) }),
	}
}

func timeColumns(rows []inst) []any {
	return []any{
		column(rows, func(i inst) int64 { return int64(i.StartedAt) }),
		column(rows, func(i inst) int64 { return int64(i.EndedAt) }),
		column(rows, func(i inst) int64 { return int64(i.PausedAt) }),
		column(rows, func(i inst) int64 { return i.PausedFor }),
		column(rows, func(i inst) int64 { return int64(i.ToldUntil) }),
	}
}

func newTaskColumns(rows []task) []any {
	return slices.Concat([]any{
		column(rows, func(t task) int64 { return int64(t.row.Instance) }),
		column(rows, func(t task) int64 { return int64(t.row.ID) }),
		column(rows, func(t task) string { return t.row.Name }),
		column(rows, func(t task) string { return t.row.Type }),
		column(rows, func(t task) int16 { return int16(t.row.State) }),
		column(rows, func(t task) bool { return t.row.Valid }),
		column(rows, func(t task) int32 { return t.row.RunTimes }),
	}, waitColumns(rows), []any{
		column(rows, func(t task) int64 { return t.row.Regards() }),
		column(rows, func(t task) int32 { return t.row.Item }),
	}, lateColumns(rows))
}

func changedTaskColumns(rows []task) []any {
	return slices.Concat([]any{
		column(rows, func(t task) int64 { return int64(t.row.Instance) }),
		column(rows, func(t task) int64 { return int64(t.row.ID) }),
		column(rows, func(t task) int32 { return int32(t.sources) }),
		column(rows, func(t task) int16 { return int16(t.row.State) }),
		column(rows, func(t task) bool { return t.row.Valid }),
	}, waitColumns(rows), lateColumns(rows))
}

// waitColumns and lateColumns, those from eligible_at on, are what the two writes of a task share.
func waitColumns(rows []task) []any {
	return []any{
		column(rows, func(t task) string { return t.row.Reason }),
		column(rows, func(t task) int64 { return int64(t.row.NextCheck) }),
		column(rows, func(t task) bool { return t.row.Held }),
		column(rows, func(t task) int16 { return int16(t.row.Kill) }),
		column(rows, func(t task) int16 { return int16(t.row.Warned) }),
	}
}

func lateColumns(rows []task) []any {
	return slices.Concat([]any{
		column(rows, func(t task) int64 { return int64(t.row.EligibleAt) }),
		column(rows, func(t task) int64 { return int64(t.row.StartedAt) }),
		column(rows, func(t task) int64 { return int64(t.row.EndedAt) }),
		column(rows, func(t task) string { return string(t.row.Outputs) }),
		column(rows, func(t task) int64 { return int64(t.row.Claim) }),
		column(rows, func(t task) bool { return t.row.Given }),
	}, tryColumns(column(rows, func(t task) attempt { return &t.row.Attempt })), []any{
		column(rows, func(t task) bool { return t.granted }),
	})
}

func pastColumns(rows []pastWrite) []any {
	return slices.Concat([]any{
		column(rows, func(a pastWrite) int64 { return int64(a.instance) }),
		column(rows, func(a pastWrite) int64 { return int64(a.Task) }),
	}, tryColumns(column(rows, func(a pastWrite) attempt { return a.AttemptRow })))
}

func tryColumns(rows []attempt) []any {
	return []any{
		column(rows, func(a attempt) int32 { return a.Number }),
		column(rows, func(a attempt) int32 { return a.Infra }),
		column(rows, func(a attempt) int64 { return a.Token }),
		column(rows, func(a attempt) int64 { return a.Session }),
		column(rows, func(a attempt) string { return a.Worker }),
		column(rows, func(a attempt) int16 { return int16(a.State) }),
		column(rows, func(a attempt) bool { return a.Confirmed }),
		column(rows, func(a attempt) string { return a.Ref }),
		column(rows, func(a attempt) string { return a.Cause }),
		column(rows, func(a attempt) string { return string(a.Class) }),
		column(rows, func(a attempt) int32 { return a.ExitCode }),
		column(rows, func(a attempt) bool { return a.Refused }),
		column(rows, func(a attempt) int64 { return int64(a.GrantedAt) }),
		column(rows, func(a attempt) int64 { return int64(a.StartedAt) }),
		column(rows, func(a attempt) int64 { return int64(a.BeatAt) }),
		column(rows, func(a attempt) int64 { return int64(a.EndedAt) }),
		column(rows, func(a attempt) int64 { return a.CPU }),
		column(rows, func(a attempt) int64 { return a.Memory }),
	}
}

func inboxColumns(rows []consumed) []any {
	return []any{
		column(rows, func(c consumed) int64 { return int64(c.id) }),
		column(rows, func(c consumed) int64 { return int64(c.instance) }),
		column(rows, func(c consumed) int16 { return c.state }),
		column(rows, func(c consumed) string { return c.Verb }),
		column(rows, func(c consumed) string { return c.Reason }),
		column(rows, func(c consumed) string { return c.By }),
		column(rows, func(c consumed) int64 { return int64(c.At) }),
	}
}

func alertColumns(rows []alertWrite) []any {
	return []any{
		column(rows, func(a alertWrite) int64 { return int64(a.changed) }),
		column(rows, func(a alertWrite) int64 { return int64(a.ID) }),
		column(rows, func(a alertWrite) string { return a.Kind }),
		column(rows, func(a alertWrite) int64 { return int64(a.Project) }),
		column(rows, func(a alertWrite) int64 { return int64(a.Instance) }),
		column(rows, func(a alertWrite) string { return a.Task }),
		column(rows, func(a alertWrite) string { return a.Workflow }),
		column(rows, func(a alertWrite) string { return a.Message }),
		column(rows, func(a alertWrite) int64 { return int64(a.At) }),
	}
}

func commandColumns(rows []commandWrite) []any {
	return []any{
		column(rows, func(c commandWrite) int64 { return int64(c.changed) }),
		column(rows, func(c commandWrite) int64 { return int64(c.ID) }),
		column(rows, func(c commandWrite) int64 { return int64(c.Project) }),
		column(rows, func(c commandWrite) int64 { return int64(c.Workflow) }),
		column(rows, func(c commandWrite) int32 { return c.Version }),
		column(rows, func(c commandWrite) int16 { return int16(c.Priority.Or(flow.PriorityMedium)) }),
		column(rows, func(c commandWrite) string { return c.Key }),
		column(rows, func(c commandWrite) string { return string(c.Start) }),
		column(rows, func(c commandWrite) string { return c.Zone }),
		column(rows, func(c commandWrite) int16 { code, _ := triggerCode(c.start.Trigger); return code }), // checked by checkChange
		column(rows, func(c commandWrite) int64 { return int64(c.start.DataTime) }),
		column(rows, func(c commandWrite) bool { return c.start.DryRun }),
		column(rows, func(c commandWrite) int64 { return int64(c.At) }),
	}
}

func newsColumns(rows []newsWrite) []any {
	return []any{
		column(rows, func(n newsWrite) int64 { return int64(n.changed) }),
		column(rows, func(n newsWrite) int64 { return int64(n.ID) }),
		column(rows, func(n newsWrite) int64 { return int64(n.Instance) }),
		column(rows, func(n newsWrite) string { return string(n.Kind) }),
		column(rows, func(n newsWrite) string { return n.Dedup }),
		column(rows, func(n newsWrite) string { return string(n.Payload) }),
		column(rows, func(n newsWrite) int64 { return int64(n.At) }),
	}
}

func followColumns(rows []flow.Follow) []any {
	return []any{
		column(rows, func(f flow.Follow) int64 { return int64(f.Workflow) }),
		column(rows, func(f flow.Follow) int64 { return int64(f.Row) }),
		column(rows, func(f flow.Follow) string { return f.Task }),
		column(rows, func(f flow.Follow) int64 { return int64(f.Span.From) }),
		column(rows, func(f flow.Follow) int64 { return int64(f.Span.To) }),
		column(rows, func(f flow.Follow) int64 { return int64(f.Instance) }),
	}
}

func endingColumns(rows []ending) []any {
	return []any{
		column(rows, func(e ending) int64 { return int64(e.changed) }),
		column(rows, func(e ending) int64 { return int64(e.workflow) }),
		column(rows, func(e ending) string { return e.task }),
		column(rows, func(e ending) int64 { return int64(e.dataTime) }),
	}
}

func markColumns(rows []*flow.Instance) []any {
	return []any{
		column(rows, func(i *flow.Instance) int64 { return int64(i.ID) }),
		column(rows, func(i *flow.Instance) int64 { return i.Seq }),
		column(rows, func(i *flow.Instance) int64 { return int64(i.Workflow) }),
		column(rows, func(i *flow.Instance) int16 { return int16(i.State) }),
		column(rows, func(i *flow.Instance) int64 { return int64(i.DataTime) }),
		column(rows, func(i *flow.Instance) int64 { return int64(i.EndedAt) }),
	}
}

func claimColumns(rows []*flow.Claim) []any {
	return []any{
		column(rows, func(c *flow.Claim) int64 { return int64(c.Instance) }),
		column(rows, func(c *flow.Claim) int64 { return int64(c.ID) }),
		column(rows, func(c *flow.Claim) int64 { return int64(c.Task) }),
		column(rows, func(c *flow.Claim) int64 { return int64(c.Project) }),
		column(rows, func(c *flow.Claim) string { return c.Pool }),
		column(rows, func(c *flow.Claim) string { return c.Key }),
		column(rows, func(c *flow.Claim) int32 { return int32(c.Slots) }),
		column(rows, func(c *flow.Claim) int16 { return int16(c.Priority) }),
		column(rows, func(c *flow.Claim) int64 { return int64(c.At) }),
	}
}
