package param

import (
	"errors"
	"strings"
	"testing"
)

func TestExpression(t *testing.T) {
	t.Parallel()
	scope := world(t)
	for text, want := range map[string]bool{
		`region == 'us'`:                                    true,
		`region in ["eu", "us"] && !dry`:                    true,
		`region not in ["eu"] and not dry`:                  true,
		`region != "eu" or false`:                           true,
		`ratio < 1 and ratio >= 0.5 and ratio == 0.5`:       true,
		`int(count) > 40`:                                   true,
		`count == "42"`:                                     true,
		`"b" in cities and len(cities) == 2`:                true,
		`all(cities, len(#) == 1) && any(cities, # == "a")`: true,
		`filter(cities, # != "a") == ["b"]`:                 true,
		`item.id == 7 and item.tags[0] == "x"`:              true,
		`"id" in item`:                                      true,
		`item.gone == nil`:                                  true,
		`params["每日"] == "x" and 每日 == "x"`:                 true,
		`params["a-b"] contains "as"`:                       true,
		`params["system.biz.date"] == system.biz.date`:      true,
		`tasks["每日-订单"].count == "7"`:                       true,
		`extract.count == count`:                            true,
		`day matches "^2026"`:                               true,
		`upper(region) == "US" ? true : false`:              true,
		`int(shard.index) in 0..4`:                          true,
		`string(ratio) == "0.5"`:                            true,
	} {
		e, err := CompileExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := e.EvalBool(scope); got != want || err != nil {
			t.Errorf("%s = %v, %v", text, got, err)
		}
	}
}

func TestExpressionErrors(t *testing.T) {
	t.Parallel()
	scope := world(t)
	scope.Global["word"] = "seven"
	scope.Declared = params(t, "word:integer=7", "region=eu", "cities:list=[]", "dry:boolean=true", "item:json={}")
	scope.Global["big"] = strings.Repeat("x", maxExprValue+1)
	for _, c := range []struct {
		text, code string
		offset     int
		message    string
	}{
		{"", CodeExpression, 0, "empty"},
		{"region ==", CodeExpression, 8, "unexpected"},
		{"每日 == 'x' ==", CodeExpression, 15, "unexpected"},
		{"count == 42", CodeExpression, 6, "text cannot be compared to a number"},
		{"count != 42", CodeExpression, 0, "text cannot be compared to a number"},
		{"count > 41", CodeExpression, 6, ""},
		{"count in [1, 42]", CodeExpression, 6, "text cannot be compared to a number"},
		{"count in 1..42", CodeExpression, 0, "text cannot be compared to a number"},
		{`dry == "false"`, CodeExpression, 0, "a truth value cannot be compared to text"},
		{`"a" in region`, CodeExpression, 0, "cannot be looked for"},
		{"region", CodeExpression, 0, "not true or false"},
		{"regoin == 'eu'", CodeUnknownParameter, 0, `did you mean "region"`},
		{"true and extract.cout == ''", CodeUnknownParameter, 9, `did you mean "count"`},
		{"word > 1", CodeBadValue, 0, "not of type integer"},
		{"big == ''", CodeTooLarge, 0, "65536"},
		{"now() > 1", CodeExpression, 0, "now is not available"},
		{`repeat("a", 9) == ""`, CodeExpression, 0, "repeat is not available"},
		{`lenn(region) == 1`, CodeExpression, 0, `did you mean "len"`},
		{`let x = 1; x == 1`, CodeExpression, 0, "let is not available"},
		{`all(cities, any(cities, true))`, CodeExpression, 0, "inside another"},
		{`params[region] == 1`, CodeExpression, 7, "between quotes"},
		{`params == 1`, CodeExpression, 0, "params takes a name"},
		{`tasks["a"] == 1`, CodeExpression, 0, "tasks takes a task"},
		{`$env == 1`, CodeExpression, 0, "cannot be written"},
		{`__budget == 1`, CodeExpression, 0, "cannot be written"},
		{`string(cities) == ""`, CodeExpression, 0, "not a list"},
		{strings.Repeat("(", 5000), CodeTooLarge, 4096, ""},
		{"1" + strings.Repeat("+1", 500) + "==1", CodeTooLarge, 0, ""},
		{"len(1..1000000) > 0", CodeTooLarge, 0, ""},
		{"all(1..99999, sum(1..99999) > 0)", CodeTooLarge, 0, ""},
	} {
		e, err := CompileExpression(c.text)
		if err == nil {
			_, err = e.EvalBool(scope)
		}
		var own *Error
		if !errors.As(err, &own) || own.Code != c.code || !strings.Contains(own.Error(), c.message) {
			t.Errorf("%.40s: %#v; want %s, %q", c.text, err, c.code, c.message)
			continue
		}
		if c.code != CodeTooLarge && c.offset > 0 && own.Offset != c.offset {
			t.Errorf("%s: offset %d (%s), want %d", c.text, own.Offset, own.Message, c.offset)
		}
	}
}

