// Live changes: of all runs, or of one with its whole state first.

package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// Change is a committed change of a run, as streams tell it. Order holds within a run: Seq grows
// with each change of it.
type Change struct {
	Instance string        `json:"instance"`
	Seq      int64         `json:"seq"`
	State    InstanceState `json:"state"`
	Reason   *string       `json:"reason"`
	At       flow.Time     `json:"at" nullable:"false"`
	Tasks    []ChangedTask `json:"tasks"`
}

// ChangedTask is a row of a change.
type ChangedTask struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	State   TaskState `json:"state"`
	Attempt int32     `json:"attempt"`
	Reason  *string   `json:"reason"`
}

func changeOf(e Event) Change {
	c := Change{
		Instance: e.Instance.String(), Seq: e.Seq, State: InstanceState(e.State.String()), Reason: text(e.Reason),
		At: e.At, Tasks: make([]ChangedTask, len(e.Tasks)),
	}
	for i, t := range e.Tasks {
		c.Tasks[i] = ChangedTask{ID: t.ID.String(), Name: t.Name, State: TaskState(t.State.String()), Attempt: t.Attempt, Reason: text(t.Reason)}
	}
	return c
}

// watchAll tells every change. A reader that was too slow gets `gap`: it reads its list again.
func (s *Server) watchAll(ctx context.Context, _ *none) (*huma.StreamResponse, error) {
	return s.stream(ctx, func(ctx context.Context, out *eventWriter) error {
		events := s.masters.Watch(ctx, 0)
		if err := out.connected(); err != nil {
			return err
		}
		return follow(ctx, out, events, func(e Event) error {
			if e.Gap {
				return out.event("gap", "", none{})
			}
			return out.event("change", "", changeOf(e))
		})
	}), nil
}

// watchInstance tells a run as it is, then its changes; after a gap as it is again. The id of
// each event is the run's seq, so a reader may leave out what it knows already.
func (s *Server) watchInstance(ctx context.Context, in *InstancePath) (*huma.StreamResponse, error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	if _, err := s.store.Instance(ctx, id); err != nil {
		return nil, err
	}
	return s.stream(ctx, func(ctx context.Context, out *eventWriter) error {
		events := s.masters.Watch(ctx, id)
		if err := out.connected(); err != nil {
			return err
		}
		seen, err := s.snapshot(ctx, out, id)
		if err != nil {
			return err
		}
		return follow(ctx, out, events, func(e Event) error {
			if e.Gap {
				seen, err = s.snapshot(ctx, out, id)
				return err
			}
			if e.Seq <= seen {
				return nil // in the rows that were told
			}
			seen = e.Seq
			return out.event("change", number(e.Seq), changeOf(e))
		})
	}), nil
}

func (s *Server) snapshot(ctx context.Context, out *eventWriter, id flow.ID) (seq int64, err error) {
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return 0, err
	}
	return run.Seq, out.event("instance", number(run.Seq), instanceOf(run, rows))
}

// follow hands events on until their source or the reader ends, with a sign of life in silence.
func follow(ctx context.Context, out *eventWriter, events <-chan Event, tell func(Event) error) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case e, open := <-events:
			if !open {
				return nil
			}
			if err := tell(e); err != nil {
				return err
			}
		case <-beat.C:
			if err := out.comment("alive"); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
