// The checker: the ledger joined with Baton's own history.

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Invariants, in the order of the report.
const (
	invOneRun     = "each accepted start has exactly one run"
	invLost       = "no run is lost: each comes to its end"
	invStray      = "every row that waits has a reason and a next look"
	invTokens     = "tokens grow"
	invStale      = "no stale result is accepted: what succeeded is in the ledger, with the greatest token"
	invOnce       = "at-most-once tasks begin at most once, every attempt at most once"
	invOrder      = "what comes after begins after what is before has ended"
	invSlots      = "no slot leaks: when all is over no worker runs anything"
	invKilled     = "a confirmed kill leaves no process"
	invTerminal   = "an end changes only by a recorded verb"
	invSecond     = "no fault of masters, store or registry gives a second attempt to what a live worker runs"
	invVerbs      = "every verb that was accepted has an outcome"
	invWhole      = "the cluster is whole again after a fault"
	invStarts     = "the history of starts is linearizable"
	invClaims     = "the history of claims of tasks is linearizable"
	invNames      = "the history of a name in the registry is linearizable"
	invDisturbed  = "a restart of the registry declares nobody dead"
	invLeftBehind = "no process is left behind"
	invFell       = "no process ends by itself"
	invFates      = "each time of a schedule has one fate, and nothing else has one"
	invFired      = "a time that was fired has one run, for that time, and it ends; one that was left out has a reason and no run"
	invChildren   = "each task that runs a workflow has one run, and comes to what that comes to"
	invAll        = "with missed: all every time is fired"
	invPools      = "what runs never holds more slots of a pool, or of a key, than there were when it got them, and none is left when all is over"
	invItems      = "each item of a map has one recorded success, and the results are complete and in order"
	invMaps       = "when a run has ended no item of a map is under way, and none has succeeded twice without an order to do it again"
	invFollow     = "what waits for another run begins after that has succeeded"
	invBackfills  = "each date of a backfill has one run, no more go on than may, and all end"
	invFiles      = "each file that arrived has one run, for the time at which it came, and nothing else has one"
	invNotices    = "each notification has one run, or none where it is recorded that nobody listened"
	invGaps       = "a time in which nobody listened is told as one only when it was, and with missed: once has one run"
)

var invariants = []string{
	invOneRun, invLost, invStray, invTokens, invStale, invOnce, invOrder, invSlots, invKilled, invTerminal, invSecond, invVerbs,
	invFates, invFired, invAll, invChildren, invPools, invItems, invMaps, invFollow, invBackfills, invFiles, invNotices, invGaps, invWhole, invFell, invDisturbed, invLeftBehind, invStarts, invClaims, invNames,
}

// violation is one that was found broken.
type violation struct {
	invariant, instance, text string
}

func (r *run) violate(invariant, instance, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.violations = append(r.result.violations, violation{invariant, instance, fmt.Sprintf(format, args...)})
}

// looked counts what an invariant was checked on.
func (r *run) looked(invariant string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.looked[invariant] += n
}

// check looks at everything when all is over. open are the runs that did not end.
func (r *run) check(ctx context.Context, open []instance) error {
	lines, err := readLedger(r.ledger)
	if err != nil {
		return err
	}
	pasts, err := r.pasts(ctx)
	if err != nil {
		return err
	}
	rows, err := all[fire](ctx, r.client, "/api/v1/fires")
	if err != nil {
		return err
	}
	r.writeFires(rows)
	locks, err := r.readLocks()
	if err != nil {
		return err
	}
	r.result.lines, r.result.runs = len(lines), len(pasts)
	byToken, byRow := map[int64][]entry{}, map[string][]entry{}
	for _, e := range lines {
		byToken[e.token] = append(byToken[e.token], e)
		byRow[e.row] = append(byRow[e.row], e)
	}
	r.checkStarts(pasts)
	r.checkFates(rows)
	r.checkFired(rows, pasts)
	r.checkChildren(pasts)
	r.checkPools(ctx, pasts, byToken)
	r.checkFollowers(pasts, byRow)
	if err := r.checkBackfills(ctx, pasts); err != nil {
		return err
	}
	if err := r.checkTriggers(ctx); err != nil {
		return err
	}
	for _, in := range open {
		r.violate(invLost, in.ID, "run %s (%s) is still %s: %s", in.ID, in.Workflow, in.State, in.Reason)
	}
	r.checkTerminal(pasts)
	r.checkVerbs(pasts)
	var attempts []attempt
	for _, p := range pasts {
		attempts = append(attempts, p.attempts...)
		r.result.tasks += len(p.Tasks)
		r.checkRows(p, byRow, byToken)
		r.checkOrder(p, byRow)
		r.checkItems(p, byToken)
		r.checkMaps(p, byToken)
		r.checkSecond(p, byToken)
	}
	r.result.attempts = len(attempts)
	r.checkRegistry(ctx)
	r.looked(invStarts, len(r.calls))
	for _, bad := range explain(startModel.ToModel(), startHistory(r.calls)) {
		r.violate(invStarts, "", "%s", bad)
	}
	claims := claimHistory(attempts, byToken)
	r.looked(invClaims, len(claims))
	for _, bad := range explain(claimModel, claims) {
		r.violate(invClaims, "", "%s", bad)
	}
	r.looked(invNames, len(locks))
	for _, bad := range explain(nameModel, nameHistory(locks)) {
		r.violate(invNames, "", "%s", bad)
	}
	r.result.recoveries = r.recoveries(lines)
	r.result.lates = r.lates(rows)
	return nil
}

