package param

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func isWorldTask(n string) bool { return n == "extract" || n == "每日-订单" }

func TestScript(t *testing.T) {
	t.Parallel()
	scope := world(t)
	const same = "\x00"
	for _, c := range []struct{ text, env, txt string }{
		{"", same, same},
		{"echo $day ${day} \"$region\"", same, `echo $day 20260228 "$region"`},
		{"echo ${unknown:-x} ${#day} ${day%0} ${!day} $(date) `id` $$ $1", same, same},
		{"echo $${day} ${day}", "echo ${day} ${day}", "echo ${day} 20260228"},
		{"echo $${1+x}", same, "echo $${1+x}"},
		{"./part.sh ${shard.index} ${shard.total} ${shard.param}", "./part.sh 3 8 ${shard.param}", "./part.sh 3 8 ${shard.param}"},
		{"d=${system.biz.date} p=${system.project.name}", "d=20260228 p=sales", "d=20260228 p=sales"},
		{"cat <<'EOF'\n${project.version} ${map.item}\nEOF", same, same},
		{"d=$[yyyyMMdd-1] $[add_months(yyyyMM,-1)] $[timestamp(yyyyMMddHHmmss)]", "d=20260228 202602 1772361000", "d=20260228 202602 1772361000"},
		{"echo $[1+2] $[i*2] $[$a + 1] $[x[0]+1] $[count+1] $[ n ] $[n", same, same},
		{"echo $[m+1] $[a]", same, "echo 30 AM"},
		{"echo $[this_day(d)]", "echo 1", "echo 1"},
		{"echo $$[yyyy] $[foo $[yyyy]]", "echo $$[yyyy] $[foo 2026]", "echo $$[yyyy] $[foo 2026]"},
		{`echo '${setValue(total=${extra})}' '#{setValue(a=b)}'`, same, `echo '${setValue(total=1)}' '#{setValue(a=b)}'`},
		{"echo ${每日} ${a-b} ${{ x }}", same, "echo x dash ${{ x }}"},
		{"echo ${path}", same, "echo /data/20260228/us"},
		{"每日\xff$\x00${\n}$[\n]$", same, same},
	} {
		for mode, want := range map[Substitute]string{SubstituteEnv: c.env, SubstituteText: c.txt, SubstituteNone: same} {
			if want == same {
				want = c.text
			}
			s, err := CompileScript(c.text, mode, isWorldTask)
			if err != nil {
				t.Errorf("%s %q: %v", mode, c.text, err)
				continue
			}
			if got, err := s.Render(scope); got != want || err != nil {
				t.Errorf("%s: %q = %q, %v; want %q", mode, c.text, got, err, want)
			}
			if mode == SubstituteNone && !s.IsConstant() {
				t.Errorf("%q is not constant", c.text)
			}
		}
	}
}

func TestScriptTaskOutput(t *testing.T) {
	t.Parallel()
	const text = "echo ${extract.count} and ${每日-订单.count}"
	for _, mode := range []Substitute{SubstituteEnv, SubstituteNone} {
		_, err := CompileScript(text, mode, isWorldTask)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeReference || e.Offset != 5 || !strings.Contains(e.Message, `env: {extract_count: "${extract.count}"}`) || !strings.Contains(e.Message, "$extract_count") {
			t.Errorf("%s: %#v", mode, err)
		}
	}
	s, err := CompileScript(text, SubstituteText, isWorldTask)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Render(world(t)); got != "echo 42 and 7" || err != nil {
		t.Error(got, err)
	}
	if _, err := CompileScript("${a.b}", SubstituteEnv, nil); err != nil {
		t.Error(err)
	}
}

