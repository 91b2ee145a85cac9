// What runs at the end of runs.

package sim

import (
	"slices"

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
// it does; and no run ends without.
func checkEnd(before flow.Instance, in *flow.Loaded, def flow.Definition, say func(string, ...any)) {
	last := names(def.Workflow.Finally)
	if len(last) == 0 {
		return
	}
	now := in.Instance
	begun := slices.ContainsFunc(in.Tasks, func(row flow.TaskRow) bool { return row.Valid && slices.Contains(last, row.Name) })
	going := !now.State.Ended() && now.State != flow.InstanceQuarantined
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
