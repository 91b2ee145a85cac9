package param

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var dataTime = time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)

// params compiles "name=value" pairs; a name may end with :type.
func params(t testing.TB, pairs ...string) *Params {
	t.Helper()
	var decls []Decl
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		name, typ, _ := strings.Cut(name, ":")
		decls = append(decls, Decl{Name: name, Type: Type(typ), Default: &value})
	}
	p, err := CompileParams(decls)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is a scope in which every source has something to say.
func world(t testing.TB) *Scope {
	t.Helper()
	declared := params(t, "day=$[yyyyMMdd-1]", "region=eu", "limit:integer=10", "ratio:float=0.5", "dry:boolean=false", `cities:list=["a","b"]`, "item:json={}", "每日=x", "a-b=dash", "both=global")
	return &Scope{
		Start: map[string]string{"region": "us", "extra": "1"},
		Bound: map[string]string{"item": `{"id": 7, "tags": ["x"]}`},
		Local: params(t, "limit=${limit}", "path=/data/${day}/${region}", "both=local"),
		Upstream: Upstreams{
			{Task: "extract", Distance: 1, EndedAt: dataTime, Outputs: map[string]string{"count": "42", "both": "output"}},
			{Task: "每日-订单", Distance: 2, EndedAt: dataTime, Outputs: map[string]string{"count": "7", "raw": "${region} $[yyyy]"}},
			{Task: "v1.2 load", Distance: 2, EndedAt: dataTime, Outputs: map[string]string{"rows": "5"}},
		},
		Global:   map[string]string{"day": "20260228", "region": "us", "extra": "1", "limit": "10", "ratio": "0.5", "dry": "false", "cities": `["a","b"]`, "每日": "x", "a-b": "dash", "both": "global"},
		Declared: declared,
		Project:  params(t, "bucket=s3://lake", "both=project", "root=${bucket}/${system.project.name}"),
		Builtin: Builtins{
			DataTime: dataTime, Project: "sales", Workflow: "daily-orders", Instance: "11", Task: "load", TaskInstance: "12", ExecutePath: "/tmp/12",
			Engine: map[string]string{"shard.index": "3", "shard.total": "8"},
		},
	}
}

