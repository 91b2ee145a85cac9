package master

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// away is a registry that takes the first announcement, and then refuses some.
type away struct {
	registry.Registry
	refusals int
	lengths  []time.Duration
}

func (a *away) Announce(_ context.Context, _ registry.Member, length time.Duration) (registry.Presence, error) {
	if len(a.lengths) > 0 && a.refusals > 0 {
		a.refusals--
		return nil, errors.New("the incarnation is announced already")
	}
	a.lengths = append(a.lengths, length)
	return present{}, nil
}

type present struct{ registry.Presence }

func (present) Withdraw(ctx context.Context) error { return errors.New("the registry does not answer") }
func (present) Update(registry.Member)             {}

// A lease that is changed while the registry is away ends no master: it is announced when the registry is
// back.
func TestLeaseIsChangedWhileTheRegistryIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := &away{refusals: 3}
		m := &Master{reg: reg, said: make(chan Announce, 1), log: slog.New(slog.DiscardHandler), cfg: Config{Lease: 10 * time.Second}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.announce(ctx) }()
		m.say(Announce{State: flow.NodeReady, Lease: 4 * time.Second})
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the master ends: %v", err)
		case <-time.After(time.Minute):
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended: %v", err)
		}
		if len(reg.lengths) != 2 || reg.lengths[1] != 4*time.Second {
			t.Errorf("announced for %v", reg.lengths)
		}
	})
}
