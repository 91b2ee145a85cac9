package worker_test

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

// That an attempt began is said to the master that owns it, whichever that is by then.
func TestStartedIsSaidToTheOwner(t *testing.T) {
	t.Parallel()
	const after = 5 * time.Millisecond
	now := flow.Time(1e6)
	core := worker.NewCore(worker.CoreConfig{Name: "w", Home: "h", Slots: 4, AnnounceAfter: after, Kind: func(string) worker.Kind { return worker.KindFunction }}, worker.State{})
	// step returns to which streams it says that token 5 began.
	step := func(events ...worker.Event) (said []worker.StreamID) {
		effects := core.Step(now, events...)
		for len(effects) > 0 {
			e := effects[0]
			effects = effects[1:]
			switch e := e.(type) {
			case worker.Persist:
				effects = append(effects, core.Step(now, worker.Persisted{ID: e.ID})...)
			case worker.Send:
				for range e.Frame.Started {
					said = append(said, e.Stream)
				}
			}
		}
		return said
	}
	for stream := worker.StreamID(1); stream <= 2; stream++ {
		step(worker.StreamUp{Stream: stream})
		step(worker.Frame{Stream: stream, Frame: &rpc.FromMaster{Master: int64(stream), Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: 1e7}}})
	}
	step(worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 1, Grants: []*rpc.Grant{{Token: 5, Instance: 1, Task: 2, Type: "t", Epoch: 1}}}})
	if said := step(worker.StreamDown{Stream: 1}); len(said) > 0 {
		t.Errorf("said to %v at once", said)
	}
	now = now.Add(2 * after)
	if said := step(worker.Tick{}); len(said) > 0 {
		t.Errorf("said to %v, which is not its owner", said)
	}
	ask := worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 2, Asks: []*rpc.Ask{{Token: 5, Instance: 1, Task: 2, Epoch: 2}}}}
	if said := step(ask); len(said) != 1 || said[0] != 2 {
		t.Errorf("asked by its new owner it is said to %v", said)
	}
	if said := step(ask); len(said) > 0 {
		t.Errorf("said to %v once more", said)
	}
}
