package param

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Each source wins over all those beneath it.
func TestOrderOfSources(t *testing.T) {
	t.Parallel()
	s := Scope{
		Start:    map[string]string{nameBizDate: "start"},
		Local:    params(t, "x=local"),
		Upstream: Upstreams{{Task: "u", Outputs: map[string]string{nameBizDate: "output", "x": "output"}}},
		Global:   map[string]string{nameBizDate: "global", "x": "global"},
		Project:  params(t, "x=project"),
		Builtin:  Builtins{DataTime: dataTime},
	}
	for _, want := range []struct {
		value string
		from  Source
		drop  func()
	}{
		{"start", FromStart, func() { s.Start = nil }},
		{"output", FromOutput, func() { s.Upstream = nil }},
		{"global", FromGlobal, func() { s.Global = nil }},
		{"20260228", FromBuiltin, nil},
	} {
		if v, from, err := s.Lookup(nameBizDate); v != want.value || from != want.from || err != nil {
			t.Errorf("%q from %v, %v; want %q from %v", v, from, err, want.value, want.from)
		}
		if want.drop != nil {
			want.drop()
		}
	}
	s.Bound = map[string]string{"x": "bound"}
	for _, want := range []string{"bound local", "local local", "project project"} {
		v, from, err := s.Lookup("x")
		if got := v + " " + from.String(); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		if s.Bound == nil {
			s.Local = nil
		}
		s.Bound = nil
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	got := world(t).Explain()
	if !slices.IsSortedFunc(got, func(a, b Resolved) int { return cmpString(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	from := map[string]string{}
	for _, r := range got {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
		from[r.Name] = r.From.String() + ":" + r.Value
	}
	want := map[string]string{
		"region": "start:us", "extra": "start:1", "limit": "local:10", "both": "local:local", "count": "output:42",
		"day": "global:20260228", "bucket": "project:s3://lake", nameProject: "builtin:sales", "shard.index": "builtin:3",
	}
	for n, w := range want {
		if from[n] != w {
			t.Errorf("%s is %s, want %s", n, from[n], w)
		}
	}
	b, err := json.Marshal(FromLocal)
	if err != nil || string(b) != `"local"` || Source(0).String() != "" || Source(99).String() != "" {
		t.Error(string(b), err)
	}
}

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

func TestUpstreamsLookup(t *testing.T) {
	t.Parallel()
	at := func(m int) time.Time { return dataTime.Add(time.Duration(m) * time.Minute) }
	u := func(task string, distance, ended int, value string) Upstream {
		return Upstream{Task: task, Distance: distance, EndedAt: at(ended), Outputs: map[string]string{"x": value}}
	}
	for name, c := range map[string]struct {
		list Upstreams
		want string
	}{
		"nearest":           {Upstreams{u("a", 2, 0, "far"), u("b", 1, 9, "near")}, "near"},
		"nearest though ''": {Upstreams{u("a", 2, 0, "far"), u("b", 1, 9, "")}, ""},
		"then not empty":    {Upstreams{u("a", 1, 0, ""), u("b", 1, 9, "full")}, "full"},
		"then earliest":     {Upstreams{u("a", 1, 9, "late"), u("b", 1, 0, "early")}, "early"},
		"then by name":      {Upstreams{u("b", 1, 0, "b"), u("a", 1, 0, "a")}, "a"},
		"unknown end last":  {Upstreams{{Task: "a", Distance: 1, Outputs: map[string]string{"x": "?"}}, u("b", 1, 0, "b")}, "b"},
	} {
		if v, from, ok := c.list.Lookup("x"); v != c.want || !ok || from == nil {
			t.Errorf("%s: %q, want %q", name, v, c.want)
		}
	}
	if _, from, ok := (Upstreams{u("a", 1, 0, "")}).Lookup("y"); ok || from != nil {
		t.Error("found y")
	}
}

// The winner does not depend on the order in which upstreams are listed.
func TestUpstreamsOrderFree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := make(Upstreams, rapid.IntRange(1, 5).Draw(t, "n"))
		for i := range list {
			list[i] = Upstream{
				Task:     string(rune('a' + i)),
				Distance: rapid.IntRange(1, 2).Draw(t, "distance"),
				EndedAt:  dataTime.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "ended")) * time.Second),
				Outputs:  map[string]string{"x": rapid.SampledFrom([]string{"", "v"}).Draw(t, "value")},
			}
		}
		_, want, _ := list.Lookup("x")
		task := want.Task
		_, got, _ := rapid.Permutation(list).Draw(t, "order").Lookup("x")
		if got.Task != task {
			t.Fatalf("%s or %s wins", got.Task, task)
		}
	})
}

