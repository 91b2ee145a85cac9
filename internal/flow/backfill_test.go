package flow

import (
	"strings"
	"testing"
)

func TestBackfillNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		state    BackfillState
		parallel int
		halt     bool
		stand    BackfillStand
		want     BackfillStep
	}{
		{"the first ones begin", BackfillRunning, 3, false, BackfillStand{Left: 5}, BackfillStep{3, BackfillRunning, ""}},
		{"one after another", BackfillRunning, 1, false, BackfillStand{Going: 1, Left: 5}, BackfillStep{0, BackfillRunning, ""}},
		{"a place is free", BackfillRunning, 3, false, BackfillStand{Going: 2, Left: 5}, BackfillStep{1, BackfillRunning, ""}},
		{"fewer are left than may begin", BackfillRunning, 3, false, BackfillStand{Going: 1, Left: 1}, BackfillStep{1, BackfillRunning, ""}},
		{"a person recovered more than fit", BackfillRunning, 2, false, BackfillStand{Going: 3, Left: 5}, BackfillStep{0, BackfillRunning, ""}},
		{"the last goes on", BackfillRunning, 3, false, BackfillStand{Going: 1}, BackfillStep{0, BackfillRunning, ""}},
		{"all have succeeded", BackfillRunning, 3, false, BackfillStand{}, BackfillStep{0, BackfillSucceeded, ""}},
		{"a failure is passed over", BackfillRunning, 1, false, BackfillStand{Failed: 1, Left: 5}, BackfillStep{1, BackfillRunning, ""}},
		{"and told of at the end", BackfillRunning, 1, false, BackfillStand{Failed: 1}, BackfillStep{0, BackfillFailed, "dates: 1 of 9 dates did not succeed"}},
		{"a failure halts, what runs goes on", BackfillRunning, 3, true, BackfillStand{Going: 2, Failed: 1, Left: 5}, BackfillStep{
			0, BackfillRunning, "on_failure: 1 of 9 dates did not succeed; no other begins, and what runs goes on",
		}},
		{"a failure halts, nothing runs", BackfillRunning, 3, true, BackfillStand{Failed: 1, Left: 5}, BackfillStep{
			0, BackfillFailed, "on_failure: 1 of 9 dates did not succeed, so 5 were left out; `baton backfill --resume 7` goes on when it is recovered, or with --on-failure continue",
		}},
		{"the last one failed", BackfillRunning, 3, true, BackfillStand{Failed: 1}, BackfillStep{0, BackfillFailed, "dates: 1 of 9 dates did not succeed"}},
		{"what is next waits for its level", BackfillRunning, 3, false, BackfillStand{Going: 1, Left: 5, Held: 5}, BackfillStep{
			0, BackfillRunning, "level: the dates of the next level begin when all before them have ended",
		}},
		{"the last of a level begin", BackfillRunning, 3, false, BackfillStand{Going: 1, Left: 5, Held: 4}, BackfillStep{1, BackfillRunning, ""}},
		{"all places are taken, whatever is held", BackfillRunning, 1, false, BackfillStand{Going: 1, Left: 1, Held: 1}, BackfillStep{0, BackfillRunning, ""}},
		{"paused before a level", BackfillPaused, 3, false, BackfillStand{Going: 1, Left: 1, Held: 1}, BackfillStep{0, BackfillPaused, "before"}},
		{"none failed that could halt", BackfillRunning, 3, true, BackfillStand{Left: 5}, BackfillStep{3, BackfillRunning, ""}},
		{"paused", BackfillPaused, 3, false, BackfillStand{Left: 5}, BackfillStep{0, BackfillPaused, "before"}},
		{"paused, the last one goes on", BackfillPaused, 3, false, BackfillStand{Going: 1}, BackfillStep{0, BackfillPaused, "before"}},
		{"paused, but through", BackfillPaused, 3, false, BackfillStand{}, BackfillStep{0, BackfillSucceeded, ""}},
		{"stopping", BackfillStopping, 3, false, BackfillStand{Going: 1, Left: 5}, BackfillStep{0, BackfillStopping, "before"}},
		{"stopped", BackfillStopping, 3, false, BackfillStand{Failed: 1, Left: 5}, BackfillStep{0, BackfillStopped, "stopped: 5 of 9 dates had not begun"}},
		{"stopped stays", BackfillStopped, 3, false, BackfillStand{}, BackfillStep{0, BackfillStopped, "before"}},
		{"a failed one was mended", BackfillFailed, 3, false, BackfillStand{}, BackfillStep{0, BackfillSucceeded, ""}},
		{"a failed one is being mended", BackfillFailed, 3, false, BackfillStand{Going: 1}, BackfillStep{0, BackfillFailed, "before"}},
		{"a failed one that was mended does not go on by itself", BackfillFailed, 3, true, BackfillStand{Left: 3}, BackfillStep{0, BackfillFailed, "before"}},
		{"a rerun failed", BackfillSucceeded, 3, false, BackfillStand{Failed: 1}, BackfillStep{0, BackfillFailed, "dates: 1 of 9 dates did not succeed"}},
		{"of a newer program", 99, 3, false, BackfillStand{Left: 3}, BackfillStep{0, 99, "before"}},
	} {
		b := Backfill{ID: 7, State: c.state, Parallel: c.parallel, Halt: c.halt, Dates: 9, Reason: "before"}
		if got := b.Next(c.stand); got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestHeldDates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		next, going []int
		want        int
	}{
		{"none is left", nil, []int{0}, 0},
		{"of one level", []int{0, 0, 0}, []int{0}, 0},
		{"up to the next level", []int{0, 1, 1}, nil, 2},
		{"the one before goes on", []int{1, 1}, []int{0, 1}, 2},
		{"the one before has ended", []int{1, 1, 2}, []int{1}, 1},
		{"a later one was taken up again", []int{0, 0}, []int{2}, 0},
		{"the last begins", []int{3}, nil, 0},
	} {
		if got := HeldDates(c.next, c.going); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestBackfillObey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		state     BackfillState
		verb      string
		onFailure string
		stand     BackfillStand
		want      BackfillState // 0: refused
		refusal   string
	}{
		{"pause", BackfillRunning, VerbPause, "", BackfillStand{Left: 1}, BackfillPaused, ""},
		{"pause again", BackfillPaused, VerbPause, "", BackfillStand{Left: 1}, BackfillPaused, ""},
		{"pause what is being stopped", BackfillStopping, VerbPause, "", BackfillStand{}, 0, "backfill 7 is stopping: there is nothing to pause"},
		{"pause what has ended", BackfillSucceeded, VerbPause, "", BackfillStand{}, 0, "is succeeded"},
		{"resume", BackfillPaused, VerbResume, "", BackfillStand{Left: 1}, BackfillRunning, ""},
		{"resume what runs", BackfillRunning, VerbResume, "", BackfillStand{Left: 1}, BackfillRunning, ""},
		{"resume what was stopped", BackfillStopped, VerbResume, "", BackfillStand{Left: 1}, 0, "for good"},
		{"resume past a failure", BackfillFailed, VerbResume, "", BackfillStand{Left: 1, Failed: 1}, 0, "or resume with --on-failure continue"},
		{"resume after it was recovered", BackfillFailed, VerbResume, "", BackfillStand{Left: 1}, BackfillRunning, ""},
		{"resume in spite of it", BackfillFailed, VerbResume, OnFailureContinue, BackfillStand{Left: 1, Failed: 1}, BackfillRunning, ""},
		{"resume with nothing left", BackfillFailed, VerbResume, OnFailureContinue, BackfillStand{Failed: 1}, 0, "all its dates have begun"},
		{"stop", BackfillRunning, VerbStop, "", BackfillStand{Going: 1}, BackfillStopping, ""},
		{"stop what is paused", BackfillPaused, VerbStop, "", BackfillStand{Left: 1}, BackfillStopping, ""},
		{"stop again", BackfillStopping, VerbStop, "", BackfillStand{Going: 1}, BackfillStopping, ""},
		{"stop what was stopped", BackfillStopped, VerbStop, "", BackfillStand{}, BackfillStopped, ""},
		{"stop what has ended", BackfillSucceeded, VerbStop, "", BackfillStand{}, 0, "nothing of it goes on"},
		{"an unknown verb", BackfillRunning, "fly", "", BackfillStand{}, 0, "one of pause, resume, stop"},
	} {
		b := Backfill{ID: 7, State: c.state, Parallel: 1, Halt: true, Dates: 9}
		err := b.Obey(BackfillOrder{Verb: c.verb, OnFailure: c.onFailure}, c.stand)
		switch {
		case c.want == 0 && (err == nil || !strings.Contains(err.Error(), c.refusal)):
			t.Errorf("%s: %v, want %q", c.name, err, c.refusal)
		case c.want == 0 && b.State != c.state:
			t.Errorf("%s: it was refused, and changed", c.name)
		case c.want != 0 && (err != nil || b.State != c.want):
			t.Errorf("%s: %s, %v", c.name, b.State, err)
		}
	}
}
