// Master: the shell around the core. It does the I/O and posts completions back as events.

package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"baton/internal/clock"
	"baton/internal/flow"
	"baton/internal/machine"
	"baton/internal/registry"
	"baton/internal/rpc"
	"baton/internal/task"
)

// Master drives workflow instances until its context ends. Its exported methods are safe for
// concurrent use.
type Master struct {
	rpc.UnimplementedMastersServer

	cfg   Config
	store Store
	node  flow.Node
	log   *slog.Logger
	clock clock.Clock
	core  *Core

	events  chan Event
	ready   chan struct{} // closed when registered
	over    chan struct{} // closed when Run ends
	lease   flow.Lease    // once ready
	renewed atomic.Int64  // flow.Time: sending of the last heartbeat that was answered
	outage  outage
	length  atomic.Int64 // time.Duration: of the lease
	asked   chan chan figures
	said    chan Announce // the newest that the others do not know yet
	outside chan struct{}
	reg     registry.Registry
	peers   Peers
	meter   machine.Meter // of the heartbeat under way
	lanes   []chan Commit
	connSeq atomic.Int64
	logSeq  atomic.Int64

	counters counters

	mu    sync.Mutex
	conns map[int64]*stream
	feed  feed
}

// Join makes the master one of several: it announces itself in the registry and watches who else is
// there, and reaches them by peers. It is called before Run; a master that joins nothing is alone.
func (m *Master) Join(reg registry.Registry, peers Peers) { m.reg, m.peers = reg, peers }

// Linked tells that the link to another master came up, or broke.
func (m *Master) Linked(incarnation int64, up bool) {
	select {
	case m.events <- Linked{incarnation, up}:
	case <-m.over:
	}
}

// New returns a master that will register as node. Options with zero fields take their defaults.
func New(cfg Config, store Store, types *task.Set, node flow.Node, log *slog.Logger) *Master {
	def := DefaultConfig()
	for _, d := range []struct{ v, def *time.Duration }{
		{&cfg.Poll, &def.Poll}, {&cfg.Lazy, &def.Lazy}, {&cfg.Linger, &def.Linger}, {&cfg.KillResend, &def.KillResend}, {&cfg.Lease, &def.Lease},
	} {
		if *d.v == 0 {
			*d.v = *d.def
		}
	}
	if cfg.OverloadMemory == 0 {
		cfg.OverloadMemory = def.OverloadMemory
	}
	for _, d := range []struct{ v, def *int }{{&cfg.Lanes, &def.Lanes}, {&cfg.BatchRows, &def.BatchRows}, {&cfg.Commands, &def.Commands}} {
		if *d.v == 0 {
			*d.v = *d.def
		}
	}
	cfg.DrainKey, cfg.Name = node.DrainKey(), node.Name
	m := &Master{
		cfg: cfg, store: store, node: node, log: log, clock: clock.New(), core: NewCore(cfg, types),
		events: make(chan Event, 4096), ready: make(chan struct{}), lanes: make([]chan Commit, cfg.Lanes),
		conns: make(map[int64]*stream), over: make(chan struct{}), peers: Alone{}, said: make(chan Announce, 1), asked: make(chan chan figures),
		outside: make(chan struct{}, 1),
	}
	for i := range m.lanes {
		m.lanes[i] = make(chan Commit, 1)
	}
	return m
}

// Over is closed when Run has ended.
func (m *Master) Over() <-chan struct{} { return m.over }

// Ready is closed when the master is registered and takes work.
func (m *Master) Ready() <-chan struct{} { return m.ready }

// PokeCommands tells that a new command is durable. It never blocks: a lost poke is made up for by
// the next poll.
func (m *Master) PokeCommands() { m.poke(Poked{Commands: true}) }

// Outside says when there may be something to look out for, outside of Baton, or not any more.
func (m *Master) Outside() <-chan struct{} { return m.outside }

