package registry_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"baton/internal/registry"
)

// fake is a registry that shows what it is told to.
type fake struct {
	registry.Registry
	views chan registry.View
	said  registry.Member
}

func (f *fake) Watch(context.Context) <-chan registry.View { return f.views }

func (f *fake) Announce(_ context.Context, m registry.Member, _ time.Duration) (registry.Presence, error) {
	f.said = m
	return presence{f: f}, nil
}

type presence struct {
	registry.Presence
	f *fake
}

func (p presence) Update(m registry.Member) { p.f.said = m }

func TestMembersOfOtherClustersAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, cluster := range []string{"a", ""} {
		var log bytes.Buffer
		f := &fake{views: make(chan registry.View)}
		r := registry.Within(f, cluster, slog.New(slog.NewTextHandler(&log, nil)))
		v := registry.View{Since: 1, Members: []registry.Member{{Incarnation: 1, Cluster: "a"}, {Incarnation: 2, Name: "stranger", Cluster: "b"}, {Incarnation: 3}}}
		got := r.Watch(t.Context())
		for range 2 {
			f.views <- v
			seen := <-got
			if len(seen.Members) != 2 || seen.Members[0].Incarnation != 1 || seen.Members[1].Incarnation != 3 || seen.Since != 1 {
				t.Errorf("%+v", seen)
			}
		}
		if n := strings.Count(log.String(), "another cluster"); n != 1 || !strings.Contains(log.String(), "stranger") {
			t.Errorf("warned %d times: %s", n, log.String())
		}
		close(f.views)
		p, err := r.Announce(t.Context(), registry.Member{Incarnation: 9}, time.Second)
		if err != nil || f.said.Cluster != "a" {
			t.Errorf("announced as %+v, %v", f.said, err)
		}
		p.Update(registry.Member{Incarnation: 9, State: "draining"})
		if f.said.Cluster != "a" || f.said.State != "draining" {
			t.Errorf("updated to %+v", f.said)
		}
	}
}
