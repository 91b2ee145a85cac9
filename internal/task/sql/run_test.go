package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"baton/internal/flow"
)

const makeTable = "create table t (id integer primary key, name varchar(20))"

func TestOutputs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable})
		for _, c := range []struct {
			name    string
			options map[string]any
			want    map[string]string
		}{
			{"changes", map[string]any{"sql": "insert into t values (1, 'a'), (2, 'b')"}, map[string]string{"row_count": "2"}},
			{"changes of several statements", map[string]any{"sql": "update t set name = 'c' where id = 1; delete from t where id = 7; insert into t values (3, null)"}, map[string]string{"row_count": "2"}},
			{"no rows", map[string]any{"sql": "select id from t where id > 100"}, map[string]string{"row_count": "0", "rows": "[]"}},
			{
				"one row",
				map[string]any{"sql": "select id, name from t where id = 3"},
				map[string]string{"row_count": "1", "rows": `[{"id":3,"name":null}]`, "id": "3", "name": "null"},
			},
			{
				"several rows keep the order of columns",
				map[string]any{"sql": "select name, id from t where id < 3 order by id;"},
				map[string]string{"row_count": "2", "rows": `[{"name":"c","id":1},{"name":"b","id":2}]`},
			},
			{
				"the last result counts",
				map[string]any{"sql": "select 1 as x; select 2 as y;\n-- the end\ndelete from t where id = 99"},
				map[string]string{"row_count": "1", "rows": `[{"y":2}]`, "y": "2"},
			},
			{"columns of one name", map[string]any{"sql": "select 1 as a, 2 as a, 3 as a_2"}, map[string]string{"row_count": "1", "rows": `[{"a":1,"a_3":2,"a_2":3}]`, "a": "1", "a_3": "2", "a_2": "3"}},
			{"a column called rows", map[string]any{"sql": "select 5 as row_count"}, map[string]string{"row_count": "5", "rows": `[{"row_count":5}]`}},
			{"max_rows", map[string]any{"sql": "select id from t order by id", "max_rows": 2}, map[string]string{"row_count": "3", "rows": `[{"id":1},{"id":2}]`}},
			{"max_rows as text", map[string]any{"sql": "select id from t order by id", "max_rows": "0"}, map[string]string{"row_count": "3", "rows": `[]`}},
			{
				"pre and post are not the result",
				map[string]any{"pre": []string{"select 7 as p"}, "sql": "insert into t values (4, 'd')", "post": "delete from t where id = 4; select 8 as q"},
				map[string]string{"row_count": "1"},
			},
		} {
			if diff := cmp.Diff(c.want, w.must(t, c.options)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", c.name, diff)
			}
		}
	})
}

func TestParams(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable + "; insert into t values (1, 'a'), (2, 'b'), (3, '007')"})
		for _, c := range []struct {
			name, sql string
			params    any
			want      string
		}{
			{"text", "select id from t where name = :n", map[string]any{"n": "b"}, `[{"id":2}]`},
			{"a text against a number column", "select name from t where id = :id", map[string]any{"id": "2"}, `[{"name":"b"}]`},
			{"number", "select name from t where id = :id", map[string]any{"id": 1}, `[{"name":"a"}]`},
			{"leading zeros stay", "select id from t where name = :n", map[string]any{"n": "007"}, `[{"id":3}]`},
			{"twice", "select id from t where name = :n or id < :id and name = :n", map[string]any{"n": "a", "id": 2}, `[{"id":1}]`},
			{"list", "select id from t where name in (:names) order by id", map[string]any{"names": []any{"a", "007"}}, `[{"id":1},{"id":3}]`},
			{"null", "select count(*) as n from t where coalesce(name, :nothing) is null", map[string]any{"nothing": nil}, `[{"n":0}]`},
			{"typed for limit", "select id from t order by id limit :n", map[string]any{"n": map[string]any{"type": "integer", "value": "1"}}, `[{"id":1}]`},
			{"no injection", "select count(*) as n from t where name = :n", map[string]any{"n": "x' or '1'='1"}, `[{"n":0}]`},
			{"not in texts", "select ':n' as x, id from t where name = :n -- :m\n", map[string]any{"n": "a"}, `[{"x":":n","id":1}]`},
			{"the attempt's own", "select count(*) as n from t where id < :baton_fence and id <= :baton_attempt", nil, `[{"n":2}]`},
		} {
			options := map[string]any{"sql": c.sql}
			if c.params != nil {
				options["params"] = c.params
			}
			out, err := w.run(t, options)
			if err != nil || out["rows"] != c.want {
				t.Errorf("%s: got %s, %v, want %s", c.name, out["rows"], err, c.want)
			}
		}
	})
}

