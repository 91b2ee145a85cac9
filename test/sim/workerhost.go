// The worker's host: a disk that loses what was not synced, processes that write the ledger, and
// the link to the master.

package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/rpc"
	"baton/internal/worker"
)

type workerHost struct {
	w    *World
	name string
	core *worker.Core
	life int
	up   bool

	disk   []worker.Record // what a crash of the process leaves
	synced int             // of disk: what a loss of power leaves
	procs  map[int64]*proc // by token; they outlive the process until its successor kills them
	links  []*link
	nextID int64
	// What befell it.
	frozen   bool
	isolated bool
	parted   map[*masterHost]bool // cut off from these
	apart    *masterHost          // and all the time from this one, nil: from none
	pending  []worker.Event       // while it is frozen
	box      box[worker.Event]
	unseen   int
	harms    []flow.Time // when something of that kind happened to it, or ended
	crashes  []flow.Time // when it ended
	lonely   []flow.Time // when it was seen that no master could serve it for a while
	alone    bool        // it was so when that was looked at last
}

// harm notes that something happens to this host for which what runs here may be begun again.
func (h *workerHost) harm() { h.harms = append(h.harms, h.w.now) }

// look notes whether nobody could serve this host since the last look.
func (h *workerHost) look() {
	alone := !h.served()
	if alone && (h.alone || h.unseen > 0) { // who does not see every master cannot wait for them as long
		h.lonely = append(h.lonely, h.w.now)
	}
	h.alone = alone
}

// served tells whether a master has a link to this host and the store to itself.
func (h *workerHost) served() bool {
	return slices.ContainsFunc(h.links, func(l *link) bool { return !l.broken && l.m.up && !l.m.frozen && !l.m.noStore() })
}

// proc is a task's process, or a function inside the worker.
type proc struct {
	token   int64
	task    string
	inst    int64
	row     int64
	kind    worker.Kind
	dead    bool
	started flow.Time
	result  string // what it will come to, if it gets there
}

// link is one connection.
type link struct {
	id     int64
	w      *workerHost
	m      *masterHost
	mlife  int
	wlife  int
	broken bool
	upAt   flow.Time // FIFO: nothing overtakes
	downAt flow.Time
}

func (h *workerHost) start() {
	h.life++
	h.up = true
	h.box = box[worker.Event]{}
	for _, t := range slices.Sorted(maps.Keys(h.procs)) {
		h.kill(h.procs[t]) // survivors of the last start
	}
	h.procs = map[int64]*proc{}
	st := worker.Fold(h.disk)
	h.disk = append(h.disk, st.Bury(h.w.now)...)
	h.synced = len(h.disk)
	var announced []string // or it does not say, as those of an older version
	if h.w.rng.IntN(2) == 0 {
		announced = []string{simTask{}.Name(), simCall{}.Name()}
	}
	h.core = worker.NewCore(worker.CoreConfig{
		Name: h.name, Home: h.name, Groups: []string{"default", h.name}, Types: announced, Slots: 4,
		FunctionSlots: h.w.rng.IntN(3), // none: one of an older version
		Weight:        1 + h.w.rng.IntN(100), Limits: worker.Limits{Memory: 0.95},
		Kind: func(t string) worker.Kind {
			if t == (simCall{}).Name() {
				return worker.KindFunction
			}
			return worker.KindProcess
		},
		ResendAfter: 5 * time.Second, AnnounceAfter: 5 * time.Millisecond, OutageGrace: 10 * time.Minute,
		KillGrace: time.Second, StopGrace: time.Second, CompactAfter: 1 << 20,
	}, st)
	h.w.log("worker %s starts, life %d", h.name, h.life)
	h.links = nil
	for _, m := range h.w.masters {
		h.connect(h.life, m)
	}
}