func TestTemplateRender(t *testing.T) {
	t.Parallel()
	scope := world(t)
	for text, want := range map[string]string{
		"":                                       "",
		"plain $ $5 $$":                          "plain $ $5 $$",
		"${day}":                                 "20260228",
		"${ day }":                               "20260228",
		"d=${day}/${region}":                     "d=20260228/us",
		"$${day} $$[yyyy] $$${day}":              "${day} $[yyyy] $${day}",
		"$${{ x }}":                              "${{ x }}",
		"${path}":                                "/data/20260228/us",
		"${limit}":                               "10",
		"${extract.count}":                       "42",
		"${每日-订单.count}":                         "7",
		"${v1.2 load.rows}":                      "5",
		"${count}":                               "42",
		"${both}":                                "local",
		"${root}":                                "s3://lake/sales",
		"${每日-订单.raw}":                           "${region} $[yyyy]", // an output is data
		"${每日}${a-b}":                            "xdash",
		"${system.biz.date}":                     "20260228",
		"${system.biz.curdate}":                  "20260301",
		"${system.datetime}":                     "20260301103000",
		"${system.project.name}":                 "sales",
		"${system.workflow.definition.name}":     "daily-orders",
		"${system.workflow.instance.id}":         "11",
		"${system.task.definition.name}":         "load",
		"${system.task.instance.id}":             "12",
		"${system.task.execute.path}":            "/tmp/12",
		"${shard.index}/${shard.total}":          "3/8",
		"$[yyyy-MM-dd-1] $[0] $[*] $['a'] $[]":   "2026-02-28 $[0] $[*] $['a'] $[]",
		"$['it's'] $$[ $$[yyyy":                  "$['it's'] $[ $[yyyy",
		"${{ 1 + 2 * 3 }}":                       "7",
		"n=${{ int(limit) * 2 }}.":               "n=20.",
		`${{ region == "us" ? "a}}b" : '}}' }}`:  "a}}b",
		"${{ {a: {b: 1}}.a.b }}":                 "1",
		"${{ ratio * 2 }} ${{ ratio / 2 }}":      "1 0.25",
		"${{ dry }} ${{ cities }}":               `false ["a","b"]`,
		`${{ params["每日"] + params["a-b"] }}`:    "xdash",
		`${{ tasks["每日-订单"].count }}`:            "7",
		"${{ extract.count + shard.index }}":     "423",
		"${{ item.id + 1 }} ${{ item.tags[0] }}": "8 x",
		"${{ system.biz.date }}":                 "20260228",
		"{}[] ${region}}":                        "{}[] us}",
	} {
		tmpl, err := Compile(text)
		if err != nil {
			t.Errorf("Compile(%q): %v", text, err)
			continue
		}
		if got, err := tmpl.Render(scope); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	scope := world(t)
	scope.Project = params(t, "a=${b}", "b=x${c}", "c=${a}", "self=${self}", "deep=${nope}", "ab=${{ ba }}", "ba=${ab}", "year=$[yyyy+3999999]")
	for _, c := range []struct {
		text, code string
		offset     int
		message    string
	}{
		{"x ${", CodeReference, 2, "not closed"},
		{"x ${a\n}", CodeReference, 2, "not closed"},
		{"${}", CodeReference, 0, "name is missing"},
		{"${a${b}}", CodeReference, 0, "inside the name"},
		{"a ${{ 1", CodeReference, 2, "not closed"},
		{"a ${{ 1 + }}", CodeExpression, 9, "unexpected token"},
		{"ab $[yyyyT]", CodePlaceholder, 9, "'T'"},
		{"ab $[yyyy", CodePlaceholder, 3, "not closed; write $[yyyyMMdd], or $$["},
		{"ab $[yyyy\n]", CodePlaceholder, 3, "not closed"},
		{"cost: $[5", CodePlaceholder, 6, "not closed"},
		{"$[", CodePlaceholder, 0, "not closed"},
		{"ab ${regoin}", CodeUnknownParameter, 3, `did you mean "region"`},
		{"ab ${extract.cuont}", CodeUnknownParameter, 3, `task "extract" has no output "cuont"; did you mean "count"`},
		{"${system.biz.dat}", CodeUnknownParameter, 0, `did you mean "system.biz.date"`},
		{"${a}", CodeCycle, 0, "a → b → c → a"},
		{"${self}", CodeCycle, 0, "self → self"},
		{"${ab}", CodeCycle, 0, "ab → ba → ab"},
		{"${deep}", CodeUnknownParameter, 0, `parameter "deep"`},
		{"${year}", CodePlaceholder, 0, "only the years"},
		{"ab ${{ nope + 1 }}", CodeUnknownParameter, 7, "${nope}"},
	} {
		tmpl, err := Compile(c.text)
		if err == nil {
			_, err = tmpl.Render(scope)
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Param == "" && e.Offset != c.offset || !strings.Contains(e.Error(), c.message) {
			t.Errorf("%q: %#v; want %s at %d, %q", c.text, err, c.code, c.offset, c.message)
		}
	}
}

func TestBoundedWork(t *testing.T) {
	t.Parallel()
	laughs := []string{"l0=ha"}
	empty := []string{"e0="}
	deep := []string{"d0=x"}
	for i := 1; i <= 30; i++ {
		ref := fmt.Sprintf("${l%d}", i-1)
		laughs = append(laughs, fmt.Sprintf("l%d=%s", i, strings.Repeat(ref, 10)))
		empty = append(empty, fmt.Sprintf("e%d=${e%d}${e%[2]d}", i, i-1))
	}
	for i := 1; i <= 40; i++ {
		deep = append(deep, fmt.Sprintf("d%d=${d%d}", i, i-1))
	}
	for text, p := range map[string]*Params{"${l30}": params(t, laughs...), "${e30}": params(t, empty...), "${d40}": params(t, deep...)} {
		tmpl, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Render(&Scope{Project: p})
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeTooLarge {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTemplateRefs(t *testing.T) {
	t.Parallel()
	tmpl, err := Compile(`a ${day} ${{ limit > 1 and tasks["x y"].n == item.id }} $${no} ${day}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{
		{Name: "day", Offset: 2},
		{Name: "limit", Root: "limit", Offset: 13},
		{Name: "x y.n", Offset: 27},
		{Name: "item.id", Root: "item", Offset: 45},
		{Name: "day", Offset: 63},
	}
	if diff := cmp.Diff(want, tmpl.Refs()); diff != "" {
		t.Error(diff)
	}
	if tmpl.IsConstant() {
		t.Error("constant")
	}
	isParam := func(n string) bool { return n == "item" }
	isTask := func(n string) bool { return n == "x y" }
	for i, known := range []bool{false, false, true, true, false} {
		if got := want[i].Known(isParam, isTask); got != known {
			t.Errorf("%v known: %v", want[i], got)
		}
	}
	if c, _ := Compile("$${x} is text"); !c.IsConstant() || c.Constant() != "${x} is text" || c.Text() != "$${x} is text" {
		t.Errorf("%q", c.Constant())
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("${}[]ya1 每")), 0, 30, -1).Draw(t, "text")
		tmpl, err := Compile(Escape(text))
		if err != nil || !tmpl.IsConstant() || tmpl.Constant() != text {
			t.Fatalf("%q escaped is %q: %v", text, Escape(text), err)
		}
	})
}

func TestTemplateConcurrent(t *testing.T) {
	t.Parallel()
	scope := world(t)
	tmpl, err := Compile(`${path} ${{ int(limit) + 1 }} $[yyyy]`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if v, err := tmpl.Render(scope); err != nil || v != "/data/20260228/us 11 2026" {
					t.Errorf("%q, %v", v, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"${a}", "$${a} $[yyyy-1] ${{ a + 1 }}", "${{ {a: '}}'} }}", "${a${b}}", "$[add_months(yyyy,'],1)]", "${{ all([1], # in 1..3) }}", "$$$[$${"} {
		f.Add(s)
	}
	scope := &Scope{Start: map[string]string{"a": "1", "b": "x"}, Builtin: Builtins{DataTime: dataTime}}
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := Compile(text)
		if err == nil {
			_, err = tmpl.Render(scope)
		}
		checkError(t, text, err)
		_, err = Eval(text, dataTime, nil, scope.Start)
		checkError(t, text, err)
		_, err = EvalTime(text, dataTime, nil)
		checkError(t, text, err)
	})
}

func BenchmarkRender(b *testing.B) {
	scope := world(b)
	for name, text := range map[string]string{
		"constant": "/data/fixed", "ref": "${day}", "refInText": "d=${day}/x", "nested": "${path}", "time": "$[yyyyMMdd-1]",
		"expression": "${{ int(limit) > 5 }}",
	} {
		tmpl, err := Compile(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Render(scope); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
