package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var lexes = map[string]lexis{"postgres": postgresLexis, "mysql": mysqlLexis, "sqlite": sqliteLexis}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, script string // in: the databases it holds for, "" all
		want             []string
	}{
		{"none", "", " ;; -- nothing\n/* ; */ ;", nil},
		{"semicolons", "", "select 1; select 2 ;\nselect 3", []string{"select 1", "select 2", "select 3"}},
		{"in quotes", "", `select ';', ";", 'it''s;'; x`, []string{`select ';', ";", 'it''s;'`, "x"}},
		{"in comments", "", "a -- ;\n b /* ; */ c; d", []string{"a -- ;\n b /* ; */ c", "d"}},
		{"a comment alone goes", "", "-- head\na;\n-- tail", []string{"a"}},
		{"nested comment", "postgres", "a /* /* ; */ ; */ b; c", []string{"a /* /* ; */ ; */ b", "c"}},
		{"comments that do not nest", "mysql sqlite", "a /* /* ; */ b; c", []string{"a /* /* ; */ b", "c"}},
		{"backslash is a character", "postgres sqlite", `a '\'; b`, []string{`a '\'`, "b"}},
		{"backslash escapes", "mysql", `a '\';', "\";"; b`, []string{`a '\';', "\";"`, "b"}},
		{"escape texts", "postgres", `a E'\';', e'\\'; b`, []string{`a E'\';', e'\\'`, "b"}},
		{"a name that ends in e", "postgres", `a be'\'; c`, []string{`a be'\'`, "c"}},
		{"dollar quotes", "postgres", "do $$ a; $x$ b; $$; do $f$ ; $$ ; $f$; c", []string{"do $$ a; $x$ b; $$", "do $f$ ; $$ ; $f$", "c"}},
		{"dollars that quote nothing", "postgres", "select $1; a$b$c; d$b$", []string{"select $1", "a$b$c", "d$b$"}},
		{"backticks", "mysql sqlite", "a `;```; b", []string{"a `;```", "b"}},
		{"brackets are names", "sqlite", "a [;']; b", []string{"a [;']", "b"}},
		{"brackets are not", "postgres mysql", "a [1]; b ]", []string{"a [1]", "b ]"}},
		{"hash comment", "mysql", "a # ; '\n b; c", []string{"a # ; '\n b", "c"}},
		{"hash operator", "postgres", "a # b; c #> '{;}'", []string{"a # b", "c #> '{;}'"}},
		{"two dashes without a space", "mysql", "a 5--1; b --\tx;\n c", []string{"a 5--1", "b --\tx;\n c"}},
		{"two dashes", "postgres sqlite", "a --1; b\n; c", []string{"a --1; b", "c"}},
		{"delimiter", "mysql", "DELIMITER //\ncreate x begin a; b; end//\nselect ';' // delimiter ;\na;b", []string{"create x begin a; b; end", "select ';'", "a", "b"}},
		{"delimiter is a name elsewhere", "postgres sqlite", "delimiter //\na;b", []string{"delimiter //\na", "b"}},
		{"rule", "postgres", "create rule r as on insert to t do (select 1; select 2); x", []string{"create rule r as on insert to t do (select 1; select 2)", "x"}},
		{"open parenthesis elsewhere", "mysql sqlite", "a (; b", []string{"a (", "b"}},
		{"trigger", "", "create trigger g after insert on t begin update x set a = case when 1 then 2 end; delete from y; end; z", []string{"create trigger g after insert on t begin update x set a = case when 1 then 2 end; delete from y; end", "z"}},
		{
			"procedure", "mysql",
			"create definer=`a`@`b` procedure p() begin if x then a; end if; case x when 1 then b; end case; while 1 do c; end while; begin d; end; end; z",
			[]string{"create definer=`a`@`b` procedure p() begin if x then a; end if; case x when 1 then b; end case; while 1 do c; end while; begin d; end; end", "z"},
		},
		{"block", "mysql", "begin not atomic a; b; end; c", []string{"begin not atomic a; b; end", "c"}},
		{"a transaction is no block", "", "begin; a; end; b", []string{"begin", "a", "end", "b"}},
		{"tables with names like these", "", "create table event (begin int, a int); create view trigger as select 1; c", []string{"create table event (begin int, a int)", "create view trigger as select 1", "c"}},
		{"other languages", "", "select 'é;', 每日; 订单", []string{"select 'é;', 每日", "订单"}},
	} {
		for name, x := range lexes {
			if c.in != "" && !strings.Contains(c.in, name) {
				continue
			}
			statements, err := x.split(c.script)
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.name, err)
				continue
			}
			var got []string
			for _, s := range statements {
				got = append(got, s.text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", name, c.name, diff)
			}
		}
	}
}

