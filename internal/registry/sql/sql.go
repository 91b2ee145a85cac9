// Package sql is the registry in the store itself: a member is a live row of the nodes, a name is
// a row with an end, both by the clock of the database. Changes are told on a channel of the
// database; what no telling comes through for is found by reading about once a second.
//
// It must not know a database: Store is what it needs of one.
package sql

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/client"
)

// Store is what a registry needs of the store. Leases are by the clock of the database.
type Store interface {
	// Announce says what is new of a registered node and renews its lease; tell wakes who listens.
	// flow.ErrFenced if it was declared dead or is not known.
	Announce(ctx context.Context, n flow.Node, lease time.Duration, tell bool) error
	// Renew renews the leases of nodes; flow.ErrFenced if one of them was declared dead.
	Renew(ctx context.Context, incarnations []int64, lease time.Duration) error
	// Withdraw ends the leases of nodes, and wakes who listens.
	Withdraw(ctx context.Context, incarnations []int64) error
	// Members returns the live nodes by incarnation, when that was by the clock of the database, and how
	// long the first of them is one without being renewed; 0 if there is none.
	Members(ctx context.Context) (nodes []flow.Node, at flow.Time, ends time.Duration, err error)

	// Claim takes a name if nobody has it: fence is not 0. Otherwise it is free after some time at the
	// latest. With an error and a fence the name may have been taken all the same.
	Claim(ctx context.Context, name string, holder int64, lease time.Duration) (fence int64, free time.Duration, err error)
	// Keep renews names; flow.ErrFenced if one of them is not held under its fence any more.
	Keep(ctx context.Context, names []string, fences []int64, lease time.Duration) error
	// Give gives names back, and wakes who listens.
	Give(ctx context.Context, names []string, fences []int64) error

	// Listen calls heard when it can hear, with nothing, and with every change that is told, until ctx is done or the connection
	// is lost; flow.ErrNoChannel if there is no way to hear.
	Listen(ctx context.Context, heard func(flow.NodeChange)) error
}

type backend struct {
	store Store
	log   *slog.Logger

	stop func()
	ears sync.WaitGroup

	reading chan struct{} // has one while nobody reads

	mu      sync.Mutex
	told    chan struct{}           // closed and replaced when something may have changed
	tell    func([]registry.Member) // of the watch
	members []registry.Member       // as told last; never changed in place
	at      flow.Time               // when they were read
	ends    time.Duration           // how long they are members
	heard   []flow.NodeChange       // since they were begun to be read
}

// Open returns a client of the registry in a store.
func Open(_ context.Context, store Store, log *slog.Logger) (registry.Registry, error) { //nolint:contextcheck // listening outlives this call
	b := &backend{store: store, log: log, told: make(chan struct{}), reading: make(chan struct{}, 1)}
	b.reading <- struct{}{}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.ears.Go(func() { b.listen(ctx) })
	return client.New(b, log), nil
}

// retryListen is the pause before listening again. Meanwhile there is the reading.
const retryListen = time.Second

func (b *backend) listen(ctx context.Context) {
	deaf := false
	for {
		err := b.store.Listen(ctx, func(c flow.NodeChange) { deaf = false; b.hear(c) })
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, flow.ErrNoChannel):
			b.log.LogAttrs(ctx, slog.LevelInfo, "changes of the registry are seen within about a second; `store-direct` makes it milliseconds")
			return
		case !deaf:
			deaf = true
			b.log.LogAttrs(ctx, slog.LevelWarn, "cannot listen to changes of the registry; they are seen within about a second", slog.Any("error", err))
		}
		pause := time.NewTimer(retryListen)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// hear tells a change at once, as far as it goes, and has everything read anew soon: a change that
// is told was made before it was committed, so its time alone does not order it with what was read.
func (b *backend) hear(c flow.NodeChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Node != nil || len(c.Gone) > 0 {
		b.heard = append(b.heard, c)
		if b.show(c); b.tell != nil {
			b.tell(b.members)
		}
	}
	close(b.told)
	b.told = make(chan struct{})
}

