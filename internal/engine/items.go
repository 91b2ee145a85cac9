// Maps and loops: tasks that are done once for each item of a list, or round after round. An item or a round is a row of
// its own, and the row of the map goes by what becomes of them.

package engine

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"baton/internal/flow"
)

// toldItems is of how many failed items of a map a person is told.
const toldItems = 3

// items are those of one map, or the rounds of one loop; derived.
type items struct {
	rows   []int32 // by index: 1 + the valid row, 0 for none
	begun  int     // all before this index have a row
	live   int     // that have not ended
	done   int
	failed int
	given  int // bytes of the outputs of those that are done

	plan *fanPlan // rendered when it is needed
}

// ownerOf is the map or loop that an item is of. The name alone does not tell that it is one: a task may be called
// "T[3]".
func (s *State) ownerOf(row *flow.TaskRow) int32 {
	return s.Plan.index[row.Name[:strings.LastIndexByte(row.Name, '[')]] // Load has checked that there is one
}

func (s *State) items(i int32) *items {
	f := s.fans[i]
	if f == nil {
		f = &items{}
		if s.fans == nil {
			s.fans = map[int32]*items{}
		}
		s.fans[i] = f
	}
	return f
}

// countItem counts a valid row in or out.
func (s *State) countItem(row *flow.TaskRow, by int) {
	f := s.items(s.ownerOf(row))
	switch {
	case !row.State.Ended():
		f.live += by
	case row.State.Failure():
		f.failed += by
	default:
		f.done += by
		f.given += by * len(row.Outputs)
	}
}

// keepItem notes the valid row of an item.
func (f *items) keepItem(index int, r int32) {
	for len(f.rows) <= index {
		f.rows = append(f.rows, 0)
	}
	f.rows[index] = r + 1
}

// next is the first index that has no row yet.
func (f *items) next() int {
	for f.begun < len(f.rows) && f.rows[f.begun] != 0 {
		f.begun++
	}
	return f.begun
}

// liveItems counts what a map or loop has that is not over.
func (s *State) liveItems(r int32) int {
	row := &s.Rows[r]
	if !flow.Fans(row.Type) || row.Compensates != 0 {
		return 0
	}
	if f := s.fans[s.Plan.index[row.Name]]; f != nil && s.row[s.Plan.index[row.Name]] == r {
		return f.live
	}
	return 0
}

// toDrive has a map or loop looked at before this decision is over: an item of it ended, or it goes on.
func (s *State) toDrive(i int32) {
	if !slices.Contains(s.driving, i) {
		s.driving = append(s.driving, i)
	}
}

func (s *State) driveItems(env Env, fx *Effects) {
	for len(s.driving) > 0 {
		i := s.driving[0]
		s.driving = s.driving[1:]
		s.drive(i, env, fx)
	}
}

// drive begins what is next of a map or loop, or ends it.
func (s *State) drive(i int32, env Env, fx *Effects) {
	r := s.row[i]
	if r < 0 || s.Rows[r].State.Ended() {
		return
	}
	f := s.items(i)
	switch row := &s.Rows[r]; {
	case row.Kill != flow.KillNone:
		if f.live == 0 {
			s.endKilled(r, env, fx)
		}
		return
	case row.State != flow.TaskRunning || !s.advancing() || s.resting():
		return
	}
	if f.plan == nil {
		p, reason, why := s.fanPlan(r)
		if why != "" {
			if f.live == 0 {
				s.failHosted(r, reason, why, env, fx)
			}
			return
		}
		f.plan = p
	}
	if s.Rows[r].Type == flow.TypeLoop {
		s.driveLoop(i, r, f, env, fx)
		return
	}
	s.driveMap(i, r, f, env, fx)
}

func (s *State) driveMap(i, r int32, f *items, env Env, fx *Effects) {
	if f.given > flow.MaxOutputsPerTask {
		s.driveFull(r, f, env, fx)
		return
	}
	for index := f.next(); index < len(f.plan.list) && (f.plan.parallel == 0 || f.live < f.plan.parallel); index = f.next() {
		s.beginItem(i, index, 0, env, fx)
	}
	if f.live > 0 {
		return
	}
	failed := 0
	var names []string
	var results []byte
	for index := range f.plan.list {
		if index > 0 {
			results = append(results, ',')
		}
		row := &s.Rows[f.rows[index]-1]
		switch {
		case row.State.Failure():
			if failed++; failed <= toldItems {
				names = append(names, fmt.Sprintf("%s (%s)", row.Name, row.Reason))
			}
			results = append(results, "null"...)
		case len(row.Outputs) == 0:
			results = append(results, "{}"...)
		default:
			results = append(results, row.Outputs...)
		}
	}
	if float64(failed) <= f.plan.allowed {
		results = fmt.Appendf(nil, `{"results":[%s]}`, results)
		s.succeedBeside(r, results, len(results)-f.given, env, fx) // of items that gave nothing nothing counts
		return
	}
	more := ""
	if failed > len(names) {
		more = fmt.Sprintf(" and %d more", failed-len(names))
	}
	s.failHosted(r, flow.ReasonItems, fmt.Sprintf("%d of %d items failed: %s%s; `baton recover` runs only these again", failed, len(f.plan.list), strings.Join(names, ", "), more), env, fx)
}

