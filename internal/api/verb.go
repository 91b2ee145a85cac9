// Orders to runs and tasks: recorded durably, then waited for, briefly.

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"baton/internal/flow"
)

const (
	// outcomeWait is how long a verb's caller waits to learn what became of it.
	outcomeWait = 2 * time.Second
	// outcomeNet is how often the outcome is looked at when no event says that it is there.
	outcomeNet = 250 * time.Millisecond
)

// Ordered is the answer to a verb.
type Ordered struct {
	Outcome  string   `json:"outcome" enum:"applied,accepted" doc:"applied; or accepted: durable, but not carried out yet"`
	Instance Instance `json:"instance"`
	// Downstream is of a rerun that takes them along.
	Downstream []OrderedToo `json:"downstream,omitempty" doc:"Runs that depend on it and were to be rerun, too"`
}

// OrderedToo is a run that depends on one that is rerun.
type OrderedToo struct {
	ID       string  `json:"id"`
	Project  string  `json:"project"`
	Workflow string  `json:"workflow"`
	Outcome  string  `json:"outcome" enum:"applied,accepted,refused" doc:"refused: it is not rerun"`
	Reason   *string `json:"reason" doc:"Why it is not rerun"`
}

type orderedOut struct {
	Status int
	Body   Ordered
}

// InstancePath names a run.
type InstancePath struct {
	Instance string `path:"instance" doc:"Id of the run"`
}

// TaskPath names a task of a run.
type TaskPath struct {
	InstancePath
	Task string `path:"task" doc:"Name of the task"`
}

func orderInstance(verb string) func(*Server, context.Context, *InstancePath) (*orderedOut, error) {
	return func(s *Server, ctx context.Context, in *InstancePath) (*orderedOut, error) {
		return s.order(ctx, in.Instance, flow.Verb{Name: verb})
	}
}

func orderTask(verb string) func(*Server, context.Context, *TaskPath) (*orderedOut, error) {
	return func(s *Server, ctx context.Context, in *TaskPath) (*orderedOut, error) {
		return s.order(ctx, in.Instance, flow.Verb{Name: verb, Task: in.Task})
	}
}

// Decision is what a person says to an approval.
type Decision struct {
	Choice  string            `json:"choice,omitempty" doc:"One of the options of the task" maxLength:"128"`
	Fields  map[string]string `json:"fields,omitempty" doc:"Fields of its form"`
	Comment string            `json:"comment,omitempty" maxLength:"4000"`
}

type decideIn struct {
	TaskPath
	Body Decision
}

func decideTask(verb string) func(*Server, context.Context, *decideIn) (*orderedOut, error) {
	return func(s *Server, ctx context.Context, in *decideIn) (*orderedOut, error) {
		d := in.Body
		return s.order(ctx, in.Instance, flow.Verb{Name: verb, Task: in.Task, Choice: d.Choice, Fields: d.Fields, Comment: d.Comment})
	}
}

type eventIn struct {
	Project string `path:"project"`
	Event   string `path:"event" doc:"Its name"`
	Body    struct {
		Params map[string]string `json:"params,omitempty" doc:"They become outputs of the tasks that wait for it"`
	}
}

// EventResult tells who heard an event.
type EventResult struct {
	Project string `json:"project"`
	Event   string `json:"event"`
	Heard   int    `json:"heard" doc:"Tasks that waited for it"`
}

func (s *Server) sendEvent(ctx context.Context, in *eventIn) (*body[EventResult], error) {
	if err := flow.CheckName(in.Event); err != nil {
		err.Field = "event"
		return nil, err
	}
	raw, err := json.Marshal(in.Body.Params)
	if err != nil {
		return nil, err
	}
	if len(raw) > flow.MaxOutputsPerTask {
		return nil, flow.Errorf(flow.CodeBadRequest, "params", "the parameters have %d bytes; %d are allowed", len(raw), flow.MaxOutputsPerTask)
	}
	heard, err := s.store.SendEvent(ctx, in.Project, in.Event, in.Body.Params, s.nextID, flow.At(time.Now()))
	if err != nil {
		return nil, err
	}
	if heard > 0 {
		s.masters.PokeInbox()
	}
	return &body[EventResult]{EventResult{in.Project, in.Event, heard}}, nil
}

type stopIn struct {
	InstancePath
	Compensate bool `query:"compensate" doc:"Undo what succeeded, in reverse order"`
}

