package engine

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"baton/internal/flow"
)

func TestEnvironmentOfATask(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		def   string
		start flow.Start
		want  string
	}{
		{"a\n", flow.Start{}, ""},
		{"a\n", flow.Start{Environment: "test"}, "test"},
		{".environment usual\na\n", flow.Start{}, "usual"},
		{".environment usual\na\n", flow.Start{Environment: "test"}, "test"},
		{".environment usual\na | environment own\n", flow.Start{Environment: "test"}, "own"},
	} {
		def, err := define(c.def)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, def, c.start)
		if e, err := ExplainTask(w.s, "a", w.now); err != nil || e.Environment != c.want {
			t.Errorf("%q, started with %+v: explained as %q, %v", c.def, c.start, e.Environment, err)
		}
		w.apply(Begin{})
		w.place("a")
		if o, err := w.s.Order(0); err != nil || o.Environment != c.want {
			t.Errorf("%q, started with %+v: %q, %v", c.def, c.start, o.Environment, err)
		}
		if e, err := ExplainTask(w.s, "a", w.now); err != nil || e.Environment != c.want {
			t.Errorf("%q, started with %+v: explained as %q, %v", c.def, c.start, e.Environment, err)
		}
	}
}

// What the task has itself wins: its env, its parameters, its secrets.
func TestPrepare(t *testing.T) {
	t.Parallel()
	def, err := define(".environment spark3\n.group spark\n.param day = 1\na | env OWN = task | env KEY = secret:TASK_KEY | param limit=5\nb<-a\n")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, def, flow.Start{})
	w.apply(Begin{})
	w.place("a")
	secret := func(name string) *flow.Secret { return &flow.Secret{Env: name} }
	env := flow.Environment{
		Name: "spark3", Version: 4, Script: "x", Groups: []string{"dw", "spark"},
		Env: []flow.EnvVar{
			{Name: "SPARK_HOME", Value: "/opt/${day}"},
			{Name: "OWN", Value: "env"},
			{Name: "day", Value: "env"},
			{Name: "limit", Value: "env"},
			{Name: "KEY", Value: "env"},
			{Name: "TOKEN", Secret: secret("ENV_TOKEN")},
			{Name: "OWN", Secret: secret("ENV_OWN")},
		},
	}
	o, err := w.s.Order(0)
	if err == nil {
		err = o.Prepare(env)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"SPARK_HOME": "/opt/${day}", "OWN": "task", "day": "1", "limit": "5"} {
		if o.Env[name] != want {
			t.Errorf("%s=%q, want %q", name, o.Env[name], want)
		}
	}
	if _, twice := o.Env["KEY"]; twice || len(o.Secrets) != 2 || o.Secrets[0].Secret.Env != "TASK_KEY" || o.Secrets[1].Name != "TOKEN" {
		t.Errorf("%v %v", slices.Sorted(maps.Keys(o.Env)), o.Secrets)
	}
	if o.Setup.Version != 4 || o.Setup.Script != "x" || slices.Contains(o.Setup.Keep, "SPARK_HOME") || slices.Contains(o.Setup.Keep, "TOKEN") {
		t.Errorf("%+v", o.Setup)
	}
	for _, name := range []string{"OWN", "KEY", "day", "limit", "BATON_FENCE"} {
		if !slices.Contains(o.Setup.Keep, name) {
			t.Errorf("%s is not kept: %v", name, o.Setup.Keep)
		}
	}

	// The next attempt is prepared by what the environment says then, and nothing of before is left.
	w.apply(Ended{Task: w.s.Rows[0].ID, Result: flow.Result{Token: w.s.Rows[0].Attempt.Token, State: flow.AttemptLost, Class: flow.ClassInfrastructure}})
	w.place("a")
	again, err := w.s.Order(0)
	if err == nil {
		err = again.Prepare(flow.Environment{Name: "spark3", Version: 5, Env: []flow.EnvVar{{Name: "SPARK_HOME", Value: "/new"}}})
	}
	if _, old := again.Env["TOKEN"]; err != nil || again.Env["SPARK_HOME"] != "/new" || old || len(again.Secrets) != 1 || again.Setup.Version != 5 || again.Setup.Script != "" {
		t.Errorf("%+v, %v", again, err)
	}

	again.Group = "default"
	if err := again.Prepare(env); err == nil || !strings.Contains(err.Error(), `environment "spark3" may not be used in the worker group "default"; it is for dw, spark`) {
		t.Errorf("%v", err)
	}
}
