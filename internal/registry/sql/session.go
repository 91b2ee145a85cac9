// Rows of the store that are renewed together.

package sql

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/client"
)

type session struct {
	*backend
	length time.Duration

	// mu is held while rows are written: a name that is taken while others are renewed must not be
	// counted as renewed with them.
	mu      sync.Mutex
	members map[int64]registry.Member // as the store has them
	names   map[int64]string          // by fence
	ended   bool
}

func node(m registry.Member) flow.Node {
	return flow.Node{
		Incarnation: m.Incarnation, Role: m.Role, Name: m.Name, Address: m.Address, Version: m.Version, Engine: m.Engine, State: m.State,
		CPU: m.Load.CPU, Memory: m.Load.Memory, Slots: m.Load.Slots, Running: m.Load.Used,
	}
}

// Sync implements client.Session.
func (s *session) Sync(ctx context.Context, n client.News) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := map[int64]bool{}
	for _, m := range n.Put {
		was := s.members[m.Incarnation]
		was.Load = m.Load // it is old anyway
		if err := s.store.Announce(ctx, node(m), s.length, was != m); err != nil {
			return explain(err)
		}
		s.members[m.Incarnation], said[m.Incarnation] = m, true
	}
	if len(n.Remove) > 0 {
		if err := s.store.Withdraw(ctx, n.Remove); err != nil {
			return explain(err)
		}
		for _, incarnation := range n.Remove {
			delete(s.members, incarnation)
		}
	}
	if err := s.give(ctx, n.Unlock); err != nil {
		return explain(err)
	}
	return s.renew(ctx, said)
}

// renew renews what was not said just now.
func (s *session) renew(ctx context.Context, said map[int64]bool) error {
	rest := slices.Sorted(maps.Keys(s.members))
	rest = slices.DeleteFunc(rest, func(incarnation int64) bool { return said[incarnation] })
	if len(rest) > 0 || len(said)+len(s.names) == 0 { // an empty session asks too: is the store there?
		if err := s.store.Renew(ctx, rest, s.length); err != nil {
			return explain(err)
		}
	}
	if len(s.names) == 0 {
		return nil
	}
	fences := slices.Sorted(maps.Keys(s.names))
	names := make([]string, len(fences))
	for i, f := range fences {
		names[i] = s.names[f]
	}
	err := s.store.Keep(ctx, names, fences, s.length)
	if errors.Is(err, flow.ErrFenced) {
		return client.ErrOver
	}
	return err
}

func (s *session) give(ctx context.Context, holds []client.Hold) error {
	if len(holds) == 0 {
		return nil
	}
	names, fences := make([]string, len(holds)), make([]int64, len(holds))
	for i, h := range holds {
		names[i], fences[i] = h.Name, h.Fence
	}
	if err := s.store.Give(ctx, names, fences); err != nil {
		return err
	}
	for _, f := range fences {
		delete(s.names, f)
	}
	return nil
}

// Lock implements client.Session. Nobody queues: who is told or wakes first has it.
func (s *session) Lock(ctx context.Context, name string, holder int64) (client.Hold, error) {
	for {
		told := s.news()
		fence, free, err := s.claim(ctx, name, holder)
		if fence != 0 {
			return client.Hold{Name: name, Fence: fence, Key: strconv.FormatInt(fence, 10)}, err
		}
		if err != nil {
			return client.Hold{}, err
		}
		timer := time.NewTimer(min(free+time.Millisecond, time.Second))
		select {
		case <-told:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return client.Hold{}, ctx.Err()
		}
		timer.Stop()
	}
}

// claim tries once, for as long as others of the session can wait for it.
func (s *session) claim(ctx context.Context, name string, holder int64) (fence int64, free time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.length/4)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, 0, client.ErrOver
	}
	fence, free, err = s.store.Claim(ctx, name, holder, s.length)
	if fence != 0 && err == nil {
		s.names[fence] = name
	}
	return fence, free, explain(err)
}

// End implements client.Session. Members stay: they may be in the next session already.
func (s *session) End(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	var holds []client.Hold
	for fence, name := range s.names {
		holds = append(holds, client.Hold{Name: name, Fence: fence})
	}
	_ = s.give(ctx, holds) // what is not given back ends by itself
}