func TestTransaction(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable})
		count := func() string { return w.sql(t, "select count(*) as n from t") }

		_, err := w.run(t, map[string]any{"pre": "insert into t values (1, 'a')", "sql": "insert into t values (2, 'b')", "post": "insert into t values (1, 'again')"})
		if err == nil || count() != "0" {
			t.Errorf("after a failure in post: %v, %s rows", err, count())
		}
		_, err = w.run(t, map[string]any{"sql": "insert into t values (1, 'a'); insert into t values (1, 'b')", "transaction": false})
		if err == nil || count() != "1" {
			t.Errorf("without a transaction: %v, %s rows", err, count())
		}
		w.must(t, map[string]any{"sql": "begin; insert into t values (5, 'e'); rollback; begin; insert into t values (6, 'f'); commit", "transaction": "false"})
		if count() != "2" {
			t.Errorf("with transactions of its own: %s rows", count())
		}
		_, err = w.run(t, map[string]any{"sql": "insert into t values (7, 'g');\ncommit; select 1"})
		if err == nil || !strings.Contains(err.Error(), "sql, line 2: COMMIT would end the transaction") || count() != "2" {
			t.Errorf("commit in a transaction: %v", err)
		}
		// A savepoint is no end.
		w.must(t, map[string]any{"sql": "savepoint s; insert into t values (8, 'h'); rollback to savepoint s"})
		if count() != "2" {
			t.Errorf("after a rollback to a savepoint: %s rows", count())
		}
	})
}

func TestTooMuch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable})
		// MariaDB stops a recursion after a thousand rounds.
		many := "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) select '" + strings.Repeat("x", 100) + "' as padding, i as number_of_row from n"
		_, err := w.run(t, map[string]any{"sql": "insert into t values (1, 'a'); " + many})
		if err == nil || causeOf(t, err) != "outputs" || !strings.Contains(err.Error(), "save_as") {
			t.Errorf("got %v", err)
		}
		if n := w.sql(t, "select count(*) as n from t"); n != "0" {
			t.Errorf("the insert before stayed: %s rows", n)
		}
		out := w.must(t, map[string]any{"sql": many, "max_rows": 1})
		if strings.Count(out["rows"], "number_of_row") != 1 || out["row_count"] != "1000" {
			t.Errorf("with max_rows: %v", out)
		}
		file := filepath.Join(t.TempDir(), "all.csv")
		out = w.must(t, map[string]any{"sql": many, "save_as": file})
		b, err := os.ReadFile(file)
		if err != nil || strings.Count(string(b), "\r\n") != 1001 || out["file"] != fmt.Sprintf("%q", file) {
			t.Errorf("save_as: %v, %v, %d bytes", out, err, len(b))
		}
	})
}

func TestSaveAs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable + `; insert into t values (1, 'a,"b'), (2, null), (3, ''), (4, 'two
lines')`})
		const csv = "id,name\r\n1,\"a,\"\"b\"\r\n2,\r\n3,\"\"\r\n4,\"two\nlines\"\r\n"
		const lines = `{"id":1,"name":"a,\"b"}` + "\n" + `{"id":2,"name":null}` + "\n" + `{"id":3,"name":""}` + "\n" + `{"id":4,"name":"two\nlines"}` + "\n"
		list := "[\n" + strings.TrimSuffix(strings.ReplaceAll(lines, "}\n", "},\n"), ",\n") + "\n]\n"
		dir := t.TempDir()
		for name, want := range map[string]string{"r.csv": csv, "r.jsonl": lines, "r.json": list, "R.CSV": csv} {
			file := filepath.Join(dir, name)
			out := w.must(t, map[string]any{"sql": "select id, name from t order by id", "save_as": file})
			got, err := os.ReadFile(file)
			if err != nil || string(got) != want {
				t.Errorf("%s: %v\n got %q\nwant %q", name, err, got, want)
			}
			if diff := cmp.Diff(map[string]string{"row_count": "4", "file": fmt.Sprintf("%q", file)}, out); diff != "" {
				t.Error(diff)
			}
		}
		// What fails leaves the old file and nothing beside it.
		if _, err := w.run(t, map[string]any{"sql": "select id from t", "post": "insert into t values (1, 'twice')", "save_as": filepath.Join(dir, "r.csv")}); err == nil {
			t.Error("want the failure of post")
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "r.csv")); string(got) != csv {
			t.Errorf("the file of the run before is now %q", got)
		}
		if left, _ := os.ReadDir(dir); len(left) != 4 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := w.run(t, map[string]any{"sql": "delete from t", "save_as": filepath.Join(dir, "x.csv")}); err == nil || w.sql(t, "select count(*) as n from t") != "4" {
			t.Errorf("nothing to save: %v", err)
		}
		if _, err := w.run(t, map[string]any{"sql": "select 1", "save_as": dir + "/no/such/x.csv"}); err == nil {
			t.Error("want an error for a folder that is missing")
		}
	})
}