// checkStarts: of every key exactly one run, and no run that nobody asked for.
func (r *run) checkStarts(pasts []past) {
	byKey := map[string][]string{}
	for _, p := range pasts {
		if p.Trigger != triggerSchedule && p.Trigger != triggerParent && p.Trigger != triggerBackfill && p.Trigger != triggerEvent { // others tell who asked for those
			byKey[p.Key] = append(byKey[p.Key], p.ID)
		}
	}
	r.looked(invOneRun, len(r.started))
	r.looked(invLost, len(r.started))
	for _, s := range r.started {
		ids := byKey[s.key]
		switch {
		case len(ids) == 0:
			r.violate(invLost, s.id, "start %s was acknowledged as run %s and is not there", s.key, s.id)
		case len(ids) > 1 || ids[0] != s.id:
			r.violate(invOneRun, s.id, "start %s was acknowledged as run %s and made %v", s.key, s.id, ids)
		}
		delete(byKey, s.key)
	}
	for key, ids := range byKey {
		if !r.unanswered(key) {
			r.violate(invOneRun, ids[0], "nobody asked for %v (key %q)", ids, key)
		}
	}
}

func (r *run) unanswered(key string) bool {
	return slices.ContainsFunc(r.calls, func(c startCall) bool { return c.key == key && !c.known })
}

var endedTask = map[string]bool{"succeeded": true, "forced_success": true, "skipped": true, "failed": true, "killed": true}

func (r *run) checkRows(p past, byRow map[string][]entry, byToken map[int64][]entry) {
	def := definition(p.Workflow)
	perRow := map[string][]attempt{}
	for _, a := range p.attempts {
		perRow[a.TaskInstance] = append(perRow[a.TaskInstance], a)
	}
	lastOfTask := map[string]int64{}
	valid := map[string]int{}
	for _, t := range p.Tasks {
		if t.Valid {
			valid[t.Name]++
		}
		if ended[p.State] && t.Valid && !endedTask[t.State] && t.State != "paused" {
			r.violate(invLost, p.ID, "run %s has ended, its task %s is %s", p.ID, t.Name, t.State)
		}
		known := map[int64]attempt{}
		last := lastOfTask[t.Name]
		for _, a := range perRow[t.ID] {
			known[a.Token] = a
			if a.Token <= last {
				r.violate(invTokens, p.ID, "task %s of run %s: token %d after %d", t.Name, p.ID, a.Token, last)
			}
			last = max(last, a.Token)
			r.checkKilled(p, t, a, byToken[a.Token])
		}
		lastOfTask[t.Name] = last
		r.looked(invTokens, len(known))
		begins := map[int64]int{}
		for _, e := range byRow[t.ID] {
			a, is := known[e.token]
			if !is || a.Attempt != e.attempt {
				r.violate(invTokens, p.ID, "task %s of run %s: attempt %d ran with token %d, which Baton does not know", t.Name, p.ID, e.attempt, e.token)
			}
			if e.what == "begin" {
				begins[e.token]++
			}
		}
		r.looked(invOnce, len(begins))
		for token, n := range begins {
			if n > 1 {
				r.violate(invOnce, p.ID, "task %s of run %s: token %d began %d times", t.Name, p.ID, token, n)
			}
		}
		if def.tasks[t.Name].once && len(begins) > 1 {
			r.violate(invOnce, p.ID, "task %s of run %s runs at most once and began %d times: %v", t.Name, p.ID, len(begins), begins)
		}
		if t.State == "succeeded" && !def.tasks[t.Name].hosted() {
			r.looked(invStale, 1)
			if t.Token != last {
				r.violate(invStale, p.ID, "task %s of run %s succeeded with token %d, %d was granted later", t.Name, p.ID, t.Token, last)
			}
			if !slices.ContainsFunc(byToken[t.Token], func(e entry) bool { return e.row == t.ID && e.what == "end" }) {
				r.violate(invStale, p.ID, "task %s of run %s is recorded as succeeded with token %d; the ledger has no end of it", t.Name, p.ID, t.Token)
			}
		}
		if slices.ContainsFunc(perRow[t.ID], func(a attempt) bool { return a.State == "succeeded" }) && t.State != "succeeded" && t.State != "forced_success" && t.State != "skipped" {
			r.violate(invStale, p.ID, "task %s of run %s is %s with a succeeded attempt", t.Name, p.ID, t.State)
		}
	}
	for name, n := range valid {
		if n > 1 {
			r.violate(invOneRun, p.ID, "run %s has %d valid rows of task %s", p.ID, n, name)
		}
	}
	if p.State == "succeeded" {
		for name := range def.tasks {
			if valid[name] != 1 {
				r.violate(invLost, p.ID, "run %s succeeded without a row of task %s", p.ID, name)
			}
		}
	}
}