func (s *Server) stopInstance(ctx context.Context, in *stopIn) (*orderedOut, error) {
	return s.order(ctx, in.Instance, flow.Verb{Name: flow.VerbStop, Compensate: in.Compensate})
}

// order records a verb, wakes the owner of the run and tells what became of it.
func (s *Server) order(ctx context.Context, instance string, verb flow.Verb) (*orderedOut, error) {
	return s.orderBy(ctx, instance, verb, func(item flow.InboxItem) (flow.ID, error) { return s.store.Order(ctx, item) })
}

// orderBy gives a verb in some way, which returns the order's id.
func (s *Server) orderBy(ctx context.Context, instance string, verb flow.Verb, give func(flow.InboxItem) (flow.ID, error)) (*orderedOut, error) {
	id, err := flow.ParseID(instance)
	if err != nil {
		return nil, err
	}
	verb.By = caller(ctx)
	payload, err := json.Marshal(verb)
	if err != nil {
		return nil, err
	}
	// Watched from before the order is there, so that its commit cannot be missed.
	watch, cancel := s.until(ctx)
	defer cancel()
	events := s.masters.Watch(watch, id)
	item := flow.InboxItem{ID: s.nextID(), Instance: id, Kind: flow.InboxVerb, Payload: payload, At: flow.At(time.Now())}
	item.Dedup = "verb:" + item.ID.String()
	item.ID, err = give(item)
	if err != nil {
		return nil, err
	}
	s.masters.PokeInbox()
	outcome, err := s.outcome(watch, item.ID, events)
	if err != nil {
		return nil, err
	}
	if outcome != nil && !outcome.Applied {
		if err := s.knowsTaskOf(ctx, id, verb); err != nil {
			return nil, err
		}
		return nil, flow.Errorf(flow.CodeConflict, "", "%s", outcome.Reason)
	}
	answer := &orderedOut{Status: http.StatusOK, Body: Ordered{Outcome: outcomeWord(outcome)}}
	if outcome == nil {
		answer.Status = http.StatusAccepted
	}
	answer.Body.Instance, err = s.instance(ctx, id)
	return answer, err
}

// outcomeWord says what became of an order; nil: it is not known yet.
func outcomeWord(o *flow.Outcome) string {
	switch {
	case o == nil:
		return "accepted"
	case o.Applied:
		return "applied"
	default:
		return "refused"
	}
}

// givenTo are the verbs that wait to be carried out on a run.
func (s *Server) givenTo(ctx context.Context, id flow.ID) ([]Given, error) {
	waiting, err := s.store.Given(ctx, id)
	out := make([]Given, len(waiting))
	for i, g := range waiting {
		out[i] = Given{ID: g.Inbox.String(), Verb: g.Name, Task: text(g.Task), By: text(g.By), At: g.At}
	}
	return out, err
}

// knowsTaskOf tells a verb that named no task of the run from one that came at the wrong time.
func (s *Server) knowsTaskOf(ctx context.Context, id flow.ID, verb flow.Verb) error {
	if verb.Task == "" {
		return nil
	}
	run, err := s.store.Instance(ctx, id)
	if err != nil {
		return err
	}
	return s.knows(ctx, run, verb.Task)
}

// outcome waits for what becomes of an inbox item; nil: it is not known in time.
func (s *Server) outcome(ctx context.Context, item flow.ID, events <-chan Event) (*flow.Outcome, error) {
	return s.outcomeWithin(ctx, item, events, outcomeWait)
}

// outcomeUntil waits until a time, and looks once in any case.
func (s *Server) outcomeUntil(ctx context.Context, item flow.ID, over time.Time) (*flow.Outcome, error) {
	watch, cancel := s.until(ctx)
	defer cancel()
	return s.outcomeWithin(watch, item, nil, time.Until(over))
}

func (s *Server) outcomeWithin(ctx context.Context, item flow.ID, events <-chan Event, wait time.Duration) (*flow.Outcome, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	net := time.NewTicker(outcomeNet)
	defer net.Stop()
	for {
		outcome, err := s.store.Outcome(ctx, item)
		if outcome != nil || err != nil {
			return outcome, err
		}
		select {
		case _, open := <-events:
			if !open {
				events = nil // the masters are gone; the net remains
			}
		case <-net.C:
		case <-over.C:
			return nil, nil //nolint:nilnil // "not yet known" is an answer
		case <-ctx.Done():
			return nil, nil //nolint:nilnil // the server stops: accepted, not lost
		}
	}
}