// driveFull ends a map whose items gave more than a task may hand on: what of them was not sent out yet is not done for
// nothing.
func (s *State) driveFull(r int32, f *items, env Env, fx *Effects) {
	for _, item := range f.rows {
		if item == 0 {
			continue
		}
		if row := &s.Rows[item-1]; !row.State.Ended() && !row.Placed() && !row.Hosted() && row.State != flow.TaskUnknown {
			s.endRow(item-1, flow.TaskKilled, flow.ReasonOutputs, env)
		}
	}
	if f.live > 0 {
		if s.Rows[r].Reason != fanFull {
			s.Rows[r].Reason = fanFull
			s.touch(r)
		}
		return
	}
	given, over := 0, ""
	for _, item := range f.rows {
		if item == 0 || s.Rows[item-1].State.Failure() {
			continue
		}
		if given += len(s.Rows[item-1].Outputs); given > flow.MaxOutputsPerTask {
			over = s.Rows[item-1].Name
			break
		}
	}
	s.failHosted(r, flow.ReasonOutputs, fmt.Sprintf(
		"%s takes what the items hand on together to %d bytes, and a task may hand on %d KiB, so no other item begins: have each write what is large into a file or a table and hand on its name; `baton recover` does all of them again",
		over, given, flow.MaxOutputsPerTask>>10), env, fx)
}

func (s *State) driveLoop(i, r int32, f *items, env Env, fx *Effects) {
	if f.live > 0 {
		return
	}
	rounds := f.next()
	if rounds == 0 {
		s.beginItem(i, 0, 0, env, fx)
		return
	}
	last := &s.Rows[f.rows[rounds-1]-1]
	if last.State.Failure() {
		s.failHosted(r, flow.ReasonRound, fmt.Sprintf("%s %s (%s); `baton recover` goes on with this round", last.Name, last.State, last.Reason), env, fx)
		return
	}
	over, err := s.Plan.nodes[i].until.EvalBool(s.roundScope(i, last))
	switch {
	case err != nil:
		s.failHosted(r, flow.ReasonExpression, "with.until: "+err.Error(), env, fx)
	case over:
		s.succeedHosted(r, slices.Clone(last.Outputs), env, fx)
	case rounds >= f.plan.max:
		s.failHosted(r, flow.ReasonMaxRounds, fmt.Sprintf("after %d rounds, as many as with.max allows, until still does not hold: %s", rounds, s.Plan.nodes[i].until.Text()), env, fx)
	default:
		s.beginItem(i, rounds, max(0, flow.Duration(last.EndedAt.Add(f.plan.delay.Std()).Sub(env.Now))), env, fx)
	}
}

// beginItem makes the row of an item or round.
func (s *State) beginItem(i int32, index int, delay flow.Duration, env Env, fx *Effects) {
	n := s.Plan.nodes[i].inner
	r := s.addRow(flow.ItemName(n.Name, index), n.Type, env)
	row := &s.Rows[r]
	row.Item = int32(index) + 1
	if s.Plan.nodes[i].Type == flow.TypeMap {
		row.Digest = digestOf(s.items(i).plan.list[index])
	}
	row.EligibleAt = env.Now.Add(delay.Std())
	s.items(i).keepItem(index, r)
	if delay > 0 {
		s.wait(r, flow.ReasonDelay+": the loop asks to wait between rounds", row.EligibleAt)
		return
	}
	s.ready(r, env, fx)
}

// beginFan begins a map or loop.
func (s *State) beginFan(r int32, env Env, fx *Effects) {
	i := s.Plan.index[s.Rows[r].Name]
	p, reason, why := s.fanPlan(r)
	if why != "" {
		s.failHosted(r, reason, why, env, fx)
		return
	}
	s.items(i).plan = p
	s.keepEqual(i)
	s.Rows[r].Reason = s.fanReason(i)
	s.toDrive(i)
}

// digestOf tells items apart. It is never 0.
func digestOf(item json.RawMessage) int64 {
	h := fnv.New64a()
	h.Write([]byte(textOf(item)))
	return int64(h.Sum64() | 1)
}

// keepEqual sets aside what items of an earlier try came to that are not, or not any more, at their place in the list.
func (s *State) keepEqual(i int32) {
	f := s.items(i)
	for index, item := range f.rows {
		if s.Plan.nodes[i].Type != flow.TypeMap || item == 0 {
			continue
		}
		if index >= len(f.plan.list) || s.Rows[item-1].Digest != digestOf(f.plan.list[index]) {
			s.setAside(item - 1)
			f.rows[index], f.begun = 0, 0
		}
	}
}

