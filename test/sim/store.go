// Store: a model of the durable store. A batch is atomic because it is one statement; its outcome
// may be unknown to the one who asked.

package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
)

// Store is the model.
type Store struct {
	w         *World
	instances map[flow.ID]*flow.Loaded
	commands  map[flow.ID]flow.Command
	inbox     map[flow.ID]flow.InboxItem
	dedup     map[string]flow.ID
	starts    map[flow.TurnKey][]flow.Time // turns that were given
	outcomes  map[flow.ID]flow.Outcome
	past      []flow.AttemptRow
	alerts    []flow.Alert
	defs      map[flow.ID]flow.Definition
	fenced    map[int64]bool
	homes     map[int64]string
	hellos    map[string]int64    // number of the latest that was answered, by home
	leases    map[int64]flow.Time // of incarnations, by the store's clock
	names     map[int64]string    // of masters
	deadly    map[flow.ID]string
	takes     map[flow.ID]int     // of instances
	triers    map[flow.ID][]trial // of commands, oldest first
	poison    map[flow.ID]bool    // runs that cannot be driven
	draining  []string            // by flow.Node.DrainKey, in order
	length    time.Duration       // of leases now
	shortest  time.Duration       // that it ever was: somebody may count by it still
	token     int64
	inc       int64
	follows   []flow.Follow
	takenUp   map[flow.ID]bool // runs that people recovered or reran
	came      map[flow.ID]int  // how many starts had come before one
	turnAt    map[flow.ID]int  // how many had when a run's turn was given
	restores  int64            // of which each begins another generation
	ids       *flow.IDSource
	history   []string // invariants broken while writing
	pools     map[string]flow.Pool
	claims    map[flow.ID]claim
	swept     map[flow.ID]bool // claims that were taken back
	passed    map[flow.ID]bool // runs of which a task may have gone past its pool
	schedules
	backfills map[flow.ID]*dated
	together  []together
	triggers  map[flow.ID]*heard
	revisions int64 // given out
}

func newStore(w *World) *Store {
	return &Store{
		w: w, instances: map[flow.ID]*flow.Loaded{}, commands: map[flow.ID]flow.Command{}, inbox: map[flow.ID]flow.InboxItem{},
		dedup: map[string]flow.ID{}, starts: map[flow.TurnKey][]flow.Time{}, outcomes: map[flow.ID]flow.Outcome{}, defs: map[flow.ID]flow.Definition{}, came: map[flow.ID]int{}, turnAt: map[flow.ID]int{},
		fenced: map[int64]bool{}, homes: map[int64]string{}, hellos: map[string]int64{}, leases: map[int64]flow.Time{}, names: map[int64]string{},
		poison: map[flow.ID]bool{}, takes: map[flow.ID]int{}, triers: map[flow.ID][]trial{}, deadly: map[flow.ID]string{}, ids: flow.NewIDSource(1023, 0), length: simLease, shortest: simLease, schedules: newSchedules(), backfills: map[flow.ID]*dated{}, triggers: map[flow.ID]*heard{},
		pools: map[string]flow.Pool{}, claims: map[flow.ID]claim{}, swept: map[flow.ID]bool{}, passed: map[flow.ID]bool{},
	}
}

func (s *Store) violation(format string, args ...any) {
	s.history = append(s.history, fmt.Sprintf(format, args...))
}

// simLease is the length of all leases at first.
const simLease = 10 * time.Second

// register makes an incarnation; earlier ones of the home are fenced.
func (s *Store) register(home string, hello int64) flow.Lease {
	s.inc++
	l := flow.Lease{Crashed: true, Incarnation: s.inc, Number: int(s.inc % 1000), Epoch: 1, Generation: s.restores + 1, Length: s.length, Draining: s.draining}
	s.leases[s.inc] = s.w.now.Add(s.length)
	for inc, h := range s.homes {
		if h == home && home != "" {
			s.fenced[inc] = true
			if len(s.owned(inc, 0, 1)) > 0 {
				l.Dead = append(l.Dead, inc)
			}
		}
	}
	slices.Sort(l.Dead)
	s.homes[s.inc] = home
	s.hellos[home] = max(s.hellos[home], hello)
	for id := range s.instances {
		l.MaxID = max(l.MaxID, id)
	}
	for id := range s.commands {
		l.MaxID = max(l.MaxID, id)
	}
	for _, fires := range s.fires {
		for _, f := range fires {
			l.MaxID = max(l.MaxID, f.ID)
		}
	}
	return l
}

