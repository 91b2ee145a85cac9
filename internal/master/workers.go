// Workers: their hello, and the frames after it.

package master

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"baton/internal/dispatch"
	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// conn is a worker's stream to this master.
type conn struct {
	id      int64
	session int64
	node    flow.Node
	hello   *rpc.Hello
	arrived int             // when the hello came
	room    *rpc.Room       // what it gave this master, nil: it has not said yet
	wants   dispatch.Places // how many more places it was asked for last
	// Of its lease: it waits for its welcome; the beat that waits to be answered, and is being.
	greeting      bool
	asked, asking int64
	askedAt       flow.Time       // when it came, or the hello
	starved       bool            // its row was not renewed when it asked last: the store was away
	ending        bool            // it takes nothing new and ends
	length        time.Duration   // of its first lease, as the store wrote it; 0: as of all
	frame         *rpc.FromMaster // being filled in this step

	refusals int       // in a row
	askAgain flow.Time // not before, when it refused

	heardAt flow.Time // its last frame
}

// greeting is a hello and when it came.
type greeting struct {
	Frame
	arrived int
}

// arrived numbers what comes in, so that it can be told what was said before.
func (c *Core) arrived() int {
	c.arrivals++
	return c.arrivals
}

// send adds to the frame that a connection gets at the end of this step.
func (c *Core) send(connID int64, fill func(*rpc.FromMaster)) {
	cn := c.conns[connID]
	if cn == nil {
		return
	}
	if cn.frame == nil {
		cn.frame = &rpc.FromMaster{Master: c.lease.Incarnation}
		c.emit(Send{cn.id, cn.frame})
		c.framed = append(c.framed, cn)
	}
	fill(cn.frame)
}

func (c *Core) ack(connID, token int64) {
	c.send(connID, func(f *rpc.FromMaster) { f.Acks = append(f.Acks, token) })
}

func (c *Core) frame(f Frame) {
	if f.Hello != nil {
		if !c.ready {
			c.hellos = append(c.hellos, greeting{f, c.arrived()})
			return
		}
		c.hello(greeting{f, c.arrived()})
	}
	cn := c.conns[f.Conn]
	if cn == nil {
		return // before its hello was answered, or after it closed
	}
	cn.heardAt = c.now
	for _, s := range f.Started {
		c.routeNews(flow.ID(s.Instance), pending{ev: engine.Started{Task: flow.ID(s.Task), Token: s.Token, At: flow.Time(s.At)}})
	}
	for _, e := range f.Ended {
		ev := engine.Ended{Task: flow.ID(e.Task), Result: resultOf(e)}
		if !c.routeNews(flow.ID(e.Instance), pending{ev: ev, conn: f.Conn}) {
			c.handOver(f.Conn, flow.ID(e.Instance), ev)
		}
	}
	if len(f.Started)+len(f.Ended) > 0 {
		cn.refusals = 0
	}
	for _, r := range f.Refused {
		c.refused(cn, r)
		c.routeNews(flow.ID(r.Instance), pending{ev: engine.Refused{Task: flow.ID(r.Task), Token: r.Token, Reason: r.Reason}})
	}
	for _, h := range f.Held {
		c.told(cn, h)
	}
	if f.Room != nil {
		c.room(cn, f.Room)
	}
	if f.Beat != nil {
		c.beat(cn, f.Beat)
	}
	if f.Leave != 0 && f.Leave == cn.session {
		c.leaves(cn)
	}
}

// Reasons of refusals, as workers give them.
const (
	refusedFull       = "full"
	refusedType       = "unknown_type"
	refusedStale      = "stale"      // a newer owner spoke of the instance
	refusedTombstoned = "tombstoned" // this one attempt never begins
)

// askAgainMost bounds how long a worker that refuses is not asked.
const askAgainMost = time.Minute

// refused keeps a grant from going to and fro as fast as the store commits: what a worker cannot
// take now it cannot take a moment later either. It is asked again after its next beat, and when it
// refuses again and again for something else than a lack of room, ever more rarely.
func (c *Core) refused(cn *conn, r *rpc.Refused) {
	s := c.pool.Session(cn.session)
	if s == nil {
		return
	}
	switch r.Reason {
	case refusedStale, refusedTombstoned:
		return
	case refusedType:
		if in := c.insts[flow.ID(r.Instance)]; in != nil && in.st != nil {
			if row := in.st.RowByID(flow.ID(r.Task)); row >= 0 {
				c.pool.Lacks(cn.session, in.st.Rows[row].Type)
			}
		}
		return
	}
	if s.Refusal != "" {
		return // granted before it was known to refuse
	}
	s.Refusal = flow.Text(r.Reason, 100)
	cn.askAgain = c.now
	if r.Reason == refusedFull {
		return
	}
	if beat := c.cfg.Lease / 3; cn.refusals > 0 {
		cn.askAgain = c.now.Add(min(beat<<min(cn.refusals-1, 20), askAgainMost))
	}
	cn.refusals++
}

