// Master: the shell around the core. It does the I/O and posts completions back as events.

package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"baton/internal/clock"
	"baton/internal/flow"
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
	lanes   []chan Commit
	connSeq atomic.Int64
	logSeq  atomic.Int64

	mu    sync.Mutex
	conns map[int64]*stream
	feed  feed
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
	for _, d := range []struct{ v, def *int }{{&cfg.Lanes, &def.Lanes}, {&cfg.BatchRows, &def.BatchRows}, {&cfg.Commands, &def.Commands}} {
		if *d.v == 0 {
			*d.v = *d.def
		}
	}
	m := &Master{
		cfg: cfg, store: store, node: node, log: log, clock: clock.New(), core: NewCore(cfg, types),
		events: make(chan Event, 4096), ready: make(chan struct{}), lanes: make([]chan Commit, cfg.Lanes),
		conns: make(map[int64]*stream),
	}
	for i := range m.lanes {
		m.lanes[i] = make(chan Commit, 1)
	}
	return m
}

// Ready is closed when the master is registered and takes work.
func (m *Master) Ready() <-chan struct{} { return m.ready }

// PokeCommands tells that a new command is durable. It never blocks: a lost poke is made up for by
// the next poll.
func (m *Master) PokeCommands() { m.poke(Poked{Commands: true}) }

// PokeInbox tells that a new inbox item is durable. It never blocks.
func (m *Master) PokeInbox() { m.poke(Poked{Inbox: true}) }

func (m *Master) poke(p Poked) {
	select {
	case m.events <- p:
	default:
	}
}

// Run registers and drives until ctx is done, then leaves. It returns flow.ErrFenced when others
// hold this incarnation for dead.
func (m *Master) Run(ctx context.Context) error {
	lease, err := m.store.Register(ctx, m.node)
	if err != nil {
		return fmt.Errorf("register master: %w", err)
	}
	m.node.Incarnation, m.node.Number = lease.Incarnation, lease.Number
	m.log.LogAttrs(ctx, slog.LevelInfo, "master registered", slog.Int64("incarnation", lease.Incarnation), slog.Any("took_over", lease.Dead))
	g, ctx := errgroup.WithContext(ctx)
	for i := range m.lanes {
		g.Go(func() error { return m.commitLoop(ctx, i) })
	}
	g.Go(func() error { return m.sweep(ctx) })
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
		case Stop:
			return e.Err
		default:
			go m.do(ctx, fx)
		}
	}
	frames.flush()
	return nil
}

// do carries out one effect that asks the store, and posts its answer.
func (m *Master) do(ctx context.Context, fx Effect) {
	owner := m.node.Incarnation
	now := m.clock.Now()
	switch e := fx.(type) {
	case ReadCommands:
		cmds, err := m.store.Commands(ctx, e.Limit, e.Except)
		m.answer(ctx, "read commands", err, CommandsRead{cmds, err})
	case ReadInbox:
		items, err := m.store.Inbox(ctx, owner, e.Limit, e.Except)
		m.answer(ctx, "read inbox", err, InboxRead{items, err})
	case Claim:
		ids, err := m.store.Claim(ctx, owner, now, e.Limit)
		var next flow.Time
		if err == nil {
			next, err = m.store.NextWake(ctx)
		}
		m.answer(ctx, "claim", err, Claimed{ids, next, err})
	case ReadOwned:
		ids, err := m.store.Owned(ctx, owner, e.After, e.Limit)
		m.answer(ctx, "read what is mine", err, OwnedRead{ids, err})
	case TakeOver:
		ids, err := m.store.TakeOver(ctx, owner, e.Dead, now, e.Limit)
		m.answer(ctx, "take over", err, TookOver{e.Dead, ids, err})
	case Load:
		rows, err := m.store.Load(ctx, owner, e.IDs)
		m.answer(ctx, "load", err, LoadedRows{e.IDs, rows, err})
	case ReadDefinition:
		def, err := m.store.Definition(ctx, e.Key.Workflow, e.Key.Version)
		m.answer(ctx, "read definition", err, DefinitionRead{e.Key, def, err})
	case HandOver:
		_, err := m.store.Order(ctx, e.Item)
		m.answer(ctx, "hand over", err, HandedOver{e.Conn, e.Token, err})
	case Register:
		lease, err := m.store.Register(ctx, e.Node)
		m.answer(ctx, "register worker", err, Registered{e.Conn, lease, err})
	case Quarantine:
		m.quarantine(ctx, e)
	case Beat:
		m.heartbeat(ctx, e)
	}
}

func (m *Master) answer(ctx context.Context, what string, err error, ev Event) {
	if err != nil && ctx.Err() == nil {
		m.log.LogAttrs(ctx, slog.LevelWarn, "the store did not answer", slog.String("asked", what), slog.Any("error", err))
	}
	m.post(ctx, ev)
}

func (m *Master) commitLoop(ctx context.Context, lane int) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-m.lanes[lane]:
			res, err := m.store.Commit(ctx, c.Batch)
			if err != nil && ctx.Err() == nil {
				m.log.LogAttrs(ctx, slog.LevelWarn, "commit", slog.Int("changes", len(c.Batch.Changes)), slog.Any("error", err))
			}
			m.post(ctx, Committed{lane, res, err})
		}
	}
}

func (m *Master) quarantine(ctx context.Context, e Quarantine) {
	if !e.Again {
		m.log.LogAttrs(ctx, slog.LevelError, "quarantine", slog.String("instance", e.ID.String()), slog.String("reason", e.Reason), slog.String("stack", string(e.Stack)))
	}
	var err error
	now := m.clock.Now()
	if e.Command {
		err = m.store.QuarantineCommand(ctx, e.ID, e.Reason, now)
	} else {
		err = m.store.Quarantine(ctx, m.node.Incarnation, e.ID, e.Reason, now)
	}
	m.answer(ctx, "quarantine", err, Quarantined{e.ID, err})
}

func (m *Master) heartbeat(ctx context.Context, e Beat) {
	if err := m.store.Heartbeat(ctx, m.node); errors.Is(err, flow.ErrFenced) {
		m.post(ctx, Committed{Lane: 0, Err: err})
		return
	} else if err != nil && ctx.Err() == nil {
		m.log.LogAttrs(ctx, slog.LevelWarn, "heartbeat", slog.Any("error", err))
		return
	}
	for _, n := range e.Sessions {
		err := m.store.Heartbeat(ctx, n)
		if errors.Is(err, flow.ErrFenced) {
			m.closeSession(n.Incarnation)
		} else if err != nil && ctx.Err() == nil {
			m.log.LogAttrs(ctx, slog.LevelWarn, "heartbeat of worker", slog.String("worker", n.Name), slog.Any("error", err))
		}
	}
}

// sweep looks for masters whose lease is over, and fences them.
func (m *Master) sweep(ctx context.Context) error {
	every := time.NewTicker(m.cfg.Lease / 2)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-every.C:
		}
		dead, err := m.store.Expired(ctx, m.node.Incarnation)
		if err != nil {
			if ctx.Err() == nil {
				m.log.LogAttrs(ctx, slog.LevelWarn, "look for dead masters", slog.Any("error", err))
			}
			continue
		}
		for _, d := range dead {
			if _, err := m.store.Fence(ctx, d); err != nil {
				m.log.LogAttrs(ctx, slog.LevelWarn, "fence", slog.Int64("incarnation", d), slog.Any("error", err))
				continue
			}
			m.log.LogAttrs(ctx, slog.LevelWarn, "fenced a dead master", slog.Int64("incarnation", d))
			m.post(ctx, Fenced{d})
		}
	}
}