// freeze stops the whole host: the worker and its tasks.
func (h *workerHost) freeze(d time.Duration) {
	if !h.up || h.frozen {
		return
	}
	h.frozen = true
	h.harm()
	life := h.life
	if d > h.w.store.shortest*3/4 {
		h.forsake()
	}
	h.w.after(d, func() {
		if h.life != life {
			return
		}
		h.frozen = false
		if h.harm(); h.w.store.over(h.name) {
			h.forsake()
		}
		h.w.log("worker %s goes on", h.name)
		events := h.pending
		h.pending = nil
		h.step(append(events, worker.Tick{})...)
	})
}

// forsake marks the tasks of a host that is frozen past its lease: they go on with it, and nothing can keep
// them from it. The token tells the rest of the world.
func (h *workerHost) forsake() {
	for _, t := range slices.Sorted(maps.Keys(h.procs)) {
		h.w.ledger.zombies[t] = true
	}
}

// isolate cuts the host off from everybody.
func (h *workerHost) isolate(d time.Duration) {
	h.isolated = true
	h.harm()
	for _, l := range slices.Clone(h.links) {
		l.cut()
	}
	h.w.after(d, func() { h.isolated = false; h.harm(); h.w.log("worker %s is reached again", h.name) })
}

// part cuts the host off from one master.
func (h *workerHost) part(m *masterHost, d time.Duration) {
	h.parted[m] = true
	h.harm()
	for _, l := range slices.Clone(h.links) {
		if l.m == m {
			l.cut()
		}
	}
	h.w.after(d, func() { delete(h.parted, m); h.harm() })
}

// crash is kill -9 of the worker, or a loss of power of its host.
func (h *workerHost) crash(why string) {
	if !h.up {
		return
	}
	power := h.w.chance(h.w.cfg.PowerLoss)
	h.w.log("worker %s crashes %s, power loss %v", h.name, why, power)
	if power {
		h.disk = h.disk[:h.synced]
		for _, t := range slices.Sorted(maps.Keys(h.procs)) {
			h.kill(h.procs[t])
		}
		h.procs = map[int64]*proc{}
	} else {
		for _, t := range slices.Sorted(maps.Keys(h.procs)) {
			if p := h.procs[t]; p.kind == worker.KindFunction {
				h.kill(p)
			}
		}
	}
	h.down()
}

// down is the end of the process; it is started again after a while.
func (h *workerHost) down() {
	h.life++
	h.crashes = append(h.crashes, h.w.now)
	h.up, h.frozen, h.pending = false, false, nil
	for _, l := range slices.Clone(h.links) {
		l.cut()
	}
	h.w.after(h.w.delay(500*time.Millisecond), h.start)
}

// end asks the worker to end: what runs may go on for that long.
func (h *workerHost) end(d time.Duration) {
	if !h.up {
		return
	}
	h.w.log("worker %s is to end within %s", h.name, d)
	life := h.life
	h.step(worker.Drain{})
	h.w.after(d, func() {
		if h.up && h.life == life {
			h.harm()
			h.step(worker.Stop{})
		}
	})
}

// ended starts a worker again that has ended in order.
func (h *workerHost) ended() {
	h.w.log("worker %s has ended", h.name)
	h.down()
}

// connect keeps a link to a master up. What it cannot reach may live, unless its host says otherwise.
func (h *workerHost) connect(life int, m *masterHost) {
	if h.life != life {
		return
	}
	if h.frozen || m.frozen || h.isolated || m.isolated || h.parted[m] || h.apart == m || !m.up {
		h.countUnseen()
		h.w.after(h.w.delay(100*time.Millisecond), func() { h.connect(life, m) })
		return
	}
	h.nextID++
	l := &link{id: h.nextID*10 + int64(slices.Index(h.w.workers, h)), w: h, m: m, mlife: m.life, wlife: h.life}
	h.links = append(h.links, l)
	m.conns[l.id] = l
	h.countUnseen()
	h.step(worker.StreamUp{Stream: worker.StreamID(l.id)})
}

// countUnseen tells how many masters there may be that no link leads to.
func (h *workerHost) countUnseen() {
	n := 0
	for _, m := range h.w.masters {
		if !slices.ContainsFunc(h.links, func(l *link) bool { return l.m == m }) && (m.up || h.isolated || m.isolated || h.parted[m] || h.apart == m) {
			n++
		}
	}
	if n != h.unseen {
		h.unseen = n
		h.step(worker.Unseen{Masters: n})
	}
}