func resultOf(e *rpc.Ended) flow.Result {
	code := flow.NoExit
	if e.HasExitCode {
		code = e.ExitCode
	}
	return flow.Result{
		Token: e.Token, State: flow.AttemptState(e.State), ExitCode: code, Cause: e.Cause, Class: flow.Class(e.Class),
		Reason: flow.Text(e.Reason, flow.MaxReason), Outputs: e.Outputs, Started: flow.Time(e.StartedAt), Ended: flow.Time(e.EndedAt),
		Confirmed: e.Confirmed, Matched: e.Matched, CPU: e.CpuMicros, Memory: e.PeakMemory,
	}
}

func (c *Core) beat(cn *conn, b *rpc.Beat) {
	if s := c.pool.Session(cn.session); s != nil {
		cn.ending = b.Draining
		s.Beat(dispatch.Report{
			CPU: b.Cpu, Memory: b.Memory, Draining: c.drained(cn), Overloaded: flow.Text(b.Overloaded, 200),
			Running: dispatch.Places{dispatch.Process: int(b.Running - b.Functions), dispatch.Function: int(b.Functions)},
		})
		if cn.askAgain <= c.now {
			s.Refusal = ""
		}
	}
	cn.node.Running = int(b.Running)
	cn.node.Lease = time.Duration(b.LeaseMicros) * time.Microsecond
	switch {
	case b.Draining:
		cn.node.State = flow.NodeDraining
	case b.Overloaded != "":
		cn.node.State = flow.NodeBusy
	default:
		cn.node.State = flow.NodeReady
	}
	if len(b.Live) > 0 {
		live := make(map[int64]bool, len(b.Live))
		for _, t := range b.Live {
			live[t] = true
		}
		c.eachHeld(func(in *inst, row *flow.TaskRow) {
			if live[row.Attempt.Token] {
				c.route(in.id, pending{ev: engine.Alive{Task: row.ID, Token: row.Attempt.Token}})
			}
		}, cn.session)
	}
	c.renewal(cn, b)
}

// eachHeld visits the rows that hold slots of the sessions, in order.
func (c *Core) eachHeld(visit func(*inst, *flow.TaskRow), sessions ...int64) {
	for _, task := range c.pool.HeldBy(sessions...) {
		in := c.insts[c.pool.InstanceOf(task)]
		if in == nil || in.st == nil {
			continue
		}
		if r := in.st.RowByID(task); r >= 0 {
			visit(in, &in.st.Rows[r])
		}
	}
}

// hello gives the worker its session; what it holds is settled when it has one.
func (c *Core) hello(f greeting) {
	h := f.Hello
	cn := &conn{id: f.Conn, hello: h, arrived: f.arrived, heardAt: c.now, askedAt: c.now, node: flow.Node{
		Role: flow.RoleWorker, Name: h.Name, Home: h.Home, PID: int(h.Pid), Groups: h.Groups, Slots: int(h.Slots),
		Labels: h.Labels, Version: h.Version, Engine: flow.EngineVersion, State: flow.NodeReady, StartedAt: c.now,
		Lease: time.Duration(h.LeaseMicros) * time.Microsecond, Hello: h.Number,
	}}
	c.conns[f.Conn] = cn
	if h.Cluster != "" && h.Cluster != c.lease.Cluster && c.lease.Cluster != "" {
		// Numbers of sessions and tokens are alike in all clusters: none may come from another.
		c.send(cn.id, func(f *rpc.FromMaster) { f.Welcome = &rpc.Welcome{Foreign: true, Cluster: c.lease.Cluster} })
		delete(c.conns, cn.id)
		return
	}
	if h.Session != 0 && h.Generation != c.lease.Generation {
		// The store was restored, perhaps to before it knew the session. What runs is bound to that, and other
		// masters may read its rows later: it stays the same.
		cn.node.Incarnation = h.Session
		c.emit(Register{f.Conn, cn.node})
		return
	}
	if h.Session != 0 {
		// Only the store knows whether the session lives: another master may have declared it lost.
		cn.session, cn.node.Incarnation, cn.greeting = h.Session, h.Session, true
		c.own.wanted = c.now
		return
	}
	c.emit(Register{f.Conn, cn.node})
}

