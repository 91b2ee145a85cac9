// What runs at the end of runs.

package sim

import (
	"slices"
	"strings"

	"baton/internal/flow"
)

func names(tasks []flow.Task) []string {
	out := make([]string, len(tasks))
	for i := range tasks {
		out[i] = tasks[i].Name
	}
	return out
}

// checkEnd is asked of every change: once what runs at the end has a row, it is decided how the run ends, and that is how
// it does; nothing that ran before goes on then; and no run ends without.
func checkEnd(before flow.Instance, in *flow.Loaded, def flow.Definition, say func(string, ...any)) {
	last := names(def.Workflow.Finally)
	if len(last) == 0 {
		return
	}
	now := in.Instance
	begun := slices.ContainsFunc(in.Tasks, func(row flow.TaskRow) bool { return row.Valid && slices.Contains(last, row.Name) })
	going := !now.State.Ended() && now.State != flow.InstanceQuarantined
	for _, row := range in.Tasks {
		of, _, _ := strings.Cut(row.Name, "[") // or of which it is an item
		// A run that was pausing when a task failed comes to its end with paused rows.
		if begun && going && row.Valid && row.Compensates == 0 && !row.State.Ended() && row.State != flow.TaskPaused && !slices.Contains(last, of) {
			say("run %d runs its last tasks, and task %s is %s", now.ID, row.Name, row.State)
		}
	}
	switch same := before.RunTimes == now.RunTimes && before.Prior.Ended() && before.State != flow.InstanceQuarantined; {
	case begun && going && !now.Prior.Ended():
		say("run %d runs its last tasks, and it is not decided how it ends", now.ID)
	case begun && same && going && before.State != flow.InstanceCompensating && before.Prior != now.Prior:
		say("run %d was to end %s, and then %s", now.ID, before.Prior, now.Prior)
	case same && now.State.Ended() && before.State != flow.InstanceCompensating && before.Prior != now.State:
		say("run %d was to end %s and ended %s", now.ID, before.Prior, now.State)
	case !begun && now.State.Ended() && len(in.Tasks) > 0 && !before.State.Ended() && before.State != flow.InstanceQueued && before.State != flow.InstanceQuarantined:
		say("run %d ended %s without what runs at the end", now.ID, now.State)
	}
}
