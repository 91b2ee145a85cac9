package param

import (
	"errors"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

//go:fix inline

// codes lists the codes of a joined error, each with its parameter.
func codes(err error) []string {
	var list []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, codes(e)...)
		}
		return list
	}
	if e, ok := errors.AsType[*Error](err); ok {
		list = append(list, e.Param+" "+e.Code)
	}
	return list
}

func TestCompileParams(t *testing.T) {
	t.Parallel()
	_, err := CompileParams([]Decl{
		{Name: "ok", Type: "LONG", Default: new("5")},
		{Name: "n", Type: TypeInteger, Default: new("x")},
		{Name: "e", Enum: []string{"eu", "us"}, Default: new("ue")},
		{Name: "d", Type: TypeDate, Default: new("$[yyyy-MM-dd]")},
		{Name: "t", Type: "strng"},
		{Name: "p", Default: new("$[yyyT]")},
		{Name: "a.b"},
		{Name: ""},
		{Name: "ok"},
		{Name: "a b"},
		{Name: "每日-订单_1"},
	})
	want := []string{
		"n bad_parameter", "e bad_parameter", "t bad_parameter", "p bad_placeholder",
		"a.b bad_parameter_name", " bad_parameter_name", "ok bad_parameter_name", "a b bad_parameter_name",
	}
	if diff := cmp.Diff(want, codes(err)); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{`parameter "t": there is no type "strng"`, `did you mean "string"?`, `"ue" is not one of eu, us; did you mean "eu"?`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
}

func TestParamsAccess(t *testing.T) {
	t.Parallel()
	p, err := CompileParams([]Decl{{Name: "b", Type: "INT", Default: new("${a}"), Description: "B"}, {Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, p.Names()); diff != "" {
		t.Error(diff)
	}
	if d, ok := p.Decl("b"); !ok || d.Type != TypeInteger || d.Description != "B" {
		t.Error(d)
	}
	if diff := cmp.Diff([]Ref{{Name: "a"}}, p.Refs("b")); diff != "" {
		t.Error(diff)
	}
	var none *Params
	if _, ok := none.Decl("x"); ok || len(none.Names()) > 0 || p.Refs("a") != nil {
		t.Error("something in nothing")
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	p, err := CompileParams([]Decl{
		{Name: "day", Default: new("$[yyyy-MM-dd-1]"), Type: TypeDate},
		{Name: "region", Default: new("eu"), Enum: []string{"eu", "us"}},
		{Name: "path", Default: new("${bucket}/${day}/${region}")},
		{Name: "limit", Type: TypeInteger, Required: true},
		{Name: "note"},
	})
	if err != nil {
		t.Fatal(err)
	}
	project := params(t, "bucket=s3://lake")
	builtin := Builtins{DataTime: dataTime}

	given, all, err := p.Resolve(map[string]string{"limit": "5", "region": "us", "extra": "${region}!", "data": Escape("${x} $[yyyy]")}, project, builtin)
	if err != nil {
		t.Fatal(err)
	}
	wantGiven := map[string]string{"limit": "5", "region": "us", "extra": "us!", "data": "${x} $[yyyy]"}
	wantAll := map[string]string{"day": "2026-02-28", "path": "s3://lake/2026-02-28/us"}
	maps.Copy(wantAll, wantGiven)
	if diff := cmp.Diff(wantGiven, given); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantAll, all); diff != "" {
		t.Error(diff)
	}

	_, _, err = p.Resolve(map[string]string{"region": "ue", "day": "today", "x": "${nope}", "a=b": "1", "y": "$[zz]"}, project, builtin)
	want := []string{"a=b bad_parameter_name", "y bad_placeholder", "day bad_parameter", "region bad_parameter", "x unknown_parameter", "limit missing_parameter"}
	if diff := cmp.Diff(want, codes(err)); diff != "" {
		t.Error(diff)
	}

	if _, all, err := (*Params)(nil).Resolve(map[string]string{nameBizDate: "20200101", "d": "${" + nameBizDate + "}"}, nil, builtin); err != nil || all["d"] != "20200101" {
		t.Error(all, err)
	}
	_, _, err = params(t, "x=${system.task.instance.id}").Resolve(nil, nil, builtin)
	if diff := cmp.Diff([]string{"x unknown_parameter"}, codes(err)); diff != "" {
		t.Error(diff)
	}
}

// A start that names itself takes the declared default.
func TestStartOverItself(t *testing.T) {
	t.Parallel()
	_, all, err := params(t, "day=1").Resolve(map[string]string{"day": "${day}0"}, nil, Builtins{})
	if err != nil || all["day"] != "10" {
		t.Error(all, err)
	}
	_, err = (&Template{}).Render(&Scope{})
	if err != nil {
		t.Error(err)
	}
	declared, err := CompileParams([]Decl{{Name: "note"}})
	if err != nil {
		t.Fatal(err)
	}
	tmpl, _ := Compile("${note}")
	if _, err = tmpl.Render(&Scope{Declared: declared}); err == nil || !strings.Contains(err.Error(), "-p note=") {
		t.Error(err)
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	good := map[Type][]string{
		TypeString: {"", "x"}, TypeInteger: {"0", "-5", "9223372036854775807"}, TypeFloat: {"0.5", "-1e3", "7"}, TypeBoolean: {"true", "False"},
		TypeDate: {"2026-03-01", "20260301"}, TypeTime: {"10:30", "10:30:59"}, TypeFile: {"a/b"},
		TypeTimestamp: {"2026-03-01 10:30:00", "2026-03-01T10:30:00+08:00", "20260301103000", "2026-03-01 10:30:00.5"},
		TypeList:      {"[]", `[1, "a"]`}, TypeJSON: {"{}", "null", "[1]", `"a"`},
	}
	bad := map[Type][]string{
		TypeInteger: {"", "x", "1.0", "9223372036854775808", " 1"}, TypeFloat: {"", "x", "NaN", "Inf"}, TypeBoolean: {"", "1", "yes"},
		TypeDate: {"", "2026-02-29", "01.03.2026"}, TypeTime: {"25:00"}, TypeTimestamp: {"2026-03-01"}, TypeList: {"", "{}", "[1", "[1] x"}, TypeJSON: {"", "{a: 1}"}, TypeFile: {""},
	}
	for typ, texts := range good {
		for _, s := range texts {
			if err := typ.Check(s); err != nil {
				t.Errorf("%s %q: %v", typ, s, err)
			}
		}
	}
	for typ, texts := range bad {
		for _, s := range texts {
			if err := typ.Check(s); err == nil {
				t.Errorf("%s %q is accepted", typ, s)
			}
		}
	}
	for name, want := range map[string]Type{
		"": TypeString, "VARCHAR": TypeString, "INTEGER": TypeInteger, "LONG": TypeInteger, "FLOAT": TypeFloat, "DOUBLE": TypeFloat, "DATE": TypeDate,
		"TIME": TypeTime, "TIMESTAMP": TypeTimestamp, "BOOLEAN": TypeBoolean, "LIST": TypeList, "FILE": TypeFile, "json": TypeJSON,
	} {
		if got, err := ParseType(name); got != want || err != nil {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		text string
		typ  Type
	}{
		{nil, "", TypeString},
		{"x", "x", TypeString},
		{true, "true", TypeBoolean},
		{5, "5", TypeInteger},
		{uint64(math.MaxUint64), "18446744073709551615", TypeInteger},
		{0.25, "0.25", TypeFloat},
		{[]any{1, "a"}, `[1,"a"]`, TypeList},
		{map[string]any{"a": 1}, `{"a":1}`, TypeJSON},
		{dataTime, "2026-03-01T10:30:00Z", TypeTimestamp},
	} {
		if got, typ, err := Literal(c.v); got != c.text || typ != c.typ || err != nil {
			t.Errorf("%v = %q %s, %v", c.v, got, typ, err)
		}
	}
	if _, _, err := Literal(make(chan int)); err == nil {
		t.Error("a channel is accepted")
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"day": "$[yyyyMMdd]", "x": "${day}!", "loop": "${loop}"}
	for text, want := range map[string]string{
		"d=$[yyyyMMdd-1]":                   "d=20260228",
		"${x} ${system.biz.date} $[HH]":     "20260301! 20260228 18",
		"${{ day + '?' }} $${day} $$[yyyy]": "20260301? ${day} $[yyyy]",
	} {
		if got, err := Eval(text, dataTime, zone, given); got != want || err != nil {
			t.Errorf("%s = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"$[0]", "$[yyyyT]", "$[", "${nope}", "${loop}", "${", "${{ 1 < 'a' }}", "$[yyyyMMdd-1/0]"} {
		_, err := Eval(text, dataTime, zone, given)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodePlaceholder {
			t.Errorf("%s: %v", text, err)
		}
	}
}