func TestFailures(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable + "; insert into t values (1, 'a')"})
		for _, c := range []struct {
			name    string
			options map[string]any
			cause   map[string]string
			says    string
		}{
			{
				"unique",
				map[string]any{"sql": "\n\n-- first\ninsert into t\nvalues (1, 'b')"},
				map[string]string{"postgres": "sql:23505", "mysql": "sql:1062", "sqlite": "sql:1555"},
				"sql, line 4: ",
			},
			{
				"syntax",
				map[string]any{"sql": "select 1;\nselect :n,\n 2 frm nothing x", "params": map[string]any{"n": "1"}},
				map[string]string{"postgres": "sql:42601", "mysql": "sql:1064", "sqlite": "sql:1"},
				"sql, line ",
			},
			{
				"no table",
				map[string]any{"sql": "select 1", "post": []any{"select 1", "select * from nowhere"}},
				map[string]string{"postgres": "sql:42P01", "mysql": "sql:1146", "sqlite": "sql:1"},
				"post[2], line 1: ",
			},
			{"unknown parameter", map[string]any{"sql": "select 1;\nselect :m", "params": map[string]any{"n": "1"}}, nil, `sql, line 2: there is no parameter "m"`},
			{"open quote", map[string]any{"sql": "select 1;\nselect 'abc"}, nil, "sql, line 2: the quote 'abc"},
			{"an open transaction", map[string]any{"pre": "begin; select 1; commit", "sql": "select 1;\nbegin; select 2", "transaction": false}, nil, "sql, line 2: the transaction that begins here is never committed"},
			{"copy", map[string]any{"sql": "copy t (id, name) from stdin"}, nil, "COPY with STDIN or STDOUT needs a client"},
			{"nothing", map[string]any{"sql": "-- nothing\n;;"}, nil, "there is no statement"},
			{"integer", map[string]any{"sql": "select 1", "max_rows": "${many}"}, map[string]string{w.name: "options"}, `option "max_rows": expected a whole number, found "${many}"`},
		} {
			_, err := w.run(t, c.options)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want %q in it", c.name, err, c.says)
				continue
			}
			want := c.cause[w.name]
			if c.cause == nil {
				want = "sql:script"
			}
			if got := causeOf(t, err); got != want {
				t.Errorf("%s: cause %s, want %s (%v)", c.name, got, want, err)
			}
		}
	})
}

func TestSyntaxErrorLine(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} {
		w := one(t, name)
		// What is bound is longer than what was written, and PostgreSQL counts characters.
		_, err := w.run(t, map[string]any{"sql": "select 1;\n\nselect 1 in (:n) /* 每日订单每日订单 */,\n 2\n frm nothing\n x", "params": map[string]any{"n": []int{1, 2, 3, 4, 5, 6}}})
		if err == nil || !strings.Contains(err.Error(), "sql, line 5: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A session must not leave anything to the next attempt.
func TestSessionIsClean(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		dirty := map[string]string{
			"postgres": "set statement_timeout = 12345; create temp table leak (x int); select pg_advisory_lock(5)",
			"mysql":    "set @leak = 7; create temporary table leak (x int); select get_lock('leak', 1)",
			"sqlite":   "pragma cache_size = 17; create temp table leak (x int); select 1",
		}
		w.must(t, map[string]any{"sql": dirty[w.name], "transaction": false})
		if _, err := w.run(t, map[string]any{"sql": "select * from leak"}); err == nil {
			t.Error("a temporary table of the attempt before is visible")
		}
		check := map[string]string{
			"postgres": "select current_setting('statement_timeout') || (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())) as x",
			"mysql":    "select case when @leak is null and is_free_lock('leak') then 'clean' end as x",
			"sqlite":   "select case when cache_size = 17 then 'leak' else 'clean' end as x from pragma_cache_size",
		}
		want := map[string]string{"postgres": `"00"`, "mysql": `"clean"`, "sqlite": `"clean"`}
		if got := w.sql(t, check[w.name]); got != want[w.name] {
			t.Errorf("got %s, want %s", got, want[w.name])
		}
	})
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"postgres": "select pg_backend_pid() as id", "mysql": "select connection_id() as id"} {
		w := one(t, name)
		if a, b := w.sql(t, query), w.sql(t, query); a != b {
			t.Errorf("%s: connection %s, then %s", name, a, b)
		}
	}
}

