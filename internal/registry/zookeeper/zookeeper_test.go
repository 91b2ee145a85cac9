package zookeeper_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/registrytest"
	"baton/internal/registry/registrytest/servers"
	"baton/internal/registry/zookeeper"
)

var backend = registrytest.Backend{
	Lease: 2 * time.Second,
	Wipe:  func(t testing.TB, s registrytest.Server) { s.(*servers.Process).Wipe(t) },
	Serve: func(t testing.TB) registrytest.Server { return servers.ZooKeeper(t) },
	Open: func(ctx context.Context, address, space string, log *slog.Logger) (registry.Registry, error) {
		return zookeeper.Open(ctx, "zookeeper://"+address+"/tests/"+space, log)
	},
}

func TestMain(m *testing.M) { os.Exit(registrytest.Main(m, backend)) }

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, backend)
}

func announce(t *testing.T, url string, m registry.Member, lease time.Duration) (registry.Registry, registry.Presence, error) {
	t.Helper()
	r, err := zookeeper.Open(t.Context(), url, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := r.Announce(ctx, m, lease)
	return r, p, err
}

func dial(t *testing.T, address string) *zk.Conn {
	t.Helper()
	c, _, err := zk.Connect([]string{address}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// With a user the nodes are the user's alone, and who is refused is told at once.
func TestUsers(t *testing.T) {
	t.Parallel()
	address := servers.ZooKeeper(t).Address()
	if _, _, err := announce(t, "zookeeper://baton:right@"+address+"/a/b", registry.Member{Incarnation: 1}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"baton:wrong@", "other:right@", ""} {
		_, _, err := announce(t, "zookeeper://"+user+address+"/a/b", registry.Member{Incarnation: 2}, 5*time.Second)
		e, ok := errors.AsType[*flow.Error](err)
		if !ok || e.Field != "registry" || !strings.Contains(err.Error(), "refuses the user") {
			t.Errorf("%s: %v", user, err)
		}
	}
	if _, _, err := dial(t, address).Get("/a/b/members/1"); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("a stranger reads it: %v", err)
	}
}

// A server may agree to less than was asked for; then no more is believed.
func TestShorterSession(t *testing.T) {
	t.Parallel()
	address := servers.ZooKeeper(t).Address() // 5 s at most
	before := flow.At(time.Now())
	_, p, err := announce(t, "zookeeper://"+address, registry.Member{Incarnation: 1}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if until := p.Until(); until < before.Add(4*time.Second) || until > flow.At(time.Now()).Add(5*time.Second) {
		t.Errorf("until %s, announced at %s", until, before)
	}
}

// A node of an earlier session of the same member is replaced: it would vanish with that session.
func TestNodeOfAnEarlierSession(t *testing.T) {
	t.Parallel()
	address := servers.ZooKeeper(t).Address()
	old := dial(t, address)
	for _, dir := range []string{"/baton", "/baton/members"} {
		if _, err := old.Create(dir, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.Create("/baton/members/1", []byte(`{"incarnation":1,"name":"old"}`), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Create("/baton/members/strange", []byte("not JSON"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	r, _, err := announce(t, "zookeeper://"+address, registry.Member{Incarnation: 1, Name: "new"}, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	views := r.Watch(t.Context())
	for deadline := time.After(40 * time.Second); ; {
		select {
		case v := <-views:
			if v.Since == 0 || len(v.Members) != 1 || v.Members[0].Name != "new" {
				t.Fatalf("%+v", v)
			}
			return
		case <-deadline:
			t.Fatal("nothing is seen")
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"etcd://h":              "zookeeper://",
		"zookeeper://h/a//b":    "empty part",
		"zookeeper://h/a/../b":  "no path of a node",
		"zookeeper://a b":       "host:port",
		"zookeeper://h?tls=yes": "tls=true",
	} {
		_, err := zookeeper.Open(t.Context(), url, slog.New(slog.DiscardHandler))
		e, ok := errors.AsType[*flow.Error](err)
		if !ok || e.Field != "registry" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