// readmit makes a session known again; others of its home are fenced.
func (s *Store) readmit(n flow.Node) flow.Lease {
	for inc, h := range s.homes {
		s.fenced[inc] = s.fenced[inc] || h == n.Home && inc != n.Incarnation
	}
	s.homes[n.Incarnation] = n.Home
	s.leases[n.Incarnation] = s.w.now.Add(max(s.length, n.Lease))
	return flow.Lease{Incarnation: n.Incarnation, Epoch: 1, Generation: s.restores + 1, Length: s.length}
}

// later tells whether the home of a node has a later session that lives.
func (s *Store) later(n flow.Node) bool {
	for inc, h := range s.homes {
		if h == n.Home && inc > n.Incarnation && !s.fenced[inc] {
			return true
		}
	}
	return false
}

// restore brings the store back from a copy: another generation, which may not know all sessions. Nothing
// else is lost here.
func (s *Store) restore() {
	s.restores++
	for _, inc := range slices.Sorted(maps.Keys(s.homes)) {
		if strings.HasPrefix(s.homes[inc], "w") && !s.fenced[inc] && s.w.rng.IntN(2) == 0 {
			delete(s.homes, inc)
			delete(s.leases, inc)
		}
	}
}

// latestHello is the number of the latest hello of a home that was answered.
func (s *Store) latestHello(home string) int64 { return s.hellos[home] }

// heartbeat renews a lease for no less than its holder counts by, unless it was fenced.
func (s *Store) heartbeat(n flow.Node) error {
	inc := n.Incarnation
	if s.fenced[inc] {
		return flow.ErrFenced
	}
	full := s.w.now.Add(max(s.length, n.Lease))
	s.leases[inc] = max(full.Add(-n.Waited), min(s.leases[inc], full))
	return nil
}

// over tells whether the lease of a home's last session is over, or so nearly that what it holds cannot
// be dead before.
func (s *Store) over(home string) bool {
	last := int64(0)
	for inc, h := range s.homes {
		if h == home {
			last = max(last, inc)
		}
	}
	return s.fenced[last] || s.leases[last].Sub(s.w.now) < max(s.length, simLease)/4
}