// fanAgain goes on with one that was paused.
func (s *State) fanAgain(r int32) {
	i := s.Plan.index[s.Rows[r].Name]
	if f := s.items(i); f.plan == nil { // whether anybody has asked for it meanwhile makes no difference to the rows
		f.plan, _, _ = s.fanPlan(r) // what is wrong with it is told when it is driven
	}
	s.Rows[r].Reason = s.fanReason(i)
	if s.Rows[r].Kill != flow.KillNone {
		s.Rows[r].Reason = fanKilling
	}
	s.toDrive(i)
}

const fanFull = flow.ReasonMap + ": its items gave more than a task may hand on; waits until nothing of its items is left"

const fanKilling = flow.ReasonKilling + ": waits until nothing of its items is left"

// fanReason says what it waits for. How many items are over is counted when somebody asks: the row is not written for
// each of them.
func (s *State) fanReason(i int32) string {
	n := &s.Plan.nodes[i]
	f := s.items(i)
	switch {
	case n.Type == flow.TypeLoop:
		return flow.ReasonLoop + ": goes round until " + flow.Text(n.until.Text(), 200)
	case f.plan == nil:
		return flow.ReasonMap + ": waits for its items"
	case f.plan.parallel > 0:
		return fmt.Sprintf("%s: waits for its %d items, of which %d run at a time", flow.ReasonMap, len(f.plan.list), f.plan.parallel)
	default:
		return fmt.Sprintf("%s: waits for its %d items", flow.ReasonMap, len(f.plan.list))
	}
}

// standing says in numbers how far it is, "" for one that has no items.
func (f *items) standing() string {
	if f == nil || len(f.rows) == 0 {
		return ""
	}
	return fmt.Sprintf("; %d ended, %d of them failed, %d under way", f.done+f.failed, f.failed, f.live)
}

// killFan ends a map or loop when its items are gone.
func (s *State) killFan(r int32, intent flow.KillIntent, env Env, fx *Effects) {
	row := &s.Rows[r]
	row.Kill, row.Reason = intent, fanKilling
	s.touch(r)
	if intent == flow.KillTimeout {
		intent = flow.KillDue // that of one try would have it tried again
	}
	for _, item := range s.items(s.Plan.index[row.Name]).rows {
		if item > 0 && !s.Rows[item-1].State.Ended() {
			s.kill(item-1, intent, env, fx)
		}
	}
	if s.liveItems(r) == 0 {
		s.endKilled(r, env, fx)
	}
}

func (s *State) endKilled(r int32, env Env, fx *Effects) {
	kill := s.Rows[r].Kill
	if kill == flow.KillTimeout {
		s.failHosted(r, flow.ReasonTimeout, "timeout.run is over; its items were killed", env, fx)
		return
	}
	s.endRow(r, flow.TaskKilled, killReason(kill), env)
	s.failed(r, "", env, fx)
}

// setItemsAside makes way for the items of a row that is done again: those that failed, or all.
func (s *State) setItemsAside(i int32, all bool) {
	for r := range s.Rows {
		row := &s.Rows[r]
		if row.Valid && row.Item > 0 && s.ownerOf(row) == i && (all || row.State.Failure()) {
			s.setAside(int32(r))
		}
	}
}

// itemsAgain sets aside what a map or loop whose row is set aside has to do again. What an item came to is kept, unless
// all of it is done again, or it would come to the same end.
func (s *State) itemsAgain(row *flow.TaskRow, undone bool) {
	if flow.Fans(row.Type) && row.Compensates == 0 {
		all := undone || row.State == flow.TaskSucceeded || row.Reason == flow.ReasonMaxRounds || row.Type == flow.TypeMap && row.Reason == flow.ReasonOutputs || row.Type == flow.TypeLoop && row.Reason == flow.ReasonExpression
		s.setItemsAside(s.Plan.index[row.Name], all)
	}
}

// itemVerb steers one item: it can be killed, and settled when nobody knows how it ended.
func (s *State) itemVerb(r int32, v flow.Verb, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	i := s.ownerOf(row)
	switch {
	case v.Name == flow.VerbTaskKill:
		return s.killTask(r, env, fx)
	case row.State != flow.TaskUnknown:
		return refuse("%q is an item of task %q and is not steered by hand; it can be killed, and settled when its state is unknown", row.Name, s.Plan.nodes[i].Name)
	case v.Name == flow.VerbTaskSkip:
		return s.settleTask(r, flow.TaskSkipped, flow.ReasonByHand, env)
	case v.Name == flow.VerbTaskSucceed:
		return s.settleTask(r, flow.TaskForcedSuccess, flow.ReasonByHand, env)
	case v.Name == flow.VerbTaskRetry:
		if s.closing() {
			return refuse("the run is ending: %s", s.reason())
		}
		s.endRow(r, flow.TaskKilled, flow.ReasonUnknown, env)
		s.setAside(r)
		s.rebuild()
		return ""
	default:
		return refuse("%q is an item of task %q; it can be killed, succeeded, skipped or tried again", row.Name, s.Plan.nodes[i].Name)
	}
}
