// Following, over several events of one commit.

package engine

import (
	"testing"

	"baton/internal/flow"
)

// pausedAndResumed is what is committed when a run is paused and resumed by the same commit.
func pausedAndResumed(t *testing.T, w *world) flow.Change {
	t.Helper()
	for inbox, verb := range []string{flow.VerbPause, flow.VerbResume} {
		Apply(w.s, VerbGiven{Inbox: flow.ID(inbox + 1), Verb: flow.Verb{Name: verb}}, w.env())
	}
	out, _ := w.s.Take(0)
	return out
}

func TestFollowsAfterPauseAndResume(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an event":  "ear | wait event loaded\n",
		"workflows": `ready | dependent {"all": [{"workflow": "orders", "window": "today"}]}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wf, err := define(text)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, wf, flow.Start{})
			w.apply(Begin{})
			waits := w.s.Rows[0].ID
			if name == "workflows" {
				w.looked([]string{"ready", "none"})
				w.looked([]string{"ready", "none"})
			}
			got := pausedAndResumed(t, w)
			if len(got.Unfollow) > 0 {
				t.Errorf("the row waits, and the commit ends what it follows: %v", got.Unfollow)
			}
			if name == "an event" && (len(got.Follows) != 1 || got.Follows[0].Row != waits) {
				t.Errorf("the row waits for an event and follows %v", got.Follows)
			}
		})
	}
}

// What began to wait and is over by the same commit follows nothing.
func TestFollowsNothingWhenOver(t *testing.T) {
	t.Parallel()
	wf, err := define("ear | wait event loaded\n")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, wf, flow.Start{})
	Apply(w.s, Begin{}, w.env())
	Apply(w.s, VerbGiven{Inbox: 1, Verb: flow.Verb{Name: flow.VerbStop}}, w.env())
	got, _ := w.s.Take(0)
	if len(got.Follows) > 0 {
		t.Errorf("the run is %s and follows %v", got.Instance.State, got.Follows)
	}
}
