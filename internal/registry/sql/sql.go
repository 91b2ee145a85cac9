// Package sql is the registry in the store itself: a member is a live row of the nodes, a name is
// a row with an end, both by the clock of the database. Changes are told on a channel of the
// database; what no telling comes through for is found by reading about once a second.
//
// It must not know a database: Store is what it needs of one.
package sql

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/client"
)

// Store is what a registry needs of the store. Leases are by the clock of the database.
type Store interface {
	// Announce says what is new of a registered node and renews its lease; flow.ErrFenced if it was
	// declared dead or is not known.
	Announce(ctx context.Context, n flow.Node, lease time.Duration) error
	// Renew renews the leases of nodes; flow.ErrFenced if one of them was declared dead.
	Renew(ctx context.Context, incarnations []int64, lease time.Duration) error
	// Withdraw ends the leases of nodes.
	Withdraw(ctx context.Context, incarnations []int64) error
	// Members returns the live nodes by incarnation, and how long the first of them is that without
	// being renewed; 0 if there is none.
	Members(ctx context.Context) (nodes []flow.Node, ends time.Duration, err error)

	// Claim takes a name if nobody has it: fence is not 0. Otherwise it is free after some time at the
	// latest. With an error and a fence the name may have been taken all the same.
	Claim(ctx context.Context, name string, holder int64, lease time.Duration) (fence int64, free time.Duration, err error)
	// Keep renews names; flow.ErrFenced if one of them is not held under its fence any more.
	Keep(ctx context.Context, names []string, fences []int64, lease time.Duration) error
	// Give gives names back.
	Give(ctx context.Context, names []string, fences []int64) error

	// Tell wakes everybody who listens.
	Tell(ctx context.Context) error
	// Listen calls heard when it can hear, and after every Tell, until ctx is done or the connection
	// is lost; flow.ErrNoChannel if there is no way to hear.
	Listen(ctx context.Context, heard func()) error
}

type backend struct {
	store Store
	log   *slog.Logger

	stop func()
	ears sync.WaitGroup

	mu   sync.Mutex
	told chan struct{} // closed and replaced when something may have changed

	reading chan struct{} // has one while nobody reads: views are told in the order they were read
	tell    func([]registry.Member)
	ends    time.Duration // of what was read last
}

// Open returns a client of the registry in a store.
func Open(_ context.Context, store Store, log *slog.Logger) (registry.Registry, error) {
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
		err := b.store.Listen(ctx, func() { deaf = false; b.heard() })
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

func (b *backend) heard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.told)
	b.told = make(chan struct{})
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
	nodes, ends, err := b.store.Members(ctx)
	if err != nil {
		return err
	}
	members := make([]registry.Member, len(nodes))
	for i, n := range nodes {
		members[i] = registry.Member{
			Incarnation: n.Incarnation, Role: n.Role, Name: n.Name, Address: n.Address, Version: n.Version, Engine: n.Engine, State: n.State,
			Load: registry.Load{CPU: n.CPU, Memory: n.Memory, Slots: n.Slots, Used: n.Running},
		}
	}
	b.ends = ends
	if b.tell != nil {
		b.tell(members)
	}
	return nil
}

// Watch implements client.Backend. It reads when something was told and when the first lease ends;
// probes do the rest.
func (b *backend) Watch(ctx context.Context, tell func([]registry.Member)) error {
	<-b.reading
	b.tell = tell
	b.reading <- struct{}{}
	for {
		told := b.news()
		if err := b.read(ctx); err != nil {
			return err
		}
		<-b.reading
		ends := b.ends
		b.reading <- struct{}{}
		if ends == 0 {
			ends = time.Hour
		}
		timer := time.NewTimer(ends + time.Millisecond)
		select {
		case <-told:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
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