func TestScriptErrors(t *testing.T) {
	t.Parallel()
	scope := &Scope{Local: params(t, "a=${nope}"), Builtin: Builtins{DataTime: dataTime}}
	for text, mode := range map[string]Substitute{"echo ${a}": SubstituteText, "echo $[yyyyMMdd+3999999]": SubstituteEnv} {
		s, err := CompileScript(text, mode, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Render(scope)
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := CompileScript(strings.Repeat("x", MaxText+1), SubstituteNone, nil); err == nil {
		t.Error("too large a script is accepted")
	}
	for word, want := range map[string]Substitute{"": SubstituteEnv, "env": SubstituteEnv, "text": SubstituteText, "none": SubstituteNone} {
		if got, err := ParseSubstitute(word); got != want || err != nil {
			t.Error(got, err)
		}
	}
	if _, err := ParseSubstitute("txt"); err == nil || !strings.Contains(err.Error(), `"text"`) {
		t.Error(err)
	}
}

// A script without a $ that means something is never touched, in any mode.
func TestScriptByteForByte(t *testing.T) {
	t.Parallel()
	scope := world(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("$${}[]() +-*/ab1\n'\"\\日xe.")), 0, 40, -1).Draw(t, "text")
		s, err := CompileScript(text, SubstituteEnv, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Render(scope)
		if want := unescaped(text); got != want || err != nil {
			t.Fatalf("%q became %q, %v", text, got, err)
		}
	})
}

// unescaped turns $${name} into ${name}, the one thing that changes in such a script.
func unescaped(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "$${") {
			if name, n := referenceName(text[i+1:]); n > 0 && shellLike(name) {
				b.WriteString(text[i+1 : i+1+n])
				i += n
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"echo ${a} $[yyyy] $${a}", "${a.b} ${system.biz.date}", "$[x'] $[yyyy']", "${${${", "$$[yyyy]"} {
		f.Add(s)
	}
	scope := &Scope{Start: map[string]string{"a": "1"}, Builtin: Builtins{DataTime: dataTime}}
	f.Fuzz(func(t *testing.T, text string) {
		for _, mode := range []Substitute{SubstituteEnv, SubstituteText, SubstituteNone} {
			s, err := CompileScript(text, mode, func(n string) bool { return n == "a" })
			checkError(t, text, err)
			if err == nil {
				v, err := s.Render(scope)
				checkError(t, text, err)
				if s.IsConstant() && v != text {
					t.Fatalf("%q became %q", text, v)
				}
			}
		}
	})
}

func TestScanSetValue(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                     nil,
		"plain setValue( text": nil,
		"setValue(a=1)":        nil,
		"{setValue(a=1)}":      nil,
		"${setValue(a=1)}":     {"a=1"},
		"#{setValue(a=1)}":     {"a=1"},
		"x ${setValue(a=1)} y #{setValue(b=2)}${setValue(a=3)}": {"a=1", "b=2", "a=3"},
		"${setValue(a=)}":                 {"a="},
		"${setValue( a = b = c )}":        {"a= b = c "},
		"${setValue(=1)}":                 nil,
		"${setValue(a)}":                  nil,
		"${setValue(a=1":                  nil,
		"${setValue(a=1)":                 nil,
		"${setValue(a)} ${setValue(b=1)}": {"b=1"},
		"${setValue(${setValue(b=1)}":     {"b=1"},
		`${setValue(j={"x": "(y)"})}`:     {`j={"x": "(y)"}`},
		"${setValue(每日=订单)}":              {"每日=订单"},
		"${setValue(a=\xff\x00b)}":        {"a=\uFFFD\uFFFDb"},
		"\x1b[0m${setValue(a=1)}\x1b[0m":  {"a=1"},
	} {
		var got []string
		ScanSetValue([]byte(line), func(name, value string) { got = append(got, name+"="+value) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

func FuzzScanSetValue(f *testing.F) {
	for _, s := range []string{"${setValue(a=1)}", "#{setValue(=)}", "${setValue(${setValue(", "setValue(", "\xff${setValue(\xff=\x00)}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		ScanSetValue(line, func(name, value string) {
			if strings.TrimSpace(name) == "" || strings.ContainsRune(name+value, 0) {
				t.Fatalf("%q: %q=%q", line, name, value)
			}
		})
	})
}

func BenchmarkScanSetValue(b *testing.B) {
	line := []byte(strings.Repeat("2026-03-01 10:30:00 INFO nothing to see here ", 5))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		ScanSetValue(line, func(string, string) {})
	}
}

func BenchmarkScript(b *testing.B) {
	scope := world(b)
	s, err := CompileScript("./part.sh ${shard.index} ${shard.total} $day $[yyyyMMdd-1]\n", SubstituteEnv, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Render(scope); err != nil {
			b.Fatal(err)
		}
	}
}
