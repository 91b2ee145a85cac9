package param

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckShellNames(t *testing.T) {
	t.Parallel()
	isParam := func(name string) bool {
		return name == "每日" || name == "每日-订单" || name == "région" || name == "day"
	}
	for _, c := range []struct {
		script string
		mode   Substitute
		at     int // -1: nothing to say
		remedy string
	}{
		{`echo $每日`, SubstituteEnv, 5, `env: {VALUE: "${每日}"} and write $VALUE`},
		{`echo "${每日}"`, SubstituteEnv, 6, `substitute: text and write ${每日}`},
		{"true\n\techo ${每日:-none}", SubstituteEnv, 11, `${每日}`},
		{`echo ${每日-订单}`, SubstituteNone, 5, `${每日-订单}`},
		{`echo $每日的数据`, SubstituteEnv, 5, `${每日}`},
		{`echo $région`, SubstituteEnv, 5, `env: {r_gion: "${région}"} and write $r_gion`},
		{`echo ${#每日}`, SubstituteEnv, 5, `${每日}`},
		{`echo $每日`, SubstituteText, 5, `write ${每日}, which`},
		{`echo ${每日} ${每日-订单}`, SubstituteText, -1, ""},
		{`echo $day的数据 ${day}每日 每日`, SubstituteEnv, -1, ""},
		{`echo \$每日 $$每日 $别的 ${别的}`, SubstituteEnv, -1, ""},
		{"# takes $每日\n  # and ${每日}\necho $1 $@ $", SubstituteEnv, -1, ""},
	} {
		err := CheckShellNames(c.script, c.mode, isParam)
		if c.at < 0 {
			if err != nil {
				t.Errorf("%q: %v", c.script, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeReference || e.Offset != c.at || !strings.Contains(e.Message, c.remedy) {
			t.Errorf("%q, %s: %#v; want it at %d with %q", c.script, c.mode, err, c.at, c.remedy)
		}
	}
}

func FuzzCheckShellNames(f *testing.F) {
	for _, s := range []string{"$每日", "${每日", "${{#!", "\xff$\xe6\xaf", "#\n$", "\\$x"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, script string) {
		_ = CheckShellNames(script, SubstituteEnv, func(name string) bool { return len(name) > 1 })
	})
}
