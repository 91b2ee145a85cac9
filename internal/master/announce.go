// Announce: what the other masters see of this one in the registry.

package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// say leaves what is new to announce; only the newest counts. The loop alone calls it.
func (m *Master) say(a Announce) {
	select {
	case <-m.said:
	default:
	}
	m.said <- a
}

// announce keeps this master visible until ctx is done, then takes it out at once.
func (m *Master) announce(ctx context.Context) error {
	member, length := m.member(), m.cfg.Lease
	presence, err := m.reg.Announce(ctx, member, length)
	if err != nil {
		return m.unseen(ctx, err)
	}
	for {
		select {
		case <-ctx.Done():
			m.withdraw(ctx, presence)
			return ctx.Err()
		case a := <-m.said:
			member.State = a.State
			if a.Lease == length {
				presence.Update(member)
				continue
			}
			// Its lease has another length, which takes another announcement. The others miss it for a
			// moment, which is a hint to look and no more.
			m.withdraw(ctx, presence)
			length = a.Lease
			if presence, err = m.announceAgain(ctx, member, length); err != nil {
				return m.unseen(ctx, err)
			}
		}
	}
}

// announceAgainAfter is how long a registry is left alone that did not take an announcement.
const announceAgainAfter = time.Second

// announceAgain announces a master that was seen before, until the registry takes it: one that is away
// has not taken back what was announced, and may refuse it meanwhile. What is not seen is probed, and
// lives on.
func (m *Master) announceAgain(ctx context.Context, member registry.Member, length time.Duration) (registry.Presence, error) {
	for {
		presence, err := m.reg.Announce(ctx, member, length)
		if err == nil || ctx.Err() != nil || errors.Is(err, flow.ErrFenced) {
			return presence, err
		}
		m.log.LogAttrs(ctx, slog.LevelWarn, "not announced with the new lease yet", slog.Duration("lease", length), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(announceAgainAfter):
		}
	}
}

// unseen ends an announcement that never came about.
func (m *Master) unseen(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("announce master: %w", err)
}

func (m *Master) withdraw(ctx context.Context, presence registry.Presence) {
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := presence.Withdraw(leave); err != nil && !errors.Is(err, flow.ErrFenced) {
		m.log.LogAttrs(leave, slog.LevelWarn, "withdraw from the registry", slog.Any("error", err))
	}
}

// member is this master as the others see it.
func (m *Master) member() registry.Member {
	state := flow.NodeReady
	if slices.Contains(m.lease.Draining, m.cfg.DrainKey) { // nobody has drained an incarnation that is new
		state = flow.NodeDraining
	}
	return registry.Member{
		Incarnation: m.node.Incarnation, Role: m.node.Role, Name: m.node.Name, Address: m.node.Address,
		Version: m.node.Version, Engine: m.node.Engine, State: state,
	}
}

func (m *Master) watchRegistry(ctx context.Context) error {
	for view := range m.reg.Watch(ctx) {
		m.post(ctx, Viewed{view})
	}
	return ctx.Err()
}
