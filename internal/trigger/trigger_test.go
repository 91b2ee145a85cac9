package trigger

import (
	"encoding/json"
	"strings"
	"testing"

	"baton/internal/flow"
)

func standing(params ...flow.Pair) flow.TriggerStanding {
	after := flow.After{All: []flow.Source{{Project: "p", Workflow: "a"}, {Project: "q", Workflow: "b"}}}
	return flow.TriggerStanding{
		ID: 1, Revision: 2, Project: 3, Workflow: 4, ProjectName: "p", Zone: "Asia/Shanghai", Priority: flow.PriorityHigh,
		Body: flow.Trigger{Name: "t", After: &after, Params: params}, Newest: 20,
		Marks: []flow.Mark{
			{Source: after.All[0].Key(), Instance: 7, Seq: 5, State: flow.InstanceSucceeded, DataTime: 2, EndedAt: 10, Outputs: []byte(`{"rows":"7","text":"${x}$[yyyy]"}`)},
			{Source: after.All[1].Key(), Instance: 8, Seq: 6, State: flow.InstanceSucceeded, DataTime: 1, EndedAt: 20},
		},
	}
}

func ids() func() flow.ID {
	next := flow.ID(100)
	return func() flow.ID { next++; return next }
}

func TestAFullSetStartsARun(t *testing.T) {
	t.Parallel()
	s := standing(flow.Pair{Name: "rows", Value: "${{ runs.a.outputs.rows }}"}, flow.Pair{Name: "id", Value: `${{ runs["q/b"].id }} in ${{ runs.a.state }}`},
		flow.Pair{Name: "raw", Value: "${{ runs.a.outputs.text }}"}, flow.Pair{Name: "day", Value: "$[yyyyMMdd]"})
	d := Decide(s, 30, ids(), ids())
	if len(d.Gone) != 2 || len(d.Starts) != 1 || len(d.Commands) != 1 || d.Trigger != 1 || d.Revision != 2 {
		t.Fatalf("%+v", d)
	}
	var start flow.Start
	if err := json.Unmarshal(d.Commands[0].Start, &start); err != nil {
		t.Fatal(err)
	}
	if start.DataTime != 2 || start.Trigger != flow.TriggerTrigger || start.By != "t" || d.Commands[0].ID != d.Starts[0].Instance || d.Commands[0].Zone != "Asia/Shanghai" {
		t.Errorf("%+v of %+v", start, d.Commands[0])
	}
	for name, want := range map[string]string{"rows": "7", "id": "8 in succeeded", "raw": "$${x}$$[yyyy]", "day": "$[yyyyMMdd]"} {
		if start.Params[name] != want {
			t.Errorf("%s: %q", name, start.Params[name])
		}
	}
	if d.Starts[0].Cause != "a succeeded (run 7), q/b succeeded (run 8)" {
		t.Error(d.Starts[0].Cause)
	}
}

func TestAnExpressionThatFailsStartsNothing(t *testing.T) {
	t.Parallel()
	d := Decide(standing(flow.Pair{Name: "x", Value: "${{ runs.nobody.id }}"}), 30, ids(), ids())
	if len(d.Gone) != 2 || len(d.Commands) != 0 || len(d.Starts) != 1 || d.Starts[0].State != flow.StartSkipped || !strings.Contains(d.Starts[0].Reason, `parameter "x"`) {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsTooOldIsSaid(t *testing.T) {
	t.Parallel()
	s := standing()
	s.Body.Window = flow.Duration(5000)
	d := Decide(s, 30, ids(), ids())
	if len(d.Gone) != 1 || len(d.Waiting) != 1 || len(d.Commands) != 0 || d.Starts[0].Cause != "a succeeded (run 7)" || !strings.HasPrefix(d.Starts[0].Reason, "too old: ") {
		t.Errorf("%+v", d)
	}
}

func TestCheckOfParameters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"${{ runs.a.id }}": "", "$[yyyy]": "", "${anything}": "", "${{ system.biz.date }}": "", "plain": "",
		"${{ run.a.id }}": "is not of the event", "${{ runs. }}": "unexpected",
	} {
		err := Check(flow.TriggerAfter, text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