// servedGroups are those of the homes of workers that live.
func (s *Store) servedGroups() []string {
	out := []string{"default"}
	for inc, home := range s.homes {
		if strings.HasPrefix(home, "w") && !s.fenced[inc] && s.leases[inc] > s.w.now {
			out = append(out, home)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *Store) owns(inc int64) bool {
	for _, in := range s.instances {
		if in.Instance.Owner == inc {
			return true
		}
	}
	return false
}

// peers are the other masters that are not done with.
func (s *Store) peers(me int64) []flow.Peer {
	var out []flow.Peer
	for _, inc := range slices.Sorted(maps.Keys(s.names)) {
		owns := s.owns(inc)
		if inc == me || s.fenced[inc] && !owns {
			continue
		}
		out = append(out, flow.Peer{Incarnation: inc, Name: s.names[inc], Address: s.names[inc], Fenced: s.fenced[inc], Stale: s.leases[inc] <= s.w.now, Owns: owns})
	}
	return out
}

// alive tells whether a statement finds an incarnation alive. Now and then it has looked before that was
// fenced.
func (s *Store) alive(inc int64) bool { return !s.fenced[inc] || s.w.rng.IntN(4) == 0 }

// living leaves the heirs that are alive.
func (s *Store) living(heirs []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(heirs), func(h int64) bool { return !s.alive(h) })
}

func (s *Store) handOut(me, dead int64, heirs []int64, limit int) (mine []flow.ID, others int, err error) {
	heirs = s.living(heirs)
	if !slices.Contains(heirs, me) {
		return nil, 0, flow.ErrFenced
	}
	for _, id := range sorted(s.instances) {
		in := &s.instances[id].Instance
		if in.Owner != dead || s.takes[id] != 0 || len(mine)+others >= limit {
			continue
		}
		in.Owner = heirs[id.Slot(len(heirs))]
		in.Seq++
		s.takes[id]++
		if in.Owner == me {
			mine = append(mine, id)
		} else {
			others++
		}
	}
	return mine, others, nil
}

// giveAway gives what a living master names to its heirs.
func (s *Store) giveAway(me int64, ids []flow.ID, heirs []int64) (given int, err error) {
	if heirs = s.living(heirs); len(heirs) == 0 {
		return 0, errNobody
	}
	for _, id := range ids {
		if l := s.instances[id]; l != nil && l.Instance.Owner == me {
			l.Instance.Owner = heirs[id.Slot(len(heirs))]
			l.Instance.Seq++
			s.takes[id]++
			given++
		}
	}
	return given, nil
}

var errNobody = errors.New("none of the heirs is alive")

// drain begins or ends a drain.
func (s *Store) drain(key string, on bool) {
	kept := slices.DeleteFunc(slices.Clone(s.draining), func(k string) bool { return k == key })
	if on {
		kept = append(kept, key)
	}
	slices.Sort(kept)
	s.draining = kept
}

func (s *Store) endSession(session int64) (over bool, left time.Duration) {
	left = s.leases[session].Sub(s.w.now)
	if left <= 0 {
		s.fenced[session] = true
	}
	return s.fenced[session], max(left, 0)
}

func (s *Store) submit(c flow.Command) {
	s.commands[c.ID] = c
	s.came[c.ID] = len(s.came)
}

func (s *Store) order(item flow.InboxItem) flow.ID {
	if id, ok := s.dedup[item.Dedup]; ok && item.Dedup != "" {
		return id
	}
	if item.Dedup != "" {
		s.dedup[item.Dedup] = item.ID
	}
	s.inbox[item.ID] = item
	return item.ID
}

func sorted[V any](m map[flow.ID]V) []flow.ID { return slices.Sorted(maps.Keys(m)) }

// trial is that of a command by a master.
type trial struct {
	by int64
	at flow.Time
}

// lives tells whether a master has neither ended nor been fenced.
func (s *Store) lives(inc int64) bool {
	return !s.fenced[inc] && slices.ContainsFunc(s.w.masters, func(m *masterHost) bool { return m.up && m.lease.Incarnation == inc })
}

// othersTrial tells whether a command is left to another master, which tries it.
func (s *Store) othersTrial(me int64, id flow.ID) bool {
	all := s.triers[id]
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	return last.by != me && !s.fenced[last.by] && last.at > s.w.now.Add(-simLease)
}

func (s *Store) readCommands(me int64, e master.ReadCommands) []flow.Command {
	var out []flow.Command
	for _, id := range sorted(s.commands) {
		c := s.commands[id]
		turn := e.Slots <= 1 || id.Slot(e.Slots) == e.Slot || c.At < e.Before
		if !slices.Contains(e.Except, id) && !s.othersTrial(me, id) && (e.Trial && int(c.Takes) == e.Takes && id <= e.UpTo || !e.Trial && turn) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b flow.Command) int { return cmp.Compare(a.Priority, b.Priority) })
	out = out[:min(len(out), e.Limit)]
	for i, c := range out {
		tried := s.triers[c.ID]
		living := len(tried) > 0 && !s.fenced[tried[len(tried)-1].by]
		if living {
			out[i].Takes--
		}
		if e.Trial {
			if !living {
				c.Takes++
			}
			s.commands[c.ID] = c
			s.triers[c.ID] = append(tried, trial{me, s.w.now})
		}
		for _, id := range sorted(s.inbox) {
			if it := s.inbox[id]; it.Instance == c.ID {
				out[i].Inbox = append(out[i].Inbox, it)
			}
		}
	}
	return out
}

func (s *Store) readInbox(owner int64, e master.ReadInbox) []flow.InboxItem {
	var out []flow.InboxItem
	for _, id := range sorted(s.inbox) {
		it := s.inbox[id]
		if in := s.instances[it.Instance]; in != nil && in.Instance.Owner == owner && !slices.Contains(e.Except, id) && len(out) < e.Limit {
			out = append(out, it)
		}
	}
	return out
}

