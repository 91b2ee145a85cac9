package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/registry"
	"baton/internal/rpc"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestWhatIsOutOfReachIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, tries := &starting{}, 0
		ready := func() *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
			return rec
		}
		got, err := persist(t.Context(), quiet(), s, "store", func() (int, error) {
			if tries++; tries < 30 {
				return 0, flow.Errorf(flow.CodeUnavailable, "store", "cannot be reached")
			}
			if rec := ready(); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "store: ") || !strings.Contains(rec.Body.String(), "cannot be reached") {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			return 7, nil
		})
		if got != 7 || err != nil || tries != 30 {
			t.Errorf("%d, %v after %d tries", got, err, tries)
		}
		if rec := ready(); rec.Code != http.StatusServiceUnavailable || strings.TrimSpace(rec.Body.String()) != "starting" {
			t.Errorf("the store is there: %d %s", rec.Code, rec.Body)
		}
	})
}

func TestWhatOnlyAPersonMendsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	tries := 0
	_, err := persist(t.Context(), quiet(), nil, "store", func() (int, error) {
		tries++
		return 0, flow.Errorf(flow.CodeConflict, "store", "written by a newer Baton")
	})
	if tries != 1 || flow.CodeOf(err) != flow.CodeConflict {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// A fenced master is followed by another incarnation; one that can never work ends the process.
func TestFencedMasterJoinsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var lives []*master.Master
		d := newMastering(quiet(), func() *master.Master {
			return master.New(master.Config{}, nil, nil, flow.Node{}, quiet())
		}, func(_ context.Context, m *master.Master) error {
			if lives = append(lives, m); len(lives) == 3 {
				cancel()
			}
			return flow.ErrFenced
		})
		_, next := d.current()
		if err := d.run(ctx); err != nil {
			t.Error(err)
		}
		if len(lives) != 3 || lives[0] == lives[1] || !isClosed(next) {
			t.Errorf("%d incarnations, told: %v", len(lives), isClosed(next))
		}
		wrong := flow.Errorf(flow.CodeConflict, "registry", "two clusters")
		d = newMastering(quiet(), d.make, func(context.Context, *master.Master) error { return wrong })
		if err := d.run(t.Context()); !errors.Is(err, wrong) {
			t.Errorf("it goes on although %v", err)
		}
	})
}

// A port that is taken over: who dials between two that serve is served by the second.
func TestGateOutlivesWhoServes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(&exhausted{Listener: l})
	defer g.Close()
	greet := func(turn net.Listener, word string) {
		if c, err := turn.Accept(); err == nil {
			_, _ = io.WriteString(c, word)
			_ = c.Close()
		}
	}
	first := g.turn()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a turn that is over takes connections: %v", err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go greet(g.turn(), "second")
	if said, _ := io.ReadAll(c); string(said) != "second" {
		t.Errorf("heard %q", said)
	}
	_ = g.Close()
	if _, err := g.turn().Accept(); err == nil {
		t.Error("it accepts although it is closed")
	}
}

// exhausted is a listener of a process that had too many open files at first.
type exhausted struct {
	net.Listener
	over atomic.Bool
}

func (e *exhausted) Accept() (net.Conn, error) {
	if !e.over.Swap(true) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.Listener.Accept()
}

func TestMastersOfAnotherRegistryAreRefused(t *testing.T) {
	t.Parallel()
	view := func(ids ...int64) registry.View {
		v := registry.View{Since: 1}
		for _, id := range ids {
			v.Members = append(v.Members, registry.Member{Incarnation: id, Role: flow.RoleMaster})
		}
		return v
	}
	for name, c := range map[string]struct {
		view   registry.View
		peer   flow.Peer
		answer rpc.Outcome
		fails  bool
	}{
		"shown":            {view(5), flow.Peer{Incarnation: 5, Name: "m5"}, rpc.Silent, false},
		"not shown":        {view(), flow.Peer{Incarnation: 5, Name: "m5", Address: "h:1"}, rpc.Alive, true},
		"out of reach":     {view(), flow.Peer{Incarnation: 5, Name: "m5", Address: "h:1"}, rpc.Silent, true},
		"gone":             {view(), flow.Peer{Incarnation: 5, Name: "m5", Address: "h:1"}, rpc.Gone, false},
		"dead":             {view(), flow.Peer{Incarnation: 5, Name: "m5", Fenced: true}, rpc.Silent, false},
		"silent":           {view(), flow.Peer{Incarnation: 5, Name: "m5", Stale: true}, rpc.Silent, false},
		"registry is away": {registry.View{}, flow.Peer{Incarnation: 5, Name: "m5"}, rpc.Silent, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := neighbours{
					name: "m1", registry: "etcd://b", lease: 10 * time.Second, log: quiet(),
					peers: func(context.Context) ([]flow.Peer, error) { return []flow.Peer{c.peer}, nil },
					watch: func(ctx context.Context) <-chan registry.View {
						out := make(chan registry.View, 1)
						out <- c.view
						context.AfterFunc(ctx, func() { close(out) })
						return out
					},
					probe: func(context.Context, int64, string, time.Duration) rpc.Outcome { return c.answer },
				}.check(t.Context())
				if (err != nil) != c.fails {
					t.Fatalf("%v", err)
				}
				if c.fails && (!strings.Contains(err.Error(), "m5 (h:1)") || !strings.Contains(err.Error(), "etcd://b") || time.Since(began) < 10*time.Second) {
					t.Errorf("after %s: %v", time.Since(began), err)
				}
			})
		})
	}
}

// Metrics of a standalone server hold those of its master.
func TestMetricsOfTheMaster(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data)
	raw, err := os.ReadFile(data + "/" + serverFile)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(string(raw))+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"baton_commits_total{result=\"ok\"}", "baton_commit_seconds_bucket{le=\"+Inf\"}", "baton_instances_owned 0", "baton_sessions ", "baton_slots{state=\"free\"}", "baton_takeovers_total 0", "baton_lease_age_seconds ", "baton_stray_rows 0"} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