// The worst a short text can ask for over the largest values is refused within a moment.
func TestExpressionWork(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat("1,", 30_000) + "1]"
	scope := &Scope{
		Global:   map[string]string{"list": list, "s": strings.Repeat("a,", 32_000)},
		Declared: params(t, "list:list=[]"),
	}
	for _, text := range []string{
		`all(list, sum(list) > 0)`,
		`len(map(list, split(s, ","))) > 0`,
		`len(map(list, upper(s))) > 0`,
		`len(map(list, s + s)) > 0`,
		`len(map(list, list)) > 0`,
		`any(list, s contains "b")`,
		`any(list, # in filter(list, # > 5))`,
		`all(list, s matches "(a|,)*")`,
	} {
		e, err := CompileExpression(text)
		if err != nil {
			if !strings.Contains(err.Error(), "inside another") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		_, err = e.Eval(scope)
		var own *Error
		if !errors.As(err, &own) || own.Code != CodeTooLarge {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A list that is long but gone through once is fine.
func TestExpressionLongList(t *testing.T) {
	t.Parallel()
	scope := &Scope{
		Global:   map[string]string{"list": "[" + strings.Repeat("1,", 30_000) + "2]", "limit": "2"},
		Declared: params(t, "list:list=[]", "limit:integer=0"),
	}
	e, err := CompileExpression("count(list, # >= limit) == 1 and sum(list) == 30002")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := e.EvalBool(scope); !ok || err != nil {
		t.Error(ok, err)
	}
}

func TestExpressionCheck(t *testing.T) {
	t.Parallel()
	p := params(t, "region=eu", "limit:integer=1", "ratio:float=1", "dry:boolean=true", "count:integer=0", "list:list=[]", "j:json={}")
	for text, want := range map[string]string{
		`region == 'eu' and limit > ratio or dry`: "",
		`count > 1 and count(list, # == 1) > 0`:   "",
		`other > 1 and j.x > 1 and extract.n > 1`: "",
		`region > 1`:               "mismatched types",
		`true and region == 1`:     "mismatched types string and int); declare",
		`dry == "true"`:            "mismatched types",
		`limit + region == 1`:      "mismatched types",
		`region.x == 1`:            "has no field",
		`params["region"] == 1`:    "",
		`filter(list, region > 1)`: "mismatched types",
	} {
		e, err := CompileExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Check(p.Type)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"region == 'eu'", "all(list, # > 1)", `params["x"].y[0] ?? 1`, "a?.b?.c in 1..3", "((((", "x | filter(# > 1) | len()", "{'a': region}.a", "list[1:2]"} {
		f.Add(s)
	}
	scope := &Scope{
		Global:   map[string]string{"region": "eu", "list": "[1,2]", "x": `{"y":[1]}`},
		Declared: params(f, "list:list=[]", "x:json={}"),
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := CompileExpression(text)
		if err == nil {
			_, err = e.Eval(scope)
		}
		checkError(t, text, err)
	})
}

// Who compares a text to a number is told what to do, with the values as they are.
func TestComparedTypes(t *testing.T) {
	t.Parallel()
	scope := &Scope{Start: map[string]string{"n": "3"}}
	for expression, want := range map[string]string{
		"n == 4": "text cannot be compared to a number (3, 4); declare the parameter's type",
		"n > 3":  "; declare the parameter's type, or convert with int(…)",
	} {
		e, err := CompileExpression(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.EvalBool(scope); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
}
