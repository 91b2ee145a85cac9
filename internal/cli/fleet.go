// The masters of a cluster as the API sees them: through connections to all of them.

package cli

import (
	"context"
	"errors"
	"iter"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/peer"
	"baton/internal/rpc"
)

// fleet is the masters that the registry shows, as the API sees them.
type fleet struct{ *peer.Set }

// PokeCommands wakes the master whose slot the command is.
func (f fleet) PokeCommands(id flow.ID) {
	f.Poke(&rpc.PokeRequest{Commands: true, Instance: int64(id)})
}

// PokeInbox wakes every master: which one owns the run, only they know.
func (f fleet) PokeInbox() { f.PokeAll(&rpc.PokeRequest{Inbox: true}) }

// PokeLook wakes every master: a worker that is drained has a stream to each.
func (f fleet) PokeLook() { f.PokeAll(&rpc.PokeRequest{Drains: true}) }

// Watch merges what all masters commit.
func (f fleet) Watch(ctx context.Context, instance flow.ID) <-chan api.Event {
	replies := f.Set.Watch(ctx, int64(instance))
	events := make(chan api.Event)
	go func() {
		defer close(events)
		for r := range replies {
			select {
			case events <- eventOfReply(r):
			case <-ctx.Done():
				for range replies { // until it is closed
				}
				return
			}
		}
	}()
	return events
}

func eventOfReply(r *rpc.WatchReply) api.Event {
	e := api.Event{
		Instance: flow.ID(r.GetInstance()), Seq: r.GetSeq(), State: flow.InstanceState(r.GetState()), Reason: r.GetReason(),
		At: flow.Time(r.GetAt()), Gap: r.GetGap(),
	}
	for _, t := range r.GetTasks() {
		e.Tasks = append(e.Tasks, api.TaskChange{ID: flow.ID(t.GetId()), Name: t.GetName(), State: flow.TaskState(t.GetState()), Attempt: t.GetAttempt(), Reason: t.GetReason()})
	}
	return e
}

// ReadLog reads a log through a master that has the worker.
func (f fleet) ReadLog(ctx context.Context, r api.LogRequest) iter.Seq2[api.LogChunk, error] {
	request := &rpc.ReadLogRequest{
		Instance: int64(r.Instance), Task: int64(r.Task), Token: r.Token, Session: r.Session, Offset: r.Offset, Limit: r.Limit, Follow: r.Follow,
	}
	return func(yield func(api.LogChunk, error) bool) {
		err := f.Set.ReadLog(ctx, request, func(p *rpc.ReadLogReply) bool {
			return yield(api.LogChunk{Offset: p.GetOffset(), Data: p.GetData()}, nil)
		})
		if err != nil && !errors.Is(err, peer.ErrEnough) {
			yield(api.LogChunk{}, err)
		}
	}
}
