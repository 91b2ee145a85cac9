package engine

import (
	"strings"
	"testing"

	"baton/internal/flow"
)

// A run whose key cannot be told ends at once: nobody checked the start of one that a schedule has fired.
func TestKeyless(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ region, want string }{
		{"", "region"},
		{strings.Repeat("é", flow.MaxTurnKey+1), "257 characters; 256 are allowed"},
	} {
		wf, err := define(".rate 10 1m\n.key ${region}\na")
		if err != nil {
			t.Fatal(err)
		}
		var start flow.Start
		if c.region != "" {
			start.Params = map[string]string{"region": c.region}
		}
		if err := CheckStart(compileTest(t, wf), start, epoch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the start is checked: %v", err)
		}
		w := newWorld(t, wf, start)
		w.apply(Begin{})
		ch := w.change
		if ch.Instance.State != flow.InstanceFailed || ch.Instance.Reason != flow.ReasonParameter || ch.Instance.EndedAt == 0 || len(ch.NewTasks) > 0 {
			t.Errorf("%+v", ch.Instance)
		}
		if len(ch.Alerts) != 1 || ch.Alerts[0].Kind != flow.AlertRunFailed || !strings.Contains(ch.Alerts[0].Message, c.want) {
			t.Errorf("%+v", ch.Alerts)
		}
	}
}

// A run that was quarantined before it began gets its key when it is released.
func TestKeyOfReleased(t *testing.T) {
	t.Parallel()
	wf, err := define(".limit 1\n.param region = eu\n.key ${region}\na")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, wf, flow.Start{})
	w.s.Inst.State, w.s.Inst.Prior = flow.InstanceQuarantined, flow.InstanceSubmitted
	w.apply(VerbGiven{Inbox: 9, Verb: flow.Verb{Name: flow.VerbRelease}})
	ch := w.change
	if ch.Instance.State != flow.InstanceQueued || ch.Instance.TurnKey != "eu" || !ch.Keyed {
		t.Errorf("%+v, keyed: %t", ch.Instance, ch.Keyed)
	}
}
