package etcd_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/etcd"
	"baton/internal/registry/registrytest"
	"baton/internal/registry/registrytest/servers"
)

var backend = registrytest.Backend{
	Lease: 2 * time.Second,
	Wipe:  func(t testing.TB, s registrytest.Server) { s.(*servers.Process).Wipe(t) },
	Serve: func(t testing.TB) registrytest.Server { return servers.Etcd(t) },
	Open: func(ctx context.Context, address, space string, log *slog.Logger) (registry.Registry, error) {
		return etcd.Open(ctx, "etcd://"+address+"/tests/"+space, log)
	},
}

func TestMain(m *testing.M) { os.Exit(registrytest.Main(m, backend)) }

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, backend)
}

// A watch whose past was compacted away while it was cut off reads everything anew.
func TestCompacted(t *testing.T) {
	t.Parallel()
	server := servers.Etcd(t)
	admin := administer(t, server.Address())
	r, err := etcd.Open(t.Context(), "etcd://"+server.Address()+"/x", quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	views := r.Watch(t.Context())
	wait(t, views, func(v registry.View) bool { return v.Since != 0 })
	server.Kill(t)
	wait(t, views, func(v registry.View) bool { return v.Since == 0 })
	server.Start(t)
	// Before the watch is back its revision is gone; or it is back before, which is as good.
	put(t, admin, "/x/members/7", `{"incarnation":7,"role":"master","name":"seven"}`)
	last := put(t, admin, "/x/members/8", "not JSON")
	if _, err := admin.Compact(t.Context(), last, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	v := wait(t, views, func(v registry.View) bool { return v.Since != 0 && len(v.Members) == 1 })
	if v.Members[0].Name != "seven" {
		t.Errorf("%+v", v)
	}
	// It goes on from there.
	put(t, admin, "/x/members/9", `{"incarnation":9}`)
	put(t, admin, "/x/members/10", `{"incarnation":11}`) // not who it says
	wait(t, views, func(v registry.View) bool { return len(v.Members) == 2 })
	if _, err := admin.Delete(t.Context(), "/x/members/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	wait(t, views, func(v registry.View) bool { return len(v.Members) == 0 })
}

// Users and permissions: what the registry refuses is told at once, with the remedy.
func TestUsers(t *testing.T) {
	t.Parallel()
	server := servers.Etcd(t)
	admin := administer(t, server.Address())
	for _, err := range []error{
		second(admin.UserAdd(t.Context(), "root", "r")), second(admin.UserGrantRole(t.Context(), "root", "root")),
		second(admin.UserAdd(t.Context(), "baton", "right:/@")), second(admin.RoleAdd(t.Context(), "baton")),
		second(admin.RoleGrantPermission(t.Context(), "baton", "/baton/", "/baton0", clientv3.PermissionType(clientv3.PermReadWrite))),
		second(admin.UserGrantRole(t.Context(), "baton", "baton")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	announce := func(url string) error {
		t.Helper()
		r, err := etcd.Open(t.Context(), url, quiet(t))
		if err != nil {
			return err
		}
		defer r.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err = r.Announce(ctx, registry.Member{Incarnation: 1}, 5*time.Second); err != nil {
			return err
		}
		l, err := r.Acquire(ctx, "name", 1, 5*time.Second)
		if err != nil {
			return err
		}
		v := wait(t, r.Watch(ctx), func(v registry.View) bool { return len(v.Members) == 1 })
		if v.Since == 0 {
			t.Error("since 0")
		}
		return l.Release(ctx)
	}
	at := func(user, path string) string { return "etcd://" + user + server.Address() + path }
	if _, err := admin.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := announce(at("baton:right%3A%2F%40@", "")); err != nil {
		t.Errorf("right: %v", err)
	}
	if err := announce(at("baton:wrong@", "")); !refused(err, "user or the password") {
		t.Errorf("wrong password: %v", err)
	}
	if err := announce(at("baton:right%3A%2F%40@", "/elsewhere")); !refused(err, "grant-permission") {
		t.Errorf("not permitted: %v", err)
	}
	if err := announce(at("", "")); !refused(err, "user or the password") {
		t.Errorf("no user: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"http://h":                           "etcd://",
		"etcd://":                            "host:port",
		"etcd://h:port":                      "no port",
		"etcd://u:secret@h:1,:2":             "host:port",
		"etcd://h?nosuch=1":                  "no option",
		"etcd://h?ca=/x":                     "tls=true",
		"etcd://h?tls=yes":                   "tls=true",
		"etcd://h?tls=true&ca=/no/such/file": "/no/such/file",
		"etcd://h?tls=true&cert=/no/such/file&key=/x": "cert and key",
		"etcd://:p@h": "URL-encoded",
	} {
		_, err := etcd.Open(t.Context(), url, quiet(t))
		e, ok := errors.AsType[*flow.Error](err)
		if !ok || e.Field != "registry" || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"etcd://h", "etcd://u:p@h:1,[::1]:2,other/some/prefix/", "etcd://h?tls=true&server-name=x"} {
		r, err := etcd.Open(t.Context(), url, quiet(t))
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// Over TLS, with a certificate of an authority that is named.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := registrytest.Certificate(t)
	server := servers.EtcdTLS(t, cert, key)
	r, err := etcd.Open(t.Context(), "etcd://"+server.Address()+"?tls=true&ca="+cert, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := r.Announce(ctx, registry.Member{Incarnation: 1}, 5*time.Second); err != nil {
		t.Error(err)
	}
}

func refused(err error, says string) bool {
	e, ok := errors.AsType[*flow.Error](err)
	return ok && e.Field == "registry" && strings.Contains(err.Error(), says)
}

func second[T any](_ T, err error) error { return err }

func quiet(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func administer(t *testing.T, address string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func put(t *testing.T, c *clientv3.Client, key, value string) (revision int64) {
	t.Helper()
	r, err := c.Put(t.Context(), key, value)
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.Revision
}

func wait(t *testing.T, views <-chan registry.View, want func(registry.View) bool) registry.View {
	t.Helper()
	var last registry.View
	for deadline := time.After(40 * time.Second); ; {
		select {
		case last = <-views:
			if want(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("last seen: %+v", last)
		}
	}
}