// onLink returns the link of a stream, nil when it is gone.
func (h *workerHost) onLink(id worker.StreamID) *link {
	for _, l := range h.links {
		if l.id == int64(id) {
			return l
		}
	}
	return nil
}

// cut breaks a connection: both ends hear of it, what is under way is lost.
func (l *link) cut() {
	if l.broken {
		return
	}
	l.broken = true
	w := l.w.w
	w.after(w.delay(time.Millisecond), func() {
		if l.m.life == l.mlife {
			delete(l.m.conns, l.id)
			l.m.step(master.Closed{Conn: l.id})
		}
	})
	w.after(w.delay(time.Millisecond), func() {
		if l.w.life != l.wlife {
			return
		}
		life := l.w.life
		l.w.links = slices.DeleteFunc(l.w.links, func(o *link) bool { return o == l })
		l.w.step(worker.StreamDown{Stream: worker.StreamID(l.id)})
		w.after(w.delay(50*time.Millisecond), func() { l.w.connect(life, l.m) })
	})
}

func (l *link) down(f *rpc.FromMaster) {
	w := l.w.w
	if l.broken {
		return
	}
	if w.chance(w.cfg.Break) {
		w.log("link %d breaks", l.id)
		l.cut()
		return
	}
	if len(f.Settles)+len(f.Kills)+len(f.Asks)+len(f.Forget) > 0 || f.Welcome != nil {
		w.detail("to %s: %v", l.w.name, f)
	}
	f = copyFrame(f) // as it was when it was handed over: but the core fills a frame until its step ends
	l.downAt = max(l.downAt+1, w.now.Add(w.delay(100*time.Microsecond)))
	w.after(l.downAt.Sub(w.now), func() {
		if !l.broken && l.w.life == l.wlife {
			l.w.step(worker.Frame{Stream: worker.StreamID(l.id), Frame: f})
		}
	})
}

func (l *link) up(f *rpc.FromWorker) {
	w := l.w.w
	if l.broken {
		return
	}
	if w.chance(w.cfg.Break) {
		w.log("link %d breaks", l.id)
		l.cut()
		return
	}
	if len(f.Held)+len(f.Ended)+len(f.Started) > 0 || f.Hello != nil {
		w.detail("%s to %d: %v", l.w.name, l.m.lease.Incarnation, f)
	}
	f = copyFrame(f)
	l.upAt = max(l.upAt+1, w.now.Add(w.delay(100*time.Microsecond)))
	w.after(l.upAt.Sub(w.now), func() {
		if !l.broken && l.m.life == l.mlife {
			l.m.step(master.Frame{Conn: l.id, FromWorker: f})
		}
	})
}

func (h *workerHost) step(events ...worker.Event) {
	if !h.up {
		return
	}
	if h.frozen {
		h.pending = append(h.pending, events...)
		return
	}
	life := h.life
	events, free := h.box.add(h.w, events, func() {
		if h.life == life {
			h.box.busy = false
			h.step()
		}
	})
	if !free {
		return
	}
	effects := slices.Clone(h.core.Step(h.w.now, events...))
	for _, fx := range effects {
		h.carryOut(life, fx)
		if h.life != life {
			return
		}
	}
}