// Ordered tells all masters that a new command is durable. It never blocks.
func (m *Master) Ordered() {
	m.PokeCommands()
	m.peers.PokeAll(&rpc.PokeRequest{Commands: true})
}

// PokeInbox tells that a new inbox item is durable. It never blocks.
func (m *Master) PokeInbox() { m.poke(Poked{Inbox: true}) }

// PokeLook has the master look at once at what it would find within a second: who is to take nothing new, which
// schedules there are. It never blocks.
func (m *Master) PokeLook() { m.poke(Poked{Drains: true}) }

func (m *Master) poke(p Poked) {
	select {
	case m.events <- p:
	default:
	}
}

// Run registers and drives until ctx is done, then leaves. It returns flow.ErrFenced when others
// hold this incarnation for dead.
func (m *Master) Run(ctx context.Context) error {
	defer close(m.over)
	m.length.Store(int64(m.cfg.Lease))
	lease, err := m.register(ctx)
	if err != nil {
		return fmt.Errorf("register master: %w", err)
	}
	m.node.Incarnation, m.node.Number = lease.Incarnation, lease.Number
	m.lease = lease
	if lease.Length > 0 {
		m.cfg.Lease = lease.Length
	}
	m.length.Store(int64(m.cfg.Lease))
	m.renewed.Store(int64(m.clock.Now()))
	m.log.LogAttrs(ctx, slog.LevelInfo, "master registered", slog.Int64("incarnation", lease.Incarnation), slog.Any("took_over", lease.Dead))
	g, ctx := errgroup.WithContext(ctx)
	for i := range m.lanes {
		g.Go(func() error { return m.commitLoop(ctx, i) })
	}
	if m.reg != nil {
		g.Go(func() error { return m.announce(ctx) })
		g.Go(func() error { return m.watchRegistry(ctx) })
	}
	g.Go(func() error { return m.loop(ctx, lease) })
	err = g.Wait()
	m.closeConns()
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if lerr := m.store.Leave(leave, lease.Incarnation); lerr != nil {
		m.log.LogAttrs(leave, slog.LevelWarn, "leave", slog.Any("error", lerr))
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// register is not waited for for ever: see patience. If it was carried out all the same, the next one of the
// same home fences it.
func (m *Master) register(ctx context.Context) (flow.Lease, error) {
	asking, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	return m.store.Register(asking, m.node)
}

// loop is the one goroutine of the core.
func (m *Master) loop(ctx context.Context, lease flow.Lease) error {
	const atOnce = 1024
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	batch := []Event{Started{lease}}
	for {
		effects := m.core.Step(m.clock.Now(), batch...)
		batch = batch[:0]
		if err := m.carryOut(ctx, effects, timer); err != nil {
			return err
		}
		select {
		case <-m.ready:
		default:
			close(m.ready)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			batch = append(batch, Tick{})
		case answer := <-m.asked:
			answer <- m.core.figures()
		case ev := <-m.events:
			batch = append(batch, ev)
		}
		for len(batch) < atOnce {
			select {
			case ev := <-m.events:
				batch = append(batch, ev)
				continue
			default:
			}
			break
		}
	}
}

func (m *Master) post(ctx context.Context, ev Event) {
	select {
	case m.events <- ev:
	case <-ctx.Done():
	}
}

// carryOut starts everything a step asked for; nothing of it blocks the loop.
func (m *Master) carryOut(ctx context.Context, effects []Effect, timer *time.Timer) error {
	frames := m.frames()
	var last []*stream // of which nothing is to be said after this
	for _, fx := range effects {
		switch e := fx.(type) {
		case WakeAt:
			timer.Reset(max(e.At.Sub(m.clock.Now()), 0))
		case Commit:
			m.lanes[e.Lane] <- e // one under way per lane: never full
		case Send:
			frames.merge(e.Conn, e.Frame)
		case Grant:
			m.sendGrant(ctx, frames, e)
		case Publish:
			m.feed.publish(e.Change)
		case LookOut:
			select {
			case m.outside <- struct{}{}:
			default: // it is told already
			}
		case Announce:
			if e.Note != "" {
				m.log.LogAttrs(ctx, slog.LevelWarn, e.Note) //nolint:sloglint // the reactor words its notes
			}
			m.say(e)
		case HangUp:
			if st := m.stream(e.Conn); st != nil && e.After {
				last = append(last, st)
			} else if st != nil {
				st.cancel(errSilent)
			}
		case Stop:
			return e.Err
		default:
			go m.do(ctx, fx)
		}
	}
	frames.flush()
	for _, st := range last {
		st.finish()
	}
	return nil
}

// do carries out one effect that asks the store, and posts its answer.
func (m *Master) do(ctx context.Context, fx Effect) {
	patience := m.patience()
	switch fx.(type) {
	case Poll, ReadInbox, ReadOwned, ReadPeers, ReadGroups, ReadDue:
		patience = min(patience, max(readPatience, patience/6))
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	owner := m.node.Incarnation
	now := m.clock.Now()
	switch e := fx.(type) {
	case Poll:
		waiting, err := m.store.Waiting(asking, owner)
		m.answer(ctx, "look what waits", err, Polled{waiting, err})
	case ReadCommands:
		cmds, err := m.commands(asking, e)
		m.answer(ctx, "read commands", err, CommandsRead{cmds, err})
	case ReadInbox:
		items, err := m.store.Inbox(asking, owner, e.Limit, e.Except)
		m.answer(ctx, "read inbox", err, InboxRead{items, err})
	case Claim:
		ids, err := m.store.Claim(asking, owner, now, e.Limit)
		var next flow.Time
		if err == nil {
			next, err = m.store.NextWake(asking)
		}
		m.answer(ctx, "claim", err, Claimed{ids, next, err})
	case ReadOwned:
		ids, err := m.store.Owned(asking, owner, e.After, e.Limit)
		m.answer(ctx, "read what is mine", err, OwnedRead{ids, err})
	case TakeOver:
		ids, left, err := m.store.TakeOver(asking, owner, e.Dead, now, e.Takes, e.Limit)
		m.answer(ctx, "take over", err, TookOver{e.Dead, e.Takes, ids, left, err})
	case Load:
		rows, err := m.store.Load(asking, owner, e.IDs)
		m.answer(ctx, "load", err, LoadedRows{e.IDs, rows, err})
	case ReadDefinition:
		def, err := m.store.Definition(asking, e.Key.Workflow, e.Key.Version)
		m.answer(ctx, "read definition", err, DefinitionRead{e.Key, def, err})
	case HandOver:
		_, err := m.store.Order(asking, e.Item)
		if err == nil {
			m.peers.PokeAll(&rpc.PokeRequest{Inbox: true}) // which one it is for, only they know
		}
		m.answer(ctx, "hand over", err, HandedOver{e.Conn, e.Token, err})
	case Register:
		lease, err := m.store.Register(asking, e.Node)
		if outrun, ok := errors.AsType[*flow.OutrunError](err); ok {
			m.answer(ctx, "register worker", nil, Outrun{e.Conn, outrun.Hello})
			return
		}
		m.answer(ctx, "register worker", err, Registered{e.Conn, lease, e.Node.Incarnation != 0, err})
	case Quarantine:
		m.quarantine(ctx, asking, e)
	case Beat:
		m.heartbeat(ctx, e)
	case ReadPeers:
		peers, err := m.store.Peers(asking, owner)
		m.answer(ctx, "read the other masters", err, PeersRead{peers, err})
	case ReadGroups:
		groups, err := m.store.ServedGroups(asking)
		m.answer(ctx, "read the worker groups", err, GroupsRead{groups, err})
	case ReadDue:
		due, err := m.store.Due(asking, e.Limit, e.Slot, e.Slots)
		m.answer(ctx, "read what is due", err, DueRead{due, err})
	case Admit:
		given, err := m.store.Admit(asking, e.Keys, e.After)
		m.answer(ctx, "give turns", err, Admitted{given, e.Keys, err})
	case GiveSlots:
		given, err := m.store.GiveSlots(asking, e.Keys, e.After)
		m.answer(ctx, "give slots of pools", err, SlotsGiven{given, err})
	case LookUp:
		found, err := m.store.Lookup(asking, e.Question)
		m.answer(ctx, "look up a workflow", err, LookedUp{e, found, err})
	case TellAll:
		m.peers.PokeAll(&rpc.PokeRequest{Inbox: true})
	case AdvanceBackfills:
		done, err := m.store.AdvanceBackfills(asking, owner, e.Backfills, e.Runs, e.After, e.IDs, now)
		m.answer(ctx, "advance backfills", err, BackfillsAdvanced{done, err})
	case ReadMarks:
		standings, next, err := m.store.Marks(asking, e.Triggers, e.After)
		m.answer(ctx, "read what triggers have heard", err, MarksRead{standings, next, err})
	case StartTriggered:
		written, err := m.store.StartTriggered(asking, owner, e.Decisions)
		m.answer(ctx, "start what triggers say", err, Triggered{e.Decisions, written, err})
	case Fire:
		if len(e.Stack) > 0 {
			m.log.LogAttrs(ctx, slog.LevelError, "a schedule is put off", slog.String("stack", string(e.Stack)))
		}
		written, err := m.store.Fire(asking, owner, e.Firings)
		m.answer(ctx, "fire", err, Fired{e.Firings, written, err})
	case Probe:
		m.post(ctx, Probed{e.Incarnation, m.peers.Probe(ctx, e.Incarnation, e.Address, probeTimeout)})
	case Condemn:
		won, err := m.store.Condemn(asking, e.Dead, owner, e.Why)
		if won {
			m.counters.takeovers.Add(1)
			m.log.LogAttrs(ctx, slog.LevelWarn, "declared a master dead", slog.String("master", e.Name), slog.Int64("incarnation", e.Dead), slog.String("because", e.Why))
		}
		m.answer(ctx, "fence a master", err, Condemned{e.Dead, err})
	case HandOut:
		mine, others, err := m.store.HandOut(asking, owner, e.Dead, e.Heirs, e.Limit)
		if len(mine)+others > 0 {
			m.log.LogAttrs(ctx, slog.LevelInfo, "handed out runs of a dead master", slog.Int64("incarnation", e.Dead), slog.Int("mine", len(mine)), slog.Int("others", others))
		}
		m.answer(ctx, "hand out", err, HandedOut{e.Dead, e.Heirs, mine, others, err})
	case GiveAway:
		given, err := m.store.GiveAway(asking, owner, e.IDs, e.Heirs)
		if given > 0 {
			m.log.LogAttrs(ctx, slog.LevelInfo, "gave runs to the other masters", slog.String("because", e.Why), slog.Int("runs", given), slog.Any("masters", e.Heirs))
		}
		m.answer(ctx, "give away", err, GivenAway{e.Heirs, err})
	case Tell:
		m.peers.Poke(&rpc.PokeRequest{Handed: true, Owner: e.Incarnation})
	case LeaveSession:
		err := m.store.Leave(asking, e.Session)
		m.answer(ctx, "end a session", err, SessionLeft{e.Conn, e.Session, err})
	case EndSession:
		over, left, err := m.store.EndSession(asking, e.Session, owner, e.Why, e.Within)
		if over {
			m.log.LogAttrs(ctx, slog.LevelWarn, "a worker is lost", slog.String("worker", e.Worker), slog.Int64("session", e.Session), slog.String("because", e.Why))
		}
		m.answer(ctx, "end a session", err, SessionEnded{e.Session, over, left, err})
	}
}

// patience is how long an answer of the store is waited for, three leases. A connection may hang behind a
// pooler that acknowledges what it never passes on: no kernel ends that one, and what waits for its
// answer would wait for ever while the lease is kept on another.
func (m *Master) patience() time.Duration { return 3 * time.Duration(m.length.Load()) }

// readPatience is that of small reads, or half a lease if that is longer: others wait for them, and a second
// one takes another connection.
const readPatience = 5 * time.Second

func (m *Master) commands(ctx context.Context, e ReadCommands) ([]flow.Command, error) {
	if e.Trial {
		return m.store.TryCommands(ctx, m.node.Incarnation, e.Takes, e.UpTo, e.Limit, e.Except)
	}
	return m.store.Commands(ctx, e.Limit, e.Except, flow.Turn{Slot: e.Slot, Slots: e.Slots, Before: e.Before, Me: m.node.Incarnation})
}

func (m *Master) answer(ctx context.Context, what string, err error, ev Event) {
	switch {
	case err == nil:
		m.outage.answered(ctx, m.log)
	case ctx.Err() == nil && flow.CodeOf(err) != flow.CodeNotFound:
		m.outage.failed(ctx, m.log, what, err)
	}
	m.post(ctx, ev)
}

func (m *Master) commitLoop(ctx context.Context, lane int) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-m.lanes[lane]:
			began := time.Now()
			asking, cancel := context.WithTimeout(ctx, m.patience())
			res, err := m.store.Commit(asking, c.Batch)
			cancel()
			m.counters.commit(time.Since(began), err)
			if err != nil && ctx.Err() == nil {
				m.log.LogAttrs(ctx, slog.LevelWarn, "commit", slog.Int("changes", len(c.Batch.Changes)), slog.Any("error", err))
			}
			m.post(ctx, Committed{lane, res, err})
		}
	}
}

