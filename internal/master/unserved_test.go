package master

import (
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// A task whose worker group nobody serves is told of after a minute; one whose workers are only
// full by then is not.
func TestAlertOfAGroupNobodyServes(t *testing.T) {
	t.Parallel()
	for _, served := range []bool{false, true} {
		b := setup(t)
		b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{
			Key:        PlanKey{9, 1},
			Definition: definition(9, flow.Task{Name: "first", Type: "nothing"}, flow.Task{Name: "second", Type: "nothing"}),
		})
		if alerts := b.answer()[0].Alerts; len(alerts) > 0 {
			t.Fatalf("told at once: %+v", alerts)
		}
		tasks := 2 // that wait for a group without a worker
		if served {
			b.connect(1, 50, 1)
			b.answer()
			tasks = 0
		}
		beat := Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1}}} // it is there all the time
		b.now = t0.Add(time.Minute)
		b.step(beat, Tick{})
		var alerts []flow.Alert
		if len(every[Commit](b)) > 0 { // there may be nothing to say
			for _, c := range b.answer() {
				alerts = append(alerts, c.Alerts...)
			}
		}
		if len(alerts) != tasks {
			t.Errorf("served %t: %d alerts, want %d: %+v", served, len(alerts), tasks, alerts)
		}
		for _, a := range alerts {
			if a.Kind != flow.AlertNoWorker || !strings.Contains(a.Message, `group "default"`) {
				t.Errorf("alert %+v", a)
			}
		}
		b.now = t0.Add(time.Hour)
		b.step(beat, Tick{})
		for _, c := range every[Commit](b) {
			for _, ch := range c.Batch.Changes {
				if len(ch.Alerts) > 0 {
					t.Errorf("told again: %+v", ch.Alerts)
				}
			}
		}
	}
}