func (h *workerHost) carryOut(life int, fx worker.Effect) {
	w := h.w
	switch e := fx.(type) {
	case worker.Persist:
		if w.chance(w.cfg.Crash) {
			h.crash("before a write")
			return
		}
		if e.Whole {
			h.disk = nil
		}
		h.disk = append(h.disk, e.Records...)
		if e.Sync || e.Whole {
			h.synced = len(h.disk)
		}
		if w.chance(w.cfg.Crash) {
			h.crash("after a write")
			return
		}
		id := e.ID
		w.after(w.delay(100*time.Microsecond), func() {
			if h.life == life {
				h.step(worker.Persisted{ID: id})
			}
		})
	case worker.Start:
		h.begin(life, e)
	case worker.KillAttempt:
		h.killAttempt(life, e)
	case worker.Send:
		if l := h.onLink(e.Stream); l != nil {
			l.up(e.Frame)
		}
	case worker.Close:
		if l := h.onLink(e.Stream); l != nil {
			l.cut()
		}
	case worker.Wake:
		if e.At != 0 {
			w.after(e.At.Sub(w.now), func() {
				if h.life == life {
					h.step(worker.Tick{})
				}
			})
		}
	case worker.Measure:
		w.after(time.Millisecond, func() {
			if h.life == life {
				h.step(worker.Measured{CPU: 0.1, Memory: w.memory(), Free: -1})
			}
		})
	case worker.Stopped:
		h.ended()
	case worker.Note:
	}
}

// begin runs a task: it writes the ledger when it begins and when it ends.
func (h *workerHost) begin(life int, e worker.Start) {
	w := h.w
	g := e.Grant
	p := &proc{token: g.Token, task: g.TaskName, inst: g.Instance, row: g.Task, kind: e.Kind, result: "succeed"}
	if w.rng.IntN(12) == 0 {
		p.result = "fail"
	}
	h.procs[g.Token] = p
	run := w.delay(200 * time.Millisecond)
	var start func()
	start = func() {
		if h.frozen && h.life == life {
			w.after(100*time.Millisecond, start)
			return
		}
		if p.dead {
			return
		}
		p.started = w.now
		w.ledger.write(Entry{At: w.now, Instance: p.inst, Task: p.task, Row: p.row, Token: p.token, What: "begin"})
		w.log("%s: %s of %d begins, token %d", h.name, p.task, p.inst, p.token)
		if h.life == life && p.kind == worker.KindProcess {
			h.step(worker.Began{Token: p.token, At: w.now})
		}
		w.after(run, func() { h.finish(life, p) })
	}
	w.after(w.delay(500*time.Microsecond), start)
}

func (h *workerHost) finish(life int, p *proc) {
	if p.dead {
		return
	}
	if h.frozen && h.life == life {
		h.w.after(100*time.Millisecond, func() { h.finish(life, p) })
		return
	}
	p.dead = true
	w := h.w
	w.ledger.write(Entry{At: w.now, Instance: p.inst, Task: p.task, Row: p.row, Token: p.token, What: p.result})
	w.log("%s: %s of %d: %s, token %d", h.name, p.task, p.inst, p.result, p.token)
	if h.life != life {
		return // nobody is there to hear of it
	}
	delete(h.procs, p.token)
	end := worker.End{State: flow.AttemptSucceeded, StartedAt: p.started, EndedAt: w.now, Confirmed: true, Outputs: []byte(fmt.Sprintf(`{"token":"%d"}`, p.token))}
	if p.result == "fail" {
		end.State, end.ExitCode, end.Cause, end.Class, end.Outputs = flow.AttemptFailed, 75, "exit:75", flow.ClassUser, nil
	}
	h.step(worker.Finished{Token: p.token, End: end})
}

func (h *workerHost) kill(p *proc) {
	if p.dead {
		return
	}
	p.dead = true
	if p.started != 0 {
		h.w.ledger.write(Entry{At: h.w.now, Instance: p.inst, Task: p.task, Row: p.row, Token: p.token, What: "killed"})
	}
}

func (h *workerHost) killAttempt(life int, e worker.KillAttempt) {
	w := h.w
	p := h.procs[e.Token]
	if p == nil {
		return
	}
	grace := 20 * time.Millisecond
	if p.started == 0 {
		grace = 0 // and it does not begin
	}
	w.after(w.delay(grace), func() {
		if h.life != life || p.dead {
			return
		}
		h.kill(p)
		delete(h.procs, e.Token)
		h.step(worker.Finished{Token: e.Token, End: worker.End{
			State: flow.AttemptKilled, ExitCode: flow.NoExit, StartedAt: p.started, EndedAt: w.now, Confirmed: true,
		}})
	})
}
