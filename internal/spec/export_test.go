package spec_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
)

// TestExportOfGolden exports every good document of the golden files and reads it back.
func TestExportOfGolden(t *testing.T) {
	t.Parallel()
	for _, name := range archives(t) {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs, _ := spec.Parse(sources(a), types, spec.Defaults{})
		for _, d := range docs {
			roundTrip(t, d)
		}
	}
}

// TestExportOfHosted does the same with the types that ship, for a task within a task.
func TestExportOfHosted(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/hosted/fan.txtar")
	if err != nil {
		t.Fatal(err)
	}
	set := task.NewSet(all.Types()...)
	docs, errs := spec.Parse(sources(a), set, spec.Defaults{})
	if len(errs) > 0 || len(docs) != 1 {
		t.Fatal(errs)
	}
	planned(t, docs[0], set)
	file, err := spec.Export(docs[0])
	if err != nil {
		t.Fatal(err)
	}
	again, errs := spec.Parse([]spec.Source{{Name: "export.yaml", Content: file}}, set, spec.Defaults{})
	if len(errs) > 0 || len(again) != 1 {
		t.Fatalf("%v\n%s", errs, file)
	}
	if diff := cmp.Diff(docs[0].Workflow, again[0].Workflow); diff != "" {
		t.Errorf("%s\n%s", diff, file)
	}
	if got := spec.Resources(docs[0]); !slices.Equal(got, []string{"load.sh"}) {
		t.Errorf("files %v", got)
	}
	if got := spec.Workflows(docs[0]); len(got) != 1 || got[0].Workflow != "child" || got[0].By != "children" {
		t.Errorf("workflows %+v", got)
	}
}

func TestExportIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { roundTrip(t, flow.Document{Workflow: workflow(t)}) })
}

func TestExportOfProjectsIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, flow.Document{Project: &flow.Project{Name: named().Draw(t, "name"), Description: maybe(t, text(), "description"), Weight: maybe(t, rapid.IntRange(2, 100), "weight")}})
	})
}

func TestExportOfEnvironmentsIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, flow.Document{Environment: &flow.Environment{
			Name: named().Draw(t, "name"), Description: maybe(t, text(), "description"), Env: environment(t), Script: maybe(t, text(), "script"),
			Groups: maybe(t, rapid.SliceOfN(named(), 1, 3), "groups"),
		}})
		roundTrip(t, flow.Document{WorkerGroup: &flow.WorkerGroup{Name: named().Draw(t, "group"), Description: maybe(t, text(), "about")}})
	})
}

// fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func roundTrip(t fataler, want flow.Document) {
	t.Helper()
	want.File = "export.yaml"
	file, err := spec.Export(want)
	if err != nil {
		t.Fatalf("%v", err)
	}
	docs, errs := spec.Parse([]spec.Source{{Name: "export.yaml", Content: file}}, types, spec.Defaults{})
	if len(errs) > 0 {
		t.Fatalf("%v\n%s", errs, file)
	}
	if got := []flow.Document{want}; !reflect.DeepEqual(got, docs) { // cmp compares options byte by byte
		t.Fatalf("%s\n%s", cmp.Diff(got, docs), file)
	}
	planned(t, want, types)
}

// Texts that YAML likes to misunderstand, beside arbitrary ones.
var nasty = []string{
	"", " ", "yes", "no", "on", "null", "~", "true", "0777", "007", "1_000", "1e3", ".5", "0x1F", "2026-01-01", "12:30:45", "=", "<<", "*", "&a", "!x", "%y", "@z", "`d`",
	"- a", "? b", "a: b", "a #b", "#c", "'", "\"", "\\", "{a}", "[b]", "{{x}}", ",", "a\n", "\na", "a\n\n", " a\nb", "a \nb", "a\tb", "\ta\nb", "a\r\nb", "---", "...", "---\na", "--- a\nb", "每日订单", "é", "\u0085", "\u2028x\n", "\ufeff", "😀\nx", "a:\n", "|", ">", "|-\nx", "x\n y\n  z\n",
	"#!/bin/bash\nset -eu\nfor f in *.csv; do\n\techo \"${f%.csv}\" # all\ndone\n", strings.Repeat("long ", 60), ".inf", ".NaN", "+1", "-", "-1", "0o7", "\x7f", "\u00a0", "\x01", "\x1b[0m",
}

func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(nasty), rapid.StringMatching(`[ -~]{0,20}`), rapid.StringN(0, 12, 40)).
		Filter(func(s string) bool { return !strings.ContainsAny(s, "$\x00") })
}