// waiting is what a poll finds.
func (s *Store) waiting(owner int64) flow.Waiting {
	w := flow.Waiting{Commands: len(s.commands) > 0, Draining: s.draining}
	for _, it := range s.inbox {
		in := s.instances[it.Instance]
		if in == nil {
			continue
		}
		w.Inbox = w.Inbox || in.Instance.Owner == owner
		w.Addressed = w.Addressed || in.Instance.Owner == 0 && (it.Kind == flow.InboxVerb || in.Instance.State != flow.InstanceQuarantined)
	}
	for _, in := range s.instances {
		if in.Instance.Owner == 0 {
			w.NextWake = flow.Earliest(w.NextWake, in.Instance.WakeAt)
		}
	}
	w.Pooled = len(s.waitedFor()) > 0
	for _, b := range s.backfills {
		w.Backfills = w.Backfills || !b.State.Ended()
	}
	w.NextFire, w.Now, w.Followed = s.nextFire(), s.w.now, len(s.follows) > 0
	for _, h := range s.triggers {
		w.Marked = w.Marked || h.fresh
	}
	for _, in := range s.instances {
		w.Queued = w.Queued || in.Instance.State == flow.InstanceQueued
	}
	return w
}

func (s *Store) claim(owner int64, now flow.Time, limit int) (ids []flow.ID, next flow.Time) {
	if !s.alive(owner) {
		limit = 0
	}
	wanted := map[flow.ID]bool{}
	for _, it := range s.inbox {
		in := s.instances[it.Instance]
		if it.Kind == flow.InboxVerb || in == nil || in.Instance.State != flow.InstanceQuarantined {
			wanted[it.Instance] = true
		}
	}
	for _, id := range sorted(s.instances) {
		in := &s.instances[id].Instance
		if in.Owner != 0 {
			continue
		}
		if wanted[id] || in.WakeAt != 0 && in.WakeAt <= now {
			if len(ids) < limit {
				in.Owner = owner
				in.Seq++
				s.takes[id]++
				ids = append(ids, id)
			}
		} else if in.WakeAt != 0 {
			next = flow.Earliest(next, in.WakeAt)
		}
	}
	return ids, next
}