// checkKilled: what Baton says to be gone writes nothing any more.
func (r *run) checkKilled(p past, t task, a attempt, lines []entry) {
	if a.State != "killed" || !a.Confirmed || a.EndedAt == nil {
		return
	}
	r.looked(invKilled, 1)
	for _, e := range lines {
		if e.at.After(*a.EndedAt) {
			r.violate(invKilled, p.ID, "task %s of run %s, token %d: killed and confirmed at %s, and wrote %s at %s", t.Name, p.ID, a.Token, clock(*a.EndedAt), e.what, clock(e.at))
		}
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000000") }

// checkOrder: a row begins only when a row of each task before it had ended.
func (r *run) checkOrder(p past, byRow map[string][]entry) {
	def := definition(p.Workflow)
	for i, t := range p.Tasks {
		for _, e := range byRow[t.ID] {
			if e.what != "begin" {
				continue
			}
			for _, up := range def.tasks[t.Name].needs {
				r.looked(invOrder, 1)
				before := slices.DeleteFunc(slices.Clone(p.Tasks[:i]), func(u task) bool { return u.Name != up })
				if !slices.ContainsFunc(before, func(u task) bool { return !u.Valid || u.EndedAt != nil && !u.EndedAt.After(e.at) }) && len(before) > 0 {
					r.violate(invOrder, p.ID, "run %s: %s began at %s, %s had not ended", p.ID, t.Name, clock(e.at), up)
				}
				// By the ledger alone: nothing of what is before writes any more when its result was taken.
				for _, u := range before {
					for _, l := range byRow[u.ID] {
						if u.State == "succeeded" && l.token == u.Token && l.at.After(e.at) {
							r.violate(invOrder, p.ID, "run %s: %s began at %s, %s wrote %s at %s", p.ID, t.Name, clock(e.at), up, l.what, clock(l.at))
						}
					}
				}
			}
		}
	}
}

// again are the verbs by which an end may change.
var again = map[string]bool{"recover": true, "rerun": true}

func (r *run) checkTerminal(pasts []past) {
	outcomes := map[string][]outcome{}
	for _, p := range pasts {
		outcomes[p.ID] = p.outcomes
		r.see([]instance{p.instance}, time.Now(), time.Now())
	}
	for id, seen := range r.seen {
		r.looked(invTerminal, len(seen))
		for i := 1; i < len(seen); i++ {
			if !ended[seen[i-1].state] {
				continue
			}
			if !slices.ContainsFunc(outcomes[id], func(o outcome) bool {
				return o.Applied && again[o.Verb] && !o.At.Before(seen[i-1].from.Add(-time.Second)) && !o.At.After(seen[i].to.Add(time.Second))
			}) {
				r.violate(invTerminal, id, "run %s was seen %s and later %s, without a verb between", id, seen[i-1].state, seen[i].state)
			}
		}
	}
}

func (r *run) checkVerbs(pasts []past) {
	have := map[string]int{}
	for _, p := range pasts {
		for _, o := range p.outcomes {
			have[p.ID+" "+strings.TrimPrefix(o.Verb, "task.")]++
		}
	}
	want := map[string]int{}
	for _, v := range r.verbs {
		want[v.id+" "+strings.TrimSuffix(v.verb, "-task")]++
	}
	r.looked(invVerbs, len(r.verbs))
	for what, n := range want {
		if have[what] < n {
			id, verb, _ := strings.Cut(what, " ")
			r.violate(invVerbs, id, "run %s: %d times %s was accepted, %d outcomes are there", id, n, verb, have[what])
		}
	}
}

// harmful are the faults by which a worker loses what it runs.
var harmful = map[string]bool{killSupervisor: true, killWorker: true, freezeWorker: true, cutWorker: true, muteWorker: true, deafWorker: true, fullDisk: true}

// checkSecond: an attempt that began is lost only by a fault of its own worker, or when the whole
// machine stood still: nobody can renew a lease then.
func (r *run) checkSecond(p past, byToken map[int64][]entry) {
	for _, a := range p.attempts {
		if a.State != "lost" && a.State != "unknown" || a.EndedAt == nil {
			r.looked(invSecond, 1)
			continue
		}
		r.mu.Lock()
		r.result.lost++
		r.mu.Unlock()
		if len(byToken[a.Token]) == 0 {
			continue // granted, not begun
		}
		r.looked(invSecond, 1)
		if slices.ContainsFunc(r.slept, func(t time.Time) bool {
			return t.Before(*a.EndedAt) && t.After(a.EndedAt.Add(-2*r.opt.Lease))
		}) {
			r.result.excused++
			continue
		}
		if r.deaf(a) || r.alone(a) {
			continue
		}
		if !slices.ContainsFunc(r.faults, func(f *fault) bool {
			return harmful[f.class] && f.victim == a.Worker && a.EndedAt.After(f.at) && a.EndedAt.Before(f.mended.Add(2*r.opt.Lease+5*time.Second))
		}) {
			r.violate(invSecond, p.ID, "task %s of run %s: attempt %d (token %d) on %s is %s (%s) at %s, and nothing was done to that worker", a.Task, p.ID, a.Attempt, a.Token, a.Worker, a.State, a.Cause, clock(*a.EndedAt))
		}
	}
}

// mutes are the faults by which a master cannot tell workers that the store is away for it too.
var mutes = map[string]bool{killMaster: true, termMaster: true, freezeMaster: true, cutMaster: true, muteMaster: true, deafMaster: true}

// deaf tells whether an attempt was lost while the store was away and its worker could not hear that
// from every master: then it has to think that another one goes on without it, and ends what it runs.
func (r *run) deaf(a attempt) bool {
	for _, s := range r.faults {
		if s.class != stopStore && s.class != crashStore && s.class != loseStore || !a.EndedAt.After(s.at) || a.EndedAt.After(s.mended.Add(2*r.opt.Lease)) {
			continue
		}
		for _, f := range r.faults {
			if f.mended.Equal(s.mended) && (mutes[f.class] || f.class == cutPair && f.victim == a.Worker) {
				return true
			}
		}
	}
	return false
}

// alone tells whether an attempt was lost while faults together kept its worker from every master that
// works: nobody can renew its lease then.
func (r *run) alone(a attempt) bool {
	for _, first := range r.faults {
		if !a.EndedAt.After(first.at) || a.EndedAt.After(first.mended.Add(2*r.opt.Lease)) {
			continue
		}
		hit := map[string]bool{}
		for _, f := range r.faults {
			switch {
			case !f.mended.Equal(first.mended) || !a.EndedAt.After(f.at): // another group, or it came later
			case mutes[f.class] || f.class == cutStore:
				hit[f.victim] = true
			case f.class == cutPair && f.victim == a.Worker:
				hit[f.other] = true
			}
		}
		if len(hit) > 0 && len(hit) == len(r.role(roleMaster)) {
			return true
		}
	}
	return false
}

// checkRegistry: while only the registry was away nobody was declared dead.
func (r *run) checkRegistry(ctx context.Context) {
	for _, f := range r.faults {
		if f.class != killRegistry || !f.alone {
			continue
		}
		r.looked(invDisturbed, 1)
		n := r.count(ctx, "SELECT count(*) FROM failover WHERE fenced_at BETWEEN $1 AND $2", f.at.UnixMicro(), f.mended.Add(r.opt.Lease/2).UnixMicro())
		if n != 0 {
			r.violate(invDisturbed, "", "fault %d (%s): %d nodes were declared dead", f.number, f.planned, n)
		}
	}
}
