// Waiting for a run: a long poll driven by committed changes, with a slow read as net.

package api

import (
	"context"
	"slices"
	"time"

	"baton/internal/flow"
)

const (
	longestWait = 10 * time.Minute
	// waitNet is how often a run is read when no event comes: events may be lost, or be those of a
	// master in another process.
	waitNet = 2 * time.Second
)

type waitIn struct {
	InstancePath
	State   []string `query:"state" doc:"States to wait for, separated by commas; default: at rest (ended, paused or quarantined)"`
	Timeout string   `query:"timeout" default:"30s" doc:"Answer after this at the latest; at most 10m"`
}

// Waited is the answer of a wait.
type Waited struct {
	Reached  bool     `json:"reached" doc:"The run came to a state that was waited for. False: the time is over, or the run ended in another state"`
	Instance Instance `json:"instance"`
}

func (s *Server) waitInstance(ctx context.Context, in *waitIn) (*body[Waited], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	states, err := parseStates(in.State)
	if err != nil {
		return nil, err
	}
	timeout, err := flow.ParseDuration(in.Timeout)
	if err != nil {
		return nil, flow.Errorf(flow.CodeBadRequest, "timeout", "%s", err)
	}
	wanted := func(state flow.InstanceState) bool {
		if len(states) == 0 {
			return state.AtRest()
		}
		return slices.Contains(states, state)
	}
	reached, err := s.await(ctx, id, min(timeout.Std(), longestWait), wanted)
	if err != nil {
		return nil, err
	}
	i, err := s.instance(ctx, id)
	return &body[Waited]{Waited{Reached: reached, Instance: i}}, err
}

// await returns true once the run is, or passes through, a wanted state; false when it ended in
// another one or the time is over.
func (s *Server) await(ctx context.Context, id flow.ID, timeout time.Duration, wanted func(flow.InstanceState) bool) (bool, error) {
	ctx, cancel := s.until(ctx)
	defer cancel()
	over := time.NewTimer(timeout)
	defer over.Stop()
	net := time.NewTicker(waitNet)
	defer net.Stop()
	events := s.masters.Watch(ctx, id)
	for {
		run, err := s.store.Instance(ctx, id)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		case wanted(run.State):
			return true, nil
		case run.State.Ended():
			return false, nil
		}
		// Events say what changed: the run is read again only when some were lost.
		for read := false; !read; {
			select {
			case e, open := <-events:
				switch {
				case !open:
					events, read = nil, true // the masters are gone; the net remains
				case e.Gap:
					read = true
				case e.Seq <= run.Seq: // older than what was read
				case wanted(e.State):
					return true, nil
				case e.State.Ended():
					return false, nil
				}
			case <-net.C:
				read = true
			case <-over.C:
				return false, nil
			case <-ctx.Done():
				return false, nil
			}
		}
	}
}