func (m *Master) quarantine(ctx, asking context.Context, e Quarantine) {
	if !e.Again {
		m.log.LogAttrs(ctx, slog.LevelError, "quarantine", slog.String("instance", e.ID.String()), slog.String("reason", e.Reason), slog.String("stack", string(e.Stack)))
	}
	var err error
	now := m.clock.Now()
	if e.Command {
		err = m.store.QuarantineCommand(asking, e.ID, e.Reason, now)
	} else {
		err = m.store.Quarantine(asking, m.node.Incarnation, e.ID, e.Reason, now)
	}
	m.answer(ctx, "quarantine", err, Quarantined{e.ID, err})
}

// probeTimeout is how long the address of another master is waited for.
const probeTimeout = 500 * time.Millisecond

// heartbeat renews this master's lease and those of the sessions it keeps.
func (m *Master) heartbeat(ctx context.Context, e Beat) {
	at := m.clock.Now()
	memory := m.meter.Measure().Memory
	self := m.node
	self.State, self.Lease = e.State, e.Lease
	slow := time.AfterFunc(e.Late, func() {
		m.outage.failed(ctx, m.log, "heartbeat", fmt.Errorf("no answer for %s", e.Late.Round(time.Millisecond)))
	})
	defer slow.Stop()
	// One connection that leads nowhere must not cost the lease: the next beat takes another.
	asking, cancel := context.WithTimeout(ctx, e.Lease/2)
	defer cancel()
	renewal, err := m.store.Heartbeat(asking, append([]flow.Node{self}, e.Sessions...))
	if err != nil {
		m.answer(ctx, "heartbeat", err, Beaten{At: at, Err: err})
		return
	}
	if slices.Contains(renewal.Fenced, m.node.Incarnation) {
		m.post(ctx, Committed{Lane: 0, Err: flow.ErrFenced})
		return
	}
	m.outage.answered(ctx, m.log)
	m.renewed.Store(int64(at))
	if length := renewal.Settings.Lease; length > 0 {
		m.length.Store(int64(length))
	}
	done := Beaten{At: at, Memory: memory, Settings: renewal.Settings, Lost: renewal.Fenced}
	for _, n := range e.Sessions {
		done.Sessions = append(done.Sessions, n.Incarnation)
	}
	m.post(ctx, done)
}