// activity counts what the server is doing for the test's marker.
var activity = map[string]string{
	"postgres": "select count(*) as n from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and datname = current_database() and query like '%marker%'",
	"mysql":    "select count(*) as n from information_schema.processlist where id <> connection_id() and db = database() and info like '%marker%'",
}

func TestCancelEndsTheQueryOnTheServer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		long := map[string]string{
			"postgres": "select pg_sleep(60) /* marker */",
			"mysql":    "select sleep(60) /* marker */",
			"sqlite":   "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n",
		}
		for _, transaction := range []bool{true, false} {
			a, log := w.attempt(t, map[string]any{"pre": "create table kept (x int)", "sql": long[w.name], "post": "drop table kept", "transaction": transaction})
			if !transaction && w.name != "mysql" { // where DDL is part of the transaction the table is gone
				w.must(t, map[string]any{"sql": "select 1", "pre": "drop table if exists kept"})
			} else if !transaction {
				w.must(t, map[string]any{"sql": "drop table if exists kept"})
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := w.kind.Run(ctx, a)
				done <- err
			}()
			eventually(t, "the query runs", func() bool {
				if w.name == "sqlite" {
					return strings.Contains(log.String(), "sql (2 of 3)")
				}
				return w.sql(t, activity[w.name]) == "1"
			})
			killed := errors.New("killed by hand")
			cancel(killed)
			if err := <-done; !errors.Is(err, killed) {
				t.Errorf("got %v", err)
			}
			if w.name != "sqlite" {
				eventually(t, "the server has stopped", func() bool { return w.sql(t, activity[w.name]) == "0" })
			}
			if strings.Contains(log.String(), "post") {
				t.Errorf("it went on after the cancellation:\n%s", log)
			}
		}
	})
}

// A wait for a lock ends by cancellation too.
func TestCancelWhileLocked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, map[string]any{"sql": makeTable + "; insert into t values (1, 'a')"})
		d, _ := dialectOf(w.source.Type)
		db, release, err := w.kind.pools.acquire(d, w.source, w.password)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		holder, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		for _, s := range []string{"begin", "update t set name = 'held' where id = 1"} {
			if _, err := d.run(t.Context(), holder, s, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		a, log := w.attempt(t, map[string]any{"sql": "update t set name = 'mine' where id = 1 /* marker */"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := w.kind.Run(ctx, a)
			done <- err
		}()
		if w.name != "sqlite" { // there it waits to begin
			eventually(t, "the update waits", func() bool {
				return strings.Contains(log.String(), "marker") && w.sql(t, activity[w.name]) == "1"
			})
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if _, err := d.run(t.Context(), holder, "commit", nil, nil); err != nil {
			t.Error(err)
		}
		if got := w.sql(t, "select name from t"); got != `"held"` {
			t.Errorf("got %s", got)
		}
	})
}

func TestConnectFailures(t *testing.T) {
	t.Parallel()
	server, err := mariaServer()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		source flow.DataSource
		cause  string
	}{
		"postgres, nobody there": {flow.DataSource{Type: "postgres", Host: "127.0.0.1", Port: port, User: "u"}, "sql:connect"},
		"mysql, nobody there":    {flow.DataSource{Type: "mysql", Host: "127.0.0.1", Port: port, User: "u"}, "sql:connect"},
		"mysql, wrong password":  {flow.DataSource{Type: "mysql", Host: server.Host, Port: server.Port, User: server.User}, "sql:1045"},
		"postgres, bad dsn":      {flow.DataSource{Type: "postgres", DSN: "postgres://u:hunter2@[::1/x"}, "sql:connect"},
		"mysql, bad dsn":         {flow.DataSource{Type: "mysql", DSN: "u:hunter2@tcp(x/y"}, "sql:connect"},
		"mysql, bad url":         {flow.DataSource{Type: "mysql", DSN: "mysql://u:hunter2@[::1/y"}, "sql:connect"},
		"sqlite, no folder":      {flow.DataSource{Type: "sqlite", DSN: "/no/such/folder/x.db"}, "sql:14"},
		"unknown type":           {flow.DataSource{Type: "oracle"}, "options"},
	} {
		w := &world{database: database{password: "hunter2"}, source: &c.source, kind: New()}
		t.Cleanup(w.kind.Close)
		c.source.Name = "warehouse"
		_, err := w.run(t, map[string]any{"sql": "select 1"})
		if err == nil || causeOf(t, err) != c.cause {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in the error: %v", name, err)
		}
	}
}

