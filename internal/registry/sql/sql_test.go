package sql_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/registrytest"
	"baton/internal/registry/sql"
	"baton/internal/store"
	"baton/internal/store/storetest/pgtest"
)

// closing closes the store with its registry.
type closing struct {
	registry.Registry
	db *store.DB
}

func (c closing) Close() error {
	err := c.Registry.Close()
	if closeErr := c.db.Close(); err == nil {
		err = closeErr
	}
	return err
}

func dsn(address, database string) string {
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Host: address, Path: "/" + database, RawQuery: "sslmode=disable"}).String()
}

func opening(direct bool) func(context.Context, string, string, *slog.Logger) (registry.Registry, error) {
	return func(ctx context.Context, address, database string, log *slog.Logger) (registry.Registry, error) {
		db, err := store.Open(ctx, dsn(address, database), store.Options{})
		if err != nil {
			return nil, err
		}
		var s sql.Store = db.Registry()
		if !direct {
			s = deaf{s}
		}
		r, err := sql.Open(ctx, s, log)
		return closing{r, db}, err
	}
}

// deaf is a store without a direct connection.
type deaf struct{ sql.Store }

func (deaf) Listen(context.Context, func(flow.NodeChange)) error { return flow.ErrNoChannel }

func space(t testing.TB, address, name string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn(address, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	with(t, address, name, func(*store.DB) {}) // makes the schema
}

// with runs fn on the store of a space.
func with(t testing.TB, address, database string, fn func(*store.DB)) {
	t.Helper()
	db, err := store.Open(t.Context(), dsn(address, database), store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fn(db)
}

func register(t testing.TB, address, database, role string) (incarnation int64) {
	t.Helper()
	with(t, address, database, func(db *store.DB) { incarnation = registerIn(t, db, role) })
	return incarnation
}

func registerIn(t testing.TB, db *store.DB, role string) int64 {
	t.Helper()
	l, err := db.Master().Register(t.Context(), flow.Node{Role: role, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	// It is announced by the test, not by being registered.
	if err := db.Registry().Withdraw(t.Context(), []int64{l.Incarnation}); err != nil {
		t.Fatal(err)
	}
	return l.Incarnation
}

var backend = registrytest.Backend{
	Lease:    2 * time.Second,
	Serve:    func(t testing.TB) registrytest.Server { return pgtest.Start(t) },
	Space:    space,
	Open:     opening(true),
	Register: register,
}

func TestMain(m *testing.M) { os.Exit(registrytest.Main(m, backend)) }

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, backend)
}

// Without a direct connection everything is seen too, by reading.
func TestWithoutTelling(t *testing.T) {
	t.Parallel()
	b := backend
	b.Open = opening(false)
	registrytest.Run(t, b, "members/", "faults/expired", "leases/contend")
}

// Who was declared dead cannot announce itself, and is told so; others of the process can.
func TestFenced(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	space(t, server.Address(), "fenced")
	db, err := store.Open(t.Context(), dsn(server.Address(), "fenced"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r, err := sql.Open(t.Context(), db.Registry(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	dead, alive := registerIn(t, db, flow.RoleMaster), registerIn(t, db, flow.RoleMaster)
	p, err := r.Announce(t.Context(), registry.Member{Incarnation: dead}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Master().Fence(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	fenced := flow.At(time.Now())
	views := r.Watch(t.Context())
	v := <-views
	for v.Since == 0 || len(v.Members) > 0 { // fenced it is no member
		v = <-views
	}
	for now := flow.At(time.Now()); now < p.Until(); now = flow.At(time.Now()) {
		if now > fenced.Add(2*time.Second) {
			t.Fatal("the lease of a fenced master was renewed")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := p.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := r.Announce(t.Context(), registry.Member{Incarnation: dead}, 2*time.Second); !errors.Is(err, flow.ErrFenced) {
		t.Errorf("announced again: %v", err)
	}
	if _, err := r.Announce(t.Context(), registry.Member{Incarnation: alive}, 3*time.Second); err != nil {
		t.Error(err)
	}
}