func (s *Store) owned(owner int64, after flow.ID, limit int) []flow.ID {
	var ids []flow.ID
	for _, id := range sorted(s.instances) {
		if id > after && s.instances[id].Instance.Owner == owner && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	return ids
}

// takeOver hands on what was taken so often without a commit, and sets aside what was taken too
// often.
func (s *Store) takeOver(owner int64, e master.TakeOver) (ids []flow.ID, left int, err error) {
	if !s.alive(owner) {
		return nil, e.Takes, flow.ErrFenced
	}
	for _, id := range sorted(s.instances) {
		if in := &s.instances[id].Instance; in.Owner == e.Dead && s.takes[id] == e.Takes && len(ids) < e.Limit {
			in.Owner = owner
			in.Seq++
			s.takes[id]++
			ids = append(ids, id)
		}
	}
	if len(ids) == e.Limit {
		return ids, e.Takes, nil
	}
	left = -1
	for _, id := range sorted(s.instances) {
		if s.instances[id].Instance.Owner == e.Dead && (left < 0 || s.takes[id] < left) {
			left = s.takes[id]
		}
	}
	if left < flow.MaxTakes {
		return ids, left, nil
	}
	for _, id := range sorted(s.instances) {
		if s.instances[id].Instance.Owner == e.Dead {
			s.quarantine(e.Dead, master.Quarantine{ID: id, Reason: "its owners ended"})
		}
	}
	return ids, -1, nil
}

func (s *Store) load(owner int64, ids []flow.ID) []flow.Loaded {
	var out []flow.Loaded
	for _, id := range ids {
		if in := s.instances[id]; in != nil && in.Instance.Owner == owner {
			out = append(out, flow.Loaded{Instance: in.Instance, Tasks: slices.Clone(in.Tasks)})
		}
	}
	return out
}

// commit is the one statement: every change whose gate holds is written, the others are left out.
func (s *Store) commit(b flow.Batch) (flow.CommitResult, error) {
	if s.fenced[b.Owner] && s.w.cfg.Mutant != NoGate {
		return flow.CommitResult{}, flow.ErrFenced
	}
	res := flow.CommitResult{Changes: make([]flow.ChangeResult, len(b.Changes))}
	for i, ch := range b.Changes {
		res.Changes[i] = s.change(b.Owner, ch)
		if res.Changes[i].Fate == flow.Committed {
			res.Told = s.follow(ch, b.Followed) || res.Told
			s.checkFollows(s.instances[ch.Instance.ID])
			res.Marked = append(res.Marked, s.mark(ch)...)
		}
	}
	return res, nil
}

func (s *Store) change(owner int64, ch flow.Change) flow.ChangeResult {
	id := ch.Instance.ID
	stored := s.instances[id]
	if ch.Command != 0 {
		if _, there := s.commands[ch.Command]; !there && s.w.cfg.Mutant != NoGate {
			return flow.ChangeResult{Fate: flow.Gone}
		}
		if stored != nil {
			s.violation("instance %d was made twice", id)
		}
		delete(s.commands, ch.Command)
		stored = &flow.Loaded{}
		s.instances[id] = stored
	} else {
		if stored == nil {
			return flow.ChangeResult{Fate: flow.Gone}
		}
		if (stored.Instance.Owner != owner || stored.Instance.Seq != ch.Instance.Seq-1) && s.w.cfg.Mutant != NoGate {
			return flow.ChangeResult{Fate: flow.Gone}
		}
		if stored.Instance.State.Ended() && !ch.Instance.State.Ended() && len(ch.Outcomes) == 0 {
			s.violation("instance %d left its end without a verb", id)
		}
	}
	s.checkTurn(stored.Instance, ch.Instance, ch.Outcomes)
	before := stored.Instance
	s.endsOf(stored.Instance, ch)
	stored.Instance = ch.Instance
	if ch.Command != 0 {
		s.checkParallel(ch.Instance)
		s.checkLevels(ch.Instance)
	}
	s.takes[id] = 0
	var tokens []int64
	grant := func(row flow.TaskRow) flow.TaskRow {
		if slices.Contains(ch.Grants, row.ID) {
			if s.w.cfg.Mutant != NoToken {
				s.token++
			}
			row.Attempt.Token = s.token
		}
		return row
	}
	for _, row := range ch.NewTasks {
		stored.Tasks = append(stored.Tasks, grant(row))
	}
	for _, u := range ch.Tasks {
		i := slices.IndexFunc(stored.Tasks, func(r flow.TaskRow) bool { return r.ID == u.Row.ID })
		if i < 0 {
			s.violation("update of task row %d of instance %d, which is not there", u.Row.ID, id)
			continue
		}
		old := stored.Tasks[i]
		if u.Sources>>old.State&1 == 0 {
			s.violation("task %s of instance %d went from %s to %s", old.Name, id, old.State, u.Row.State)
		}
		if old.State.Ended() && old.State != u.Row.State && len(ch.Outcomes) == 0 {
			s.violation("task %s of instance %d left %s for %s without a verb", old.Name, id, old.State, u.Row.State)
		}
		stored.Tasks[i] = grant(u.Row)
	}
	s.checkBelow(stored, ch.Outcomes)
	checkItems(stored, s.defs[ch.Instance.Workflow], s.violation)
	checkEnd(before, stored, s.defs[ch.Instance.Workflow], s.violation)
	for _, g := range ch.Grants {
		i := slices.IndexFunc(stored.Tasks, func(r flow.TaskRow) bool { return r.ID == g })
		tokens = append(tokens, stored.Tasks[i].Attempt.Token)
	}
	s.claimed(ch, stored.Tasks)
	s.past = append(s.past, ch.Past...)
	for _, it := range ch.Inbox {
		delete(s.inbox, it)
	}
	s.checkTogether(stored)
	for _, o := range ch.Outcomes {
		if _, twice := s.outcomes[o.Inbox]; twice {
			s.violation("verb %s (inbox %d) was carried out twice", o.Verb, o.Inbox)
		}
		s.outcomes[o.Inbox] = o
	}
	s.alerts = append(s.alerts, ch.Alerts...)
	for _, cmd := range ch.Commands {
		s.submit(cmd)
	}
	for _, item := range ch.News {
		if _, waits := s.commands[item.Instance]; waits || s.instances[item.Instance] != nil {
			s.order(item)
		}
	}
	return flow.ChangeResult{Fate: flow.Committed, Tokens: tokens}
}

func spec(st flow.Start) []byte {
	b, err := json.Marshal(st)
	if err != nil {
		panic(err) // a struct of texts
	}
	return b
}

// settled tells whether nothing waits in the inbox but news for what is quarantined.
func (s *Store) settled() bool {
	for _, it := range s.inbox {
		if in := s.instances[it.Instance]; in == nil || in.Instance.State != flow.InstanceQuarantined {
			return false
		}
	}
	return true
}
