package worker_test

import (
	"testing"

	"baton/internal/rpc"
	"baton/internal/worker"
)

// A master that was frozen between its commit and its send wakes up with orders that are nobody's
// any more: the worker has heard a later owner of the run.
func TestReplacedOwnerIsNotHeard(t *testing.T) {
	t.Parallel()
	core := worker.NewCore(worker.CoreConfig{
		Name: "w", Home: "h", Slots: 4, Kind: func(string) worker.Kind { return worker.KindProcess },
	}, worker.Fold(nil))
	var started []int64
	var told []*rpc.FromWorker
	var step func(...worker.Event)
	step = func(events ...worker.Event) {
		for _, e := range core.Step(1e6, events...) {
			switch e := e.(type) {
			case worker.Persist:
				step(worker.Persisted{ID: e.ID})
			case worker.Start:
				started = append(started, e.Grant.GetToken())
			case worker.Send:
				told = append(told, e.Frame)
			}
		}
	}
	welcome := func(stream worker.StreamID, master int64) {
		step(worker.StreamUp{Stream: stream})
		step(worker.Frame{Stream: stream, Frame: &rpc.FromMaster{Master: master, Welcome: &rpc.Welcome{Session: 5, Generation: 1, LeaseMicros: 10_000_000}}})
	}
	grant := func(token, epoch int64) *rpc.FromMaster {
		return &rpc.FromMaster{Grants: []*rpc.Grant{{Token: token, Instance: 9, Task: token, Type: "process", Epoch: epoch}}}
	}
	welcome(1, 100) // will be frozen
	welcome(2, 200) // takes over
	step(worker.Frame{Stream: 2, Frame: grant(21, 8)})
	step(worker.Frame{Stream: 1, Frame: grant(20, 3)}) // of before
	step(worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Kills: []*rpc.Kill{{Token: 21, Instance: 9, Task: 21, Epoch: 3}}}})
	if len(started) != 1 || started[0] != 21 {
		t.Errorf("started %v; only what the present owner ordered is wanted", started)
	}
	refused := false
	for _, f := range told {
		for _, r := range f.GetRefused() {
			refused = refused || r.GetToken() == 20 && r.GetReason() == "stale"
		}
	}
	if !refused {
		t.Error("the old owner is not told that its order is stale")
	}
}
