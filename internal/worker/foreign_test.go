package worker_test

import (
	"strings"
	"testing"

	"baton/internal/rpc"
	"baton/internal/worker"
)

// A worker that holds something stays with its cluster: numbers of another one are alike and mean nothing.
func TestMasterOfAnotherCluster(t *testing.T) {
	t.Parallel()
	foreign := worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 5, Welcome: &rpc.Welcome{Foreign: true, Cluster: "other"}}}
	config := worker.CoreConfig{Name: "w", Home: "h", Slots: 4, Kind: func(string) worker.Kind { return worker.KindFunction }}
	closed := func(effects []worker.Effect) *worker.Close {
		for _, e := range effects {
			if c, ok := e.(worker.Close); ok {
				return &c
			}
		}
		return nil
	}
	for name, state := range map[string]worker.State{
		"a result that no master has": {Session: 3, Cluster: "mine", Ends: map[int64]*rpc.Ended{7: {Token: 7}}},
		"a session":                   {Session: 3, Cluster: "mine", Same: true, Lease: 1e10, RenewedAt: 1e6},
	} {
		c := worker.NewCore(config, state)
		var hello *rpc.Hello
		for _, e := range c.Step(1e6, worker.StreamUp{Stream: 2}) {
			if s, ok := e.(worker.Send); ok && s.Frame.Hello != nil {
				hello = s.Frame.Hello
			}
		}
		if hello.GetCluster() != "mine" {
			t.Errorf("%s: hello %v", name, hello)
		}
		got := closed(c.Step(1e6, foreign))
		if got == nil || !got.Foreign || got.Stream != 2 || !strings.Contains(got.Reason, "cluster other") || !strings.Contains(got.Reason, "cluster mine") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A worker that holds nothing joins another cluster, and knows nothing of the one before: what was
// over there may begin here.
func TestJoinAnotherCluster(t *testing.T) {
	t.Parallel()
	h := &helloTest{T: t, now: 1e6, core: worker.NewCore(
		worker.CoreConfig{Name: "w", Home: "h", Slots: 4, CompactAfter: 1 << 20, Kind: func(string) worker.Kind { return worker.KindFunction }},
		worker.State{Session: 3, Cluster: "mine", Done: []int64{7}, Tombstones: []worker.Tombstone{{Token: 8}}},
	)}
	h.says(worker.StreamUp{Stream: 2})
	foreign := worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 5, Welcome: &rpc.Welcome{Foreign: true, Cluster: "other"}}}
	var again *rpc.Hello
	var journal *worker.Persist
	for _, e := range h.core.Step(h.now, foreign) {
		switch e := e.(type) {
		case worker.Send:
			again = e.Frame.Hello
		case worker.Persist:
			journal = &e
		}
	}
	if again == nil || again.Cluster != "" || again.Session != 0 || len(again.Earlier) > 0 {
		t.Fatalf("says %v", again)
	}
	if journal == nil || !journal.Whole || len(journal.Records) > 0 {
		t.Errorf("the journal is still %+v", journal)
	}
	h.core.Step(h.now, worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 5, Welcome: &rpc.Welcome{Session: 9, Generation: 1, Cluster: "other", LeaseMicros: 1e10}}})
	started := 0
	for _, token := range []int64{7, 8} {
		for _, e := range h.core.Step(h.now, worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 5, Grants: []*rpc.Grant{{Token: token, Instance: token, Type: "x"}}}}, worker.Persisted{ID: 100}) {
			if _, ok := e.(worker.Start); ok {
				started++
			}
		}
	}
	h.core.Step(h.now, worker.Persisted{ID: 100})
	if said := h.says(worker.StreamUp{Stream: 3}); said[3].GetCluster() != "other" || len(said[3].GetHeld()) != 2 {
		t.Errorf("holds %v, %d started", said[3], started)
	}
}