func TestQualifiedNames(t *testing.T) {
	t.Parallel()
	u := Upstreams{
		{Task: "a", Outputs: map[string]string{"b.c": "short"}},
		{Task: "a.b", Outputs: map[string]string{"c": "long"}},
		{Task: "ab", Outputs: map[string]string{"c": "other"}},
	}
	if v, task, output, ok := u.Find("a.b.c"); v != "long" || task.Task != "a.b" || output != "c" || !ok {
		t.Errorf("a.b.c = %q of %v", v, task)
	}
	for _, n := range []string{"", "a", "a.", ".c", "x.c", "abc"} {
		if _, task, _, ok := u.Find(n); ok || task != nil {
			t.Errorf("found %q", n)
		}
	}
	isTask := func(n string) bool { return n == "a" || n == "a.b" }
	if task, output, ok := SplitTaskRef("a.b.c", isTask); task != "a.b" || output != "c" || !ok {
		t.Error(task, output)
	}
	for _, n := range []string{"", "a", "a.", "c.d"} {
		if _, _, ok := SplitTaskRef(n, isTask); ok {
			t.Errorf("split %q", n)
		}
	}
}

func TestBuiltins(t *testing.T) {
	t.Parallel()
	shanghai := time.FixedZone("", 8*3600)
	b := Builtins{DataTime: time.Date(2026, 2, 28, 16, 30, 0, 0, time.UTC), Zone: shanghai, Project: "p"}
	want := map[string]string{nameBizDate: "20260228", nameCurDate: "20260301", nameDatetime: "20260301003000", nameProject: "p"}
	got := map[string]string{}
	for _, n := range b.names() {
		got[n], _ = b.Lookup(n)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(BuiltinNames()); n != 9 {
		t.Error(n)
	}
	if names := (&Scope{}).Names(); len(names) != 0 {
		t.Error(names)
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	s := Scope{
		Start: map[string]string{"PATH": "/evil", "LD_PRELOAD": "x.so", "IFS": "y", "http_proxy": "z"},
		Global: map[string]string{
			"day": "20260228", "a-b": "dash", "a_b": "underscore", "1st": "digit", "每日": "cn", "_": "under", "BATON_TOKEN": "t",
		},
		Local:   params(t, "copy=${day}"),
		Builtin: Builtins{Task: "load"},
	}
	want := map[string]string{
		"day": "20260228", "BATON_PARAM_day": "20260228", "copy": "20260228", "BATON_PARAM_copy": "20260228",
		"a_b": "underscore", "BATON_PARAM_a_b": "underscore", "BATON_PARAM_1st": "digit", "BATON_PARAM___": "cn",
		"BATON_PARAM__": "under", "BATON_PARAM_BATON_TOKEN": "t", "BATON_PARAM_PATH": "/evil", "BATON_PARAM_LD_PRELOAD": "x.so",
		"BATON_PARAM_IFS": "y", "BATON_PARAM_http_proxy": "z", "BATON_PARAM_system_task_definition_name": "load",
	}
	got, err := s.Environ()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	s.Global = map[string]string{"bad": "a\x00b"}
	if _, err := s.Environ(); err == nil {
		t.Error("a zero byte is accepted")
	}
	s.Global, s.Local = nil, params(t, "bad=${nope}")
	if _, err := s.Environ(); err == nil {
		t.Error("an unknown name is accepted")
	}
	for _, n := range []string{"PATH", "LD_LIBRARY_PATH", "IFS", "HOME", "SHELL", "BASH_ENV", "ENV", "PYTHONPATH", "", "1a", "a b", "a.b", "é"} {
		if IsEnvName(n) {
			t.Errorf("%q may be a variable", n)
		}
	}
	for _, n := range []string{"day", "Day", "DAY", "_x", "x1", "region", "path_to", "path", "env", "user"} {
		if !IsEnvName(n) {
			t.Errorf("%q may be no variable", n)
		}
	}
}

func TestScopeIsNotChanged(t *testing.T) {
	t.Parallel()
	s := world(t)
	start, global := maps.Clone(s.Start), maps.Clone(s.Global)
	s.Explain()
	if _, err := s.Environ(); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(start, s.Start) || !maps.Equal(global, s.Global) {
		t.Error("the scope has changed")
	}
}

func BenchmarkEnviron(b *testing.B) {
	scope := world(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scope.Environ(); err != nil {
			b.Fatal(err)
		}
	}
}