func TestSourceForms(t *testing.T) {
	t.Parallel()
	pg, err := postgresServer()
	if err != nil {
		t.Fatal(err)
	}
	maria, err := mariaServer()
	if err != nil {
		t.Fatal(err)
	}
	lite := filepath.Join(t.TempDir(), "x.db")
	for name, source := range map[string]flow.DataSource{
		"postgres url":     {Type: "postgres", DSN: fmt.Sprintf("postgres://baton@127.0.0.1:%d/postgres?sslmode=disable", pg.Port)},
		"postgres words":   {Type: "postgres", DSN: fmt.Sprintf("host=127.0.0.1 port=%d user=baton dbname=postgres sslmode=disable", pg.Port)},
		"mysql driver dsn": {Type: "mysql", DSN: fmt.Sprintf("baton@tcp(127.0.0.1:%d)/mysql?parseTime=true&multiStatements=true", maria.Port)},
		"mysql url":        {Type: "mysql", DSN: fmt.Sprintf("mysql://baton@127.0.0.1:%d/mysql?charset=utf8mb4", maria.Port)},
		"mysql options":    {Type: "mysql", Host: "127.0.0.1", Port: maria.Port, User: "baton", Options: map[string]string{"charset": "utf8mb4"}},
		"sqlite path":      {Type: "sqlite", DSN: lite},
		"sqlite uri":       {Type: "sqlite", DSN: "file:" + lite + "?_pragma=foreign_keys(1)"},
		"sqlite read only": {Type: "sqlite", DSN: lite, Options: map[string]string{"mode": "ro"}},
	} {
		if name == "sqlite read only" {
			if err := os.WriteFile(lite, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		source.Name = "warehouse"
		w := &world{database: database{password: mariaPassword}, source: &source, kind: New()}
		t.Cleanup(w.kind.Close)
		if out, err := w.run(t, map[string]any{"sql": "select 1 as x"}); err != nil || out["x"] != "1" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
}

func TestNoticesReachTheLog(t *testing.T) {
	t.Parallel()
	w := one(t, "postgres")
	a, log := w.attempt(t, map[string]any{"sql": "do $$ begin raise notice 'half way; still going'; end $$"})
	if _, err := w.kind.Run(t.Context(), a); err != nil || !strings.Contains(log.String(), "notice: half way; still going\n") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestStoredRoutines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"postgres": {"create function f(x int) returns int language sql begin atomic select 1; select case when x > 0 then x * 2 end; end;\ncreate procedure p() language plpgsql as $$ begin perform 1; end; $$;\ncall p(); select f(21) as x", "42"},
		"mysql":    {"create procedure p(n int) begin declare i int default 0; while i < n do set i = i + 1; if i = 3 then set i = i + 10; end if; end while; select i as x; end;\ncall p(5)", "13"},
		"sqlite":   {"create table t (x); create table u (x); create trigger g after insert on t begin insert into u values (new.x * 2); insert into u values (case when 1 then 1 end); end; insert into t values (21); select max(x) as x from u", "42"},
	} {
		w := one(t, name)
		if out, err := w.run(t, map[string]any{"sql": c.script}); err != nil || out["x"] != c.want {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	w := one(t, "mysql")
	if got := w.sql(t, "delimiter //\ncreate function f() returns int begin return 5; end//\ndelimiter ;\nselect f() as x;"); got != "5" {
		t.Errorf("with DELIMITER: %s", got)
	}
}
