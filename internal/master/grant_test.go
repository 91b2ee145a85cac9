package master

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
)

// preparing is a store of which only environments are asked for. The first question fails: the store is away.
type preparing struct {
	Store
	asked *int
	have  map[string]flow.Environment
}

func (p preparing) Environment(_ context.Context, name string) (flow.Environment, error) {
	*p.asked++
	if *p.asked == 1 {
		return flow.Environment{}, errors.New("connection refused")
	}
	e, ok := p.have[name]
	if !ok {
		return e, flow.NoEnvironment(name, []string{"spark3"})
	}
	return e, nil
}

// What an environment says is read when attempts are granted, once a step and until the store answers, and what cannot
// be fails the attempt with a sentence.
func TestGrantsInAnEnvironment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		store := preparing{asked: &asked, have: map[string]flow.Environment{
			"spark3": {Name: "spark3", Version: 4, Env: []flow.EnvVar{{Name: "A", Value: "1"}}, Script: "x", Groups: []string{"spark"}},
			"plain":  {Name: "plain", Version: 1, Env: []flow.EnvVar{{Name: "A", Value: "2"}}},
		}}
		m := New(DefaultConfig(), store, task.NewSet(), flow.Node{}, slog.New(slog.DiscardHandler))
		m.length.Store(int64(4 * time.Second))
		for id, hello := range map[int64]*rpc.Hello{1: {Name: "new", Sources: true}, 2: {Name: "old"}} {
			m.conns[id] = newStream(id, nil)
			m.conns[id].hello(hello)
		}
		step := func(grants ...Grant) (said []string) {
			out := m.frames()
			for _, g := range grants {
				g.Order.Env = map[string]string{"BATON_FENCE": "1"}
				m.sendGrant(t.Context(), out, g)
			}
			out.flush()
			for range grants {
				var got *rpc.FromMaster
				select {
				case e := <-m.events:
					u, _ := e.(Unsendable)
					said = append(said, u.Cause+": "+u.Reason)
					continue
				case <-m.conns[1].wake:
					got, _ = m.conns[1].pop()
				case <-m.conns[2].wake:
					got, _ = m.conns[2].pop()
				}
				for _, g := range got.GetGrants() {
					said = append(said, strings.TrimSpace(g.Env["A"]+" "+g.Setup.GetEnvironment()+" "+g.Setup.GetScript()))
				}
				synctest.Wait()
			}
			return said
		}
		order := func(name, group string) engine.Order { return engine.Order{Environment: name, Group: group} }
		for _, c := range []struct {
			grant Grant
			want  string
		}{
			{Grant{Conn: 1, Order: order("spark3", "spark")}, "1 spark3 x"},
			{Grant{Conn: 2, Order: order("plain", "default")}, "2 plain"}, // variables are for every worker
			{Grant{Conn: 1, Order: order("", "default")}, ""},
			{Grant{Conn: 2, Order: order("spark3", "spark")}, `environment: worker old is of an earlier version and would leave out the script of environment "spark3": it must be updated first`},
			{Grant{Conn: 1, Order: order("spark3", "default")}, `environment: environment "spark3" may not be used in the worker group "default"; it is for spark`},
			{Grant{Conn: 1, Order: order("spark4", "default")}, `environment: there is no environment "spark4"; did you mean "spark3"?`},
		} {
			if got := step(c.grant); len(got) != 1 || got[0] != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		}
		asked = 1
		store.have["plain"] = flow.Environment{Name: "plain", Version: 2, Env: []flow.EnvVar{{Name: "A", Value: "3"}}}
		step(Grant{Conn: 2, Order: order("plain", "default")}, Grant{Conn: 1, Order: order("plain", "default")})
		if asked != 2 {
			t.Errorf("asked %d times for the grants of one step", asked-1)
		}
		if got := step(Grant{Conn: 2, Order: order("plain", "default")}); got[0] != "3 plain" || asked != 3 {
			t.Errorf("got %q: the next step asks anew, %d", got, asked)
		}
	})
}