func TestSplitLinesAndQuotes(t *testing.T) {
	t.Parallel()
	statements, err := sqliteLexis.split("\n-- x\n a\nb;\n\n c; d")
	if err != nil || len(statements) != 3 || statements[0].line != 3 || statements[1].line != 6 || statements[2].line != 6 {
		t.Errorf("%v, %+v", err, statements)
	}
	for script, says := range map[string]string{"a;\n 'b": "line 2", "\"x": "line 1", "select $x$ $y$": "line 1", "a\n\nE'\\'": "line 3"} {
		if _, err := postgresLexis.split(script); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", script, err)
		}
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	values := params{"a": {"A"}, "b2": {"B"}, "list": {1, 2, 3}, "每日": {"D"}}
	for _, c := range []struct {
		in, script, want string
		args             string
	}{
		{"", "x = :a", "x = ?1", "[A]"},
		{"", "(:a,:b2)=:a", "(?1,?2)=?3", "[A B A]"},
		{"", "x in (:list)", "x in (?1, ?2, ?3)", "[1 2 3]"},
		{"", "':a' \":a\" /* :a */ -- :a", "':a' \":a\" /* :a */ -- :a", "[]"},
		{"", "x::a, :a::text", "x::a, ?1::text", "[A]"},
		{"", "@x:=:a", "@x:=?1", "[A]"},
		{"", "v[1:a], f(x):a, v[i:b2]", "v[1:a], f(x):a, v[i:b2]", "[]"},
		{"", ":每日", "?1", "[D]"},
		{"", ":a$1 : a :", "?1 $1 : a :", "[A]"},
		{"postgres", "$$ :a $$ || :a || E'\\' :a' || $x$ :a $x$", "$$ :a $$ || ?1 || E'\\' :a' || $x$ :a $x$", "[A]"},
		{"mysql", "`:a` '\\' :a' # :a\n:a -- :a\n--:a", "`:a` '\\' :a' # :a\n?1 -- :a\n--?2", "[A A]"},
		{"sqlite", "`:a` [:a] :a", "`:a` [:a] ?1", "[A]"},
	} {
		for name, x := range lexes {
			if c.in != "" && c.in != name || strings.Contains(c.script, "v[1:a]") && name == "sqlite" {
				continue
			}
			statements, err := x.split(c.script)
			if err != nil || len(statements) != 1 {
				t.Fatalf("%s, %s: %v, %v", name, c.script, err, statements)
			}
			got, args, err := values.bind(&statements[0], true, func(n int) string { return fmt.Sprintf("?%d", n) })
			if err != nil || got != c.want || fmt.Sprint(args) != c.args {
				t.Errorf("%s, %s: got %s, %v, %v, want %s, %s", name, c.script, got, args, err, c.want, c.args)
			}
		}
	}
}

// Names nobody declared are errors where there are params, and left alone where there are none.
func TestBindUnknown(t *testing.T) {
	t.Parallel()
	statements, err := sqliteLexis.split("select\n :x")
	if err != nil {
		t.Fatal(err)
	}
	placeholder := func(int) string { return "?" }
	if _, _, err := (params{}).bind(&statements[0], true, placeholder); err == nil || !strings.Contains(err.Error(), `line 2: there is no parameter "x"`) {
		t.Errorf("got %v", err)
	}
	if got, _, err := (params{}).bind(&statements[0], false, placeholder); err != nil || got != "select\n :x" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whatever the script: the tokens are the script, the statements lie in it in order, and binding
// changes the parameters and nothing else.
func FuzzSplitAndBind(f *testing.F) {
	for _, s := range []string{
		"select 1; select :a", "E'\\'' $x$;$x$ ::a :a", "`;` # x\n\"\\\"", "[;] /* /* */", "delimiter //\na//b", "create trigger x begin case end; end; c",
		"$:a$", ":a:a", "a[:a]", "--:a", "'", "q'", "\x00:a\xff", "e':a' be':a", ":a$a$", "$a:a$a$",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		for name, x := range lexes {
			type piece struct {
				kind tokenKind
				text string
			}
			pieces := func(s string) (out []piece) {
				for at := 0; at < len(s); {
					kind, end := x.token(s, at)
					if end <= at || end > len(s) {
						t.Fatalf("%s: the token at %d of %q ends at %d", name, at, s, end)
					}
					out = append(out, piece{kind, s[at:end]})
					at = end
				}
				return out
			}
			pieces(script)
			statements, err := x.split(script)
			if err != nil {
				continue
			}
			rest := script
			for _, st := range statements {
				at := strings.Index(rest, st.text)
				if st.text == "" || at < 0 {
					t.Fatalf("%s: statement %q is not in what is left of %q", name, st.text, script)
				}
				rest = rest[at+len(st.text):]
				values := params{}
				for _, ref := range st.params {
					values[ref.name] = []any{"v"}
				}
				// A placeholder that is a token of its own kind, so that it can be found again.
				bound, args, err := values.bind(&st, true, func(n int) string { return ":p" + strings.Repeat("x", n) })
				if err != nil || len(args) != len(st.params) {
					t.Fatalf("%s: bind %q: %d args, %v", name, st.text, len(args), err)
				}
				var want []piece
				before := pieces(st.text)
				for i, p := range before {
					if p.kind != tokenParam {
						want = append(want, p)
						continue
					}
					want = append(want, piece{tokenParam, ""})
					if i+1 < len(before) && strings.HasPrefix(before[i+1].text, "$") {
						want = append(want, piece{tokenSpace, " "}) // else $ would go on with the placeholder
					}
				}
				if got := pieces(bound); !slices.EqualFunc(got, want, func(a, b piece) bool {
					return a == b || a.kind == tokenParam && b.kind == tokenParam
				}) {
					t.Fatalf("%s: %q became %q", name, st.text, bound)
				}
			}
		}
	})
}

// A script of hundreds of thousands of statements is read in one go.
func TestSplitLong(t *testing.T) {
	t.Parallel()
	const n = 200_000
	statements, err := postgresLexis.split(strings.Repeat("insert into t values ('a;b', $$;$$);\n", n))
	if err != nil || len(statements) != n || statements[n-1].line != n {
		t.Errorf("%d statements, %v", len(statements), err)
	}
}