// show applies a change that is newer than what was read.
func (b *backend) show(c flow.NodeChange) {
	if c.At > b.at {
		b.members = apply(b.members, c)
	}
}

// apply returns the members after a change.
func apply(members []registry.Member, c flow.NodeChange) []registry.Member {
	out := slices.DeleteFunc(slices.Clone(members), func(m registry.Member) bool {
		return slices.Contains(c.Gone, m.Incarnation) || c.Node != nil && c.Node.Incarnation == m.Incarnation
	})
	if c.Node == nil {
		return out
	}
	place, _ := slices.BinarySearchFunc(out, c.Node.Incarnation, func(m registry.Member, id int64) int { return cmp.Compare(m.Incarnation, id) })
	return slices.Insert(out, place, member(*c.Node))
}

func member(n flow.Node) registry.Member {
	return registry.Member{
		Incarnation: n.Incarnation, Role: n.Role, Name: n.Name, Address: n.Address, Version: n.Version, Engine: n.Engine, State: n.State,
		Load: registry.Load{CPU: n.CPU, Memory: n.Memory, Slots: n.Slots, Used: n.Running},
	}
}

// news is closed when something may have changed after this call.
func (b *backend) news() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

// explain tells what stays an error.
func explain(err error) error {
	if errors.Is(err, flow.ErrFenced) || flow.CodeOf(err) == flow.CodeBadRequest {
		return client.Permanent(err)
	}
	return err
}

// Open implements client.Backend. A session is a number of rows, and there is none yet; but the
// store must answer.
func (b *backend) Open(ctx context.Context, length time.Duration) (client.Session, time.Duration, error) {
	if err := b.store.Renew(ctx, nil, length); err != nil {
		return nil, 0, explain(err)
	}
	return &session{backend: b, length: length, members: map[int64]registry.Member{}, names: map[int64]string{}}, length, nil
}

// read reads the members and tells them.
func (b *backend) read(ctx context.Context) error {
	select {
	case <-b.reading:
		defer func() { b.reading <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	before := len(b.heard)
	b.mu.Unlock()
	nodes, at, ends, err := b.store.Members(ctx)
	if err != nil {
		return err
	}
	members := make([]registry.Member, len(nodes))
	for i, n := range nodes {
		members[i] = member(n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members, b.at, b.ends, b.heard = members, at, ends, slices.Clone(b.heard[before:])
	for _, c := range b.heard {
		b.show(c)
	}
	if b.tell != nil {
		b.tell(b.members)
	}
	return nil
}

// gather is how long changes are gathered that were told already, before they are read.
const gather = 100 * time.Millisecond

// next is when to read again if nothing is told.
func (b *backend) next() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.heard) > 0:
		return gather
	case b.ends == 0:
		return time.Hour
	}
	return b.ends + time.Millisecond
}

// Watch implements client.Backend. It reads when something was told and when the first lease ends;
// probes do the rest.
func (b *backend) Watch(ctx context.Context, tell func([]registry.Member)) error {
	b.mu.Lock()
	b.tell = tell
	b.mu.Unlock()
	for {
		told := b.news()
		if err := b.read(ctx); err != nil {
			return err
		}
		if err := b.wait(ctx, told); err != nil {
			return err
		}
	}
}

// wait returns when it is time to read.
func (b *backend) wait(ctx context.Context, told <-chan struct{}) error {
	for {
		next := b.next()
		timer := time.NewTimer(next)
		select {
		case <-told:
			timer.Stop()
			if told = b.news(); b.next() == gather {
				continue // it was shown, there may be more
			}
			return nil
		case <-timer.C:
			return nil
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Probe implements client.Backend: the reading about once a second.
func (b *backend) Probe(ctx context.Context) error { return b.read(ctx) }

// Close implements client.Backend.
func (b *backend) Close() error {
	b.stop()
	b.ears.Wait()
	return nil
}