func named() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`), rapid.SampledFrom([]string{"每日订单", "提取 数据", "yes", "null", "1", "a.b", "a: b", "tasks", "#x", "\"q\"", "é"})).
		Filter(func(s string) bool { return flow.CheckName(s) == nil })
}

func maybe[V any](t *rapid.T, g *rapid.Generator[V], label string) V {
	if rapid.Bool().Draw(t, label+"?") {
		return g.Draw(t, label)
	}
	var none V
	return none
}

func duration() *rapid.Generator[flow.Duration] {
	return rapid.Map(rapid.Int64Range(0, int64(flow.MaxDuration)/1000), func(n int64) flow.Duration { return flow.Duration(n * 1000) })
}

// turns draws what is said of the turns of runs.
func turns(t *rapid.T, w *flow.Workflow) {
	key := maybe(t, text(), "turn key")
	if rapid.Bool().Draw(t, "limited") {
		over := rapid.SampledFrom([]flow.Over{"", flow.OverDiscard, flow.OverStopOldest}).Draw(t, "over")
		w.Execution = flow.Execution{Limit: rapid.IntRange(1, 3).Draw(t, "limit"), Over: over, Key: key}
	}
	if rapid.Bool().Draw(t, "rated") {
		w.Rate = flow.Rate{Starts: rapid.SampledFrom([]int{1, flow.MaxStarts}).Draw(t, "starts"), Per: rapid.SampledFrom([]flow.Duration{flow.Duration(time.Microsecond), flow.MaxRatePer}).Draw(t, "per"), Key: key}
	}
}

func workflow(t *rapid.T) *flow.Workflow {
	w := &flow.Workflow{
		Project: named().Draw(t, "project"), Name: named().Draw(t, "name"), RenamedFrom: maybe(t, named(), "from"), Description: maybe(t, text(), "description"),
		Labels:   labels(t),
		Timezone: maybe(t, rapid.Just("Asia/Shanghai"), "zone"), Failure: maybe(t, rapid.Just(flow.FailureEnd), "failure"),
		Priority: maybe(t, rapid.SampledFrom([]flow.Priority{1, 2, 4, 5}), "priority"), WorkerGroup: maybe(t, rapid.Just("spark"), "group"),
		Environment: maybe(t, named(), "environment"),
		Timeout:     maybe(t, rapid.Map(duration().Filter(func(d flow.Duration) bool { return d > 0 }), func(d flow.Duration) flow.Timeout { return flow.Timeout{Run: d, Action: flow.TimeoutWarn} }), "timeout"),
	}
	turns(t, w)
	for i := range rapid.IntRange(0, 3).Draw(t, "params") {
		p := flow.Param{Name: fmt.Sprintf("p%d", i)}
		if rapid.Bool().Draw(t, "typed") {
			p.Type, p.Required, p.Description = "string", rapid.Bool().Draw(t, "required"), maybe(t, text(), "about")
		}
		if d := text().Draw(t, "default"); p.Type == "" || rapid.Bool().Draw(t, "has default") {
			p.Default = &d
			if p.Type != "" && rapid.Bool().Draw(t, "enum") {
				p.Enum = []string{d, d + "x"}
			}
		}
		w.Params = append(w.Params, p)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "outputs") {
		w.Outputs = append(w.Outputs, flow.Output{Name: fmt.Sprintf("o%d", i), Value: text().Draw(t, "output")})
	}
	names := rapid.SliceOfNDistinct(named(), 1, 6, rapid.ID).Draw(t, "tasks")
	for i, n := range names {
		w.Tasks = append(w.Tasks, aTask(t, n, names[:i]))
	}
	for i := range w.Tasks { // arms only lead forward, and what they lead to needs them
		if rest := names[i+1:]; len(rest) > 0 && rapid.IntRange(0, 3).Draw(t, "switch") == 0 {
			t1 := &w.Tasks[i]
			*t1 = flow.Task{Name: t1.Name, Type: flow.TypeSwitch, Description: t1.Description, Labels: t1.Labels, Needs: t1.Needs, Join: t1.Join, When: t1.When, Params: t1.Params, Delay: t1.Delay, Disabled: t1.Disabled}
			t1.Branches = []flow.Branch{{When: "p == 'x'", To: []string{rest[0]}}, {Default: true, To: []string{}}}
			if next := &w.Tasks[i+1]; !slices.Contains(next.Needs, t1.Name) {
				next.Needs = append(next.Needs, t1.Name)
			}
		}
	}
	for i, n := range rapid.SliceOfNDistinct(named().Filter(func(n string) bool { return !slices.Contains(names, n) }), 0, 3, rapid.ID).Draw(t, "finally") {
		var before []string
		for _, u := range w.Finally {
			before = append(before, u.Name)
		}
		w.Finally = append(w.Finally, aTask(t, n, before))
		w.Finally[i].Compensate, w.Finally[i].IgnoreFailure = nil, false
	}
	return w
}

func labels(t *rapid.T) map[string]string {
	m := rapid.MapOfN(named(), text(), 0, 3).Draw(t, "labels")
	if len(m) == 0 {
		return nil
	}
	return m
}

func pairs(t *rapid.T, label string) []flow.Pair {
	var out []flow.Pair
	for i := range rapid.IntRange(0, 2).Draw(t, label) {
		out = append(out, flow.Pair{Name: fmt.Sprintf("%s%d", label, i), Value: text().Draw(t, label)})
	}
	return out
}

func environment(t *rapid.T) []flow.EnvVar {
	var out []flow.EnvVar
	for i := range rapid.IntRange(0, 2).Draw(t, "env") {
		e := flow.EnvVar{Name: fmt.Sprintf("E%d", i), Value: text().Draw(t, "env value")}
		if rapid.Bool().Draw(t, "secret") {
			e.Value, e.Secret = "", rapid.SampledFrom([]*flow.Secret{{Env: "X"}, {File: "/run/secrets/x y"}}).Draw(t, "which")
		}
		out = append(out, e)
	}
	return out
}

func work(t *rapid.T) (string, json.RawMessage, []flow.File) {
	kind := rapid.SampledFrom([]string{"shell", "shell+", "http", "python"}).Draw(t, "type")
	object := func(parts ...string) json.RawMessage { return json.RawMessage("{" + strings.Join(parts, ",") + "}") }
	str := func(key string) string {
		b, _ := json.Marshal(text().Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, key)) // required
		return fmt.Sprintf("%q:%s", key, b)
	}
	switch kind {
	case "shell":
		return "shell", object(str("script")), nil
	case "shell+":
		return "shell", object(str("script"), str("shell")), nil
	case "python":
		return "python", object(`"file":"etl/main.py"`), []flow.File{{Path: "etl/main.py"}}
	}
	body := rapid.SampledFrom([]string{`{}`, `[]`, `[1,1.5,1e3,true,null,"1","yes",{"a":[[]]}]`, `"x"`, `{"":1,"a":{"b":"c\n"}}`, `-0.5e-7`}).Draw(t, "body")
	return "http", object(str("url"), `"headers":{"A":"007","B":"x: y"}`, `"body":`+body, `"redirects":3`, `"insecure":true`), nil
}

func aTask(t *rapid.T, name string, before []string) flow.Task {
	x := flow.Task{
		Name: name, Description: maybe(t, text(), "description"), Labels: labels(t), Params: pairs(t, "p"),
		When: maybe(t, rapid.Just("p1 == 'x'"), "when"), Substitute: maybe(t, rapid.Just(flow.SubstituteText), "substitute"),
		Env: environment(t), Delay: maybe(t, duration(), "delay"), Priority: maybe(t, rapid.SampledFrom([]flow.Priority{1, 3}), "priority"),
		WorkerGroup: maybe(t, rapid.SampledFrom([]string{"default", "spark"}), "group"), Delivery: maybe(t, rapid.Just(flow.AtMostOnce), "delivery"),
		Disabled: rapid.Bool().Draw(t, "disabled"), IgnoreFailure: rapid.Bool().Draw(t, "ignore"),
		Timeout: flow.Timeout{Queue: maybe(t, duration(), "queue"), Start: maybe(t, duration(), "start"), Heartbeat: maybe(t, duration(), "beat")},
	}
	x.Type, x.With, x.Files = work(t)
	if x.Type != "http" {
		x.Environment = maybe(t, named(), "environment")
	}
	if rapid.IntRange(0, 3).Draw(t, "pool") == 0 {
		x.Pool = &flow.PoolUse{Name: named().Draw(t, "pool name"), Slots: rapid.SampledFrom([]int{0, 2, 1000}).Draw(t, "slots"), Key: maybe(t, text(), "key")}
	}
	if rapid.Bool().Draw(t, "retry") {
		x.Retry = flow.Retry{Times: 3, Delay: flow.Duration(1000), Backoff: 1.25, If: []string{"exit:1-3", "!timeout", "log:a, [b]"}}
	}
	for _, b := range before {
		if rapid.Bool().Draw(t, "needs") {
			x.Needs = append(x.Needs, b)
		}
	}
	if len(x.Needs) > 0 {
		x.Join = maybe(t, rapid.SampledFrom([]string{flow.JoinAllDone, fmt.Sprintf("tasks[%q].failed or all_done", x.Needs[0])}), "join")
	}
	if rapid.IntRange(0, 3).Draw(t, "undo") == 0 {
		c := flow.Compensation{Params: pairs(t, "c"), Env: environment(t), Timeout: flow.Timeout{Run: 1000}}
		c.Type, c.With, c.Files = work(t)
		x.Compensate = &c
	}
	return x
}