func (c *Core) registered(e Registered) {
	cn := c.conns[e.Conn]
	if cn == nil {
		if e.Err == nil && !e.Again { // nobody was told of it
			c.emit(LeaveSession{e.Conn, e.Lease.Incarnation})
		}
		return
	}
	if cn.node.Incarnation != 0 && errors.Is(e.Err, flow.ErrFenced) {
		cn.session = cn.node.Incarnation
		c.sessionOver(cn)
		return
	}
	if e.Err != nil {
		c.unregistered = append(c.unregistered, e.Conn)
		return
	}
	if e.Lease.Length > 0 {
		cn.length = e.Lease.Length
	}
	c.welcome(cn, e.Lease.Incarnation)
}

// welcome settles what the worker holds with what the rows say, and lets it take work.
func (c *Core) welcome(cn *conn, session int64) {
	cn.session = session
	cn.node.Incarnation = session
	c.sessions[session] = cn
	earlier := slices.Clone(cn.hello.Earlier)
	c.away = slices.DeleteFunc(c.away, func(a absence) bool { return a.session == session || slices.Contains(earlier, a.session) })
	c.tell(session)
	w := &rpc.Welcome{Session: session, Generation: c.lease.Generation, Cluster: c.lease.Cluster, LeaseMicros: cmp.Or(cn.length, c.cfg.Lease).Microseconds()}
	c.send(cn.id, func(f *rpc.FromMaster) { f.Welcome, f.Fenced = w, append(f.Fenced, c.fleet.condemned...) })
	held := make(map[int64]*rpc.Held, len(cn.hello.Held))
	for _, h := range cn.hello.Held {
		held[h.Token] = h
	}
	answer := func(token int64, a rpc.SettleAction) {
		w.Settle = append(w.Settle, &rpc.Settle{Token: token, Action: a})
	}
	known := make(map[int64]bool, len(held))
	c.eachHeld(func(in *inst, row *flow.TaskRow) {
		known[row.Attempt.Token] = true
		if held[row.Attempt.Token] == nil && row.Attempt.StartedAt != 0 && (in.loaded > cn.arrived || row.Attempt.Session == session) {
			// It may have been granted after this hello was said, by another master, or by this one on the
			// stream before: only an answer that comes now tells.
			c.ask(cn, in, row)
			return
		}
		c.settle(cn, in, row, held[row.Attempt.Token], answer)
	}, append(earlier, session)...)
	for _, h := range cn.hello.Held {
		if !known[h.Token] {
			c.settleUnknown(cn, h, answer)
		}
	}
	for _, s := range earlier {
		// What was not bound to the present session waits for a result that may never come.
		if len(c.pool.HeldBy(s)) > 0 {
			c.missing(s, cn.node.Name, c.now, c.cfg.Lease*2/3)
		}
	}
	if cn.room != nil {
		c.join(cn)
	}
}

// grant sends a granted attempt to its session.
func (c *Core) grant(in *inst, r int32) {
	row := &in.st.Rows[r]
	if !row.Attempt.State.Live() || row.Attempt.Token == 0 {
		return
	}
	cn := c.sessions[row.Attempt.Session]
	if cn == nil {
		// It went while the grant was being committed. A hello since then could not settle it.
		c.missing(row.Attempt.Session, row.Attempt.Worker, c.now, askAgainSession)
		return
	}
	order, err := in.st.Order(r)
	if err != nil {
		c.unsendable(Unsendable{in.id, row.ID, row.Attempt.Token, flow.ReasonParameter, err.Error()})
		return
	}
	c.emit(Grant{cn.id, order, in.epoch})
}

// unsendable fails an attempt that cannot be told to a worker; it never began.
func (c *Core) unsendable(e Unsendable) {
	c.route(e.Instance, pending{ev: engine.Ended{Task: e.Task, Result: flow.Result{
		Token: e.Token, State: flow.AttemptFailed, ExitCode: flow.NoExit, Cause: e.Cause, Class: flow.ClassUser,
		Reason: e.Reason, Ended: c.now, Confirmed: true,
	}}})
}

// sortedConns are the ids of connections in order, so that nothing depends on that of a map.
func sortedConns(conns map[int64]*conn) []int64 { return slices.Sorted(maps.Keys(conns)) }
