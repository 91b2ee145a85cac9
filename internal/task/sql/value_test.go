package sql

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValuesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, cases := range map[string]map[string]string{
		"postgres": {
			"true":                                         `true`,
			"null::int":                                    `null`,
			"9007199254740992":                             `9007199254740992`,
			"9007199254740993":                             `"9007199254740993"`,
			"-9223372036854775808":                         `"-9223372036854775808"`,
			"12.30::numeric(10,2)":                         `12.30`,
			"12345678901234.567::numeric":                  `"12345678901234.567"`,
			"'NaN'::numeric":                               `"NaN"`,
			"'-Infinity'::float8":                          `"-Infinity"`,
			"1e20::float8":                                 `1e+20`,
			"0.1::float4":                                  `0.1`,
			"'2026-03-01 10:00'::timestamp":                `"2026-03-01 10:00:00"`,
			"'2026-03-01 10:00:00.5Z'::timestamptz":        `"2026-03-01 18:00:00.5+08"`,
			"'infinity'::date":                             `"infinity"`,
			"'1 day 2 hours'::interval":                    `"1 day 02:00:00"`,
			`'\x00ff41'::bytea`:                            `"AP9B"`,
			`'{"a": [1, 2.50]}'::json`:                     `{"a": [1, 2.50]}`,
			`'{"n": 9007199254740993}'::jsonb`:             `{"n": 9007199254740993}`,
			"array[1,2]":                                   `"{1,2}"`,
			"'é\"\n'":                                      `"é\"\n"`,
			"'00000000-0000-0000-0000-000000000001'::uuid": `"00000000-0000-0000-0000-000000000001"`,
		},
		"mysql": {
			"true":                         `1`,
			"null":                         `null`,
			"9007199254740993":             `"9007199254740993"`,
			"18446744073709551615":         `"18446744073709551615"`,
			"cast(12.30 as decimal(10,2))": `12.30`,
			"cast('12345678901234.567' as decimal(20,3))": `"12345678901234.567"`,
			"1.5e0":                                `1.5`,
			"cast('2026-03-01 10:00' as datetime)": `"2026-03-01 10:00:00"`,
			"cast('2026-03-01' as date)":           `"2026-03-01"`,
			"cast('-12:30:00' as time)":            `"-12:30:00"`,
			"cast(x'00ff41' as binary(3))":         `"AP9B"`,
			"b'1000000001'":                        `"AgE="`,
			"'é\"\\n'":                             `"é\"\n"`,
		},
		"sqlite": {
			"1 = 1":                   `1`,
			"null":                    `null`,
			"9007199254740993":        `"9007199254740993"`,
			"0.1":                     `0.1`,
			"1e300 * 1e300":           `"Infinity"`,
			"x'00ff41'":               `"AP9B"`,
			"x''":                     `""`,
			"'é\"\n'":                 `"é\"\n"`,
			"'2026-03-01T10:00Z'":     `"2026-03-01T10:00Z"`,
			"cast(x'41ff00' as text)": `"A��"`,
		},
	} {
		w := one(t, name)
		for expression, want := range cases {
			// Through the plain and, with a parameter, the prepared way.
			for _, options := range []map[string]any{
				{"sql": "select " + expression + " as x"},
				{"sql": "select " + expression + " as x where 1 = :one", "params": map[string]any{"one": 1}},
			} {
				out, err := w.run(t, options)
				if err != nil || out["x"] != want {
					t.Errorf("%s: %s: got %s, %v, want %s", name, options["sql"], out["x"], err, want)
				}
			}
		}
	}
}

func TestColumnTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"mysql": {
			`create table v (a bit(10), b varbinary(3), c blob, d text, e enum('x','y'), f float, g year, h bigint unsigned, i timestamp, j json);
			insert into v values (513, x'00ff', x'00', 'long', 'y', 0.1, 2026, 18446744073709551615, '2026-03-01 10:00:00', '{"a": 1}'); select * from v`,
			`[{"a":513,"b":"AP8=","c":"AA==","d":"long","e":"y","f":0.1,"g":2026,"h":"18446744073709551615","i":"2026-03-01 10:00:00","j":"{\"a\": 1}"}]`,
		},
		"sqlite": {
			`create table v (a date, b datetime, c timestamp, d boolean, e numeric, f text);
			insert into v values ('2026-03-01', '2026-03-01 10:00:00', '2026-03-01 10:00:00.25+08:00', true, '12.50', 5); select * from v`,
			`[{"a":"2026-03-01","b":"2026-03-01 10:00:00","c":"2026-03-01 10:00:00.25+08:00","d":1,"e":12.5,"f":"5"}]`,
		},
	} {
		w := one(t, name)
		if diff := cmp.Diff(c.want, w.must(t, map[string]any{"sql": c.script})["rows"]); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestParamTypes(t *testing.T) {
	t.Parallel()
	typed := func(kind string, v any) map[string]any { return map[string]any{"type": kind, "value": v} }
	for name, c := range map[string]struct {
		script string
		params map[string]any
		want   string
	}{
		"postgres": {
			`create table v (a boolean, b bytea, c jsonb, d numeric, e bigint, f date, g int[]);
			insert into v values (:a, :b, :c, :d, :e, :f, :g); select a, b, c, d, e, f, g[1:2] as g from v where a = :a and f between :f::date - 1 and :f::date`,
			map[string]any{"a": true, "b": typed("bytes", "AP9B"), "c": typed("json", map[string]any{"k": 1}), "d": typed("number", "12345678901234567890.5"), "e": "9007199254740993", "f": "2026-03-01", "g": "{1,2,3}"},
			`[{"a":true,"b":"AP9B","c":{"k": 1},"d":"12345678901234567890.5","e":"9007199254740993","f":"2026-03-01","g":"{1,2}"}]`,
		},
		"mysql": {
			`create table v (a boolean, b blob, c json, d decimal(30,1), e bigint, f date);
			insert into v values (:a, :b, :c, :d, :e, :f); select *, @x := :e as x from v where a = :a`,
			map[string]any{"a": typed("boolean", "true"), "b": typed("bytes", "AP9B"), "c": typed("json", []any{1}), "d": typed("number", "12345678901234567890.5"), "e": typed("integer", "9007199254740993"), "f": "2026-03-01"},
			`[{"a":1,"b":"AP9B","c":"[1]","d":"12345678901234567890.5","e":"9007199254740993","f":"2026-03-01","x":"9007199254740993"}]`,
		},
		"sqlite": {
			`create table v (a, b, c, d, e, f); insert into v values (:a, :b, :c, :d, :e, :f); select *, typeof(a) as ta, typeof(d) as td from v`,
			map[string]any{"a": true, "b": typed("bytes", "AP9B"), "c": typed("json", []any{1}), "d": 0.5, "e": typed("integer", "9007199254740993"), "f": "5"},
			`[{"a":1,"b":"AP9B","c":"[1]","d":0.5,"e":"9007199254740993","f":"5","ta":"integer","td":"real"}]`,
		},
	} {
		w := one(t, name)
		if diff := cmp.Diff(c.want, w.must(t, map[string]any{"sql": c.script, "params": c.params})["rows"]); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
