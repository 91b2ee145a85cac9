// The databases of the tests: a private PostgreSQL and a private MariaDB, each started at most
// once and ended with the test process, and SQLite files.

package sql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"baton/internal/flow"
	"baton/internal/task"
)

// stops end the servers, the one registered last first.
var (
	stopsMu sync.Mutex
	stops   []func()
)

func atEnd(stop func()) {
	stopsMu.Lock()
	defer stopsMu.Unlock()
	stops = append([]func(){stop}, stops...)
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range stops {
		stop()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database is one of the kinds a test runs against.
type database struct {
	name     string
	source   func(t *testing.T) *flow.DataSource
	password string
}

var databases = []database{
	{name: "postgres", source: func(t *testing.T) *flow.DataSource { return own(t, postgresServer) }},
	{name: "mysql", source: func(t *testing.T) *flow.DataSource { return own(t, mariaServer) }, password: mariaPassword},
	{name: "sqlite", source: func(t *testing.T) *flow.DataSource {
		t.Helper()
		return &flow.DataSource{Name: "lite", Type: "sqlite", Database: filepath.Join(t.TempDir(), "the data?.db")}
	}},
}

// each runs a test against every database, each time in a fresh one.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, d))
		})
	}
}

func one(t *testing.T, name string) *world {
	t.Helper()
	i := slices.IndexFunc(databases, func(d database) bool { return d.name == name })
	return newWorld(t, databases[i])
}

// world is a data source and a task type to use it with.
type world struct {
	database
	source *flow.DataSource
	kind   *Type
}

func newWorld(t *testing.T, d database) *world {
	t.Helper()
	w := &world{database: d, source: d.source(t), kind: New()}
	t.Cleanup(w.kind.Close)
	return w
}

// attempt prepares one with the options, written as YAML users would, in JSON.
func (w *world) attempt(t *testing.T, options map[string]any) (*task.Attempt, *logBuffer) {
	t.Helper()
	if _, ok := options["datasource"]; !ok {
		options["datasource"] = w.source.Name
	}
	raw, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	if errs := schema.Check(raw); len(errs) > 0 {
		t.Fatalf("the options do not fit the schema: %v", flow.Errors(errs))
	}
	log := &logBuffer{}
	return &task.Attempt{
		Token: 4711, Instance: 12, Task: 13, Number: 2, Name: "load", Options: raw, Dir: t.TempDir(), Log: log,
		Source: w.source, Password: w.password, Alive: func() {},
	}, log
}

func (w *world) run(t *testing.T, options map[string]any) (map[string]string, error) {
	t.Helper()
	a, log := w.attempt(t, options)
	out, err := w.kind.Run(t.Context(), a)
	t.Logf("log:\n%s", log)
	texts := map[string]string{}
	for k, v := range out {
		texts[k] = string(v)
	}
	return texts, err
}

func (w *world) must(t *testing.T, options map[string]any) map[string]string {
	t.Helper()
	out, err := w.run(t, options)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sql runs a script and returns what the single column of its single row is.
func (w *world) sql(t *testing.T, script string) string {
	t.Helper()
	out := w.must(t, map[string]any{"sql": script})
	for k, v := range out {
		if k != "rows" && k != "row_count" {
			return v
		}
	}
	return ""
}

func causeOf(t *testing.T, err error) string {
	t.Helper()
	var f *task.Failure
	if !errors.As(err, &f) {
		t.Fatalf("want a failure with a cause, got %v", err)
	}
	return f.Cause
}

// logBuffer is a log that tests wait on.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// own makes an empty database of the test's own.
func own(t *testing.T, server func() (*flow.DataSource, error)) *flow.DataSource {
	t.Helper()
	base, err := server()
	if err != nil {
		t.Fatal(err)
	}
	source := *base
	source.Name = "warehouse"
	source.Database = "t_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	admin(t, base, "create database "+source.Database)
	t.Cleanup(func() { admin(t, base, "drop database "+source.Database+dropForce(base)) })
	return &source
}

func dropForce(source *flow.DataSource) string {
	if source.Type == "postgres" {
		return " with (force)"
	}
	return ""
}

func admin(t *testing.T, source *flow.DataSource, statement string) {
	t.Helper()
	if err := adminRun(context.Background(), source, statement); err != nil { // also in cleanups, when t.Context() is over
		t.Fatalf("%s: %v", statement, err)
	}
}

func adminRun(ctx context.Context, source *flow.DataSource, statement string) error {
	d, err := dialectOf(source.Type)
	if err != nil {
		return err
	}
	password := ""
	if source.Type == "mysql" {
		password = mariaPassword
	}
	db, err := d.open(source, password)
	if err != nil {
		return err
	}
	defer db.Close()
	return withConn(ctx, db, func(c *sql.Conn) error {
		_, err := d.run(ctx, c, statement, nil, nil)
		return err
	})
}

func withConn(ctx context.Context, db *sql.DB, f func(*sql.Conn) error) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

var postgresServer = sync.OnceValues(func() (*flow.DataSource, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(dirs) == 0 {
		return nil, errors.New("these tests need PostgreSQL; install it: apt-get install -y postgresql")
	}
	bin := dirs[len(dirs)-1]
	dir, err := os.MkdirTemp("", "baton-sql-pg")
	if err != nil {
		return nil, err
	}
	atEnd(func() { os.RemoveAll(dir) })
	who, err := serverUser(dir, "postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := who.call(filepath.Join(bin, "initdb"), "-D", data, "-U", "baton", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	source := &flow.DataSource{Type: "postgres", Host: "127.0.0.1", Port: port, Database: "postgres", User: "baton", Options: map[string]string{"sslmode": "disable"}}
	err = runServer(who, source, syscall.SIGQUIT, filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-h", "127.0.0.1",
		"-c", "fsync=off", "-c", "timezone=Asia/Shanghai", "-c", "max_connections=100")
	return source, err
})

const mariaPassword = "s3cr'et pass"

var mariaServer = sync.OnceValues(func() (*flow.DataSource, error) {
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		return nil, errors.New("these tests need MariaDB; install it: apt-get install -y mariadb-server")
	}
	dir, err := os.MkdirTemp("", "baton-sql-maria")
	if err != nil {
		return nil, err
	}
	atEnd(func() { os.RemoveAll(dir) })
	who, err := serverUser(dir, "mysql")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := who.call("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	root := &flow.DataSource{Type: "mysql", Host: "127.0.0.1", Port: port, Database: "mysql", User: "root"}
	setup := filepath.Join(dir, "setup.sql")
	script := "create user 'baton'@'127.0.0.1' identified by '" + strings.ReplaceAll(mariaPassword, "'", "''") + "';\ngrant all on *.* to 'baton'@'127.0.0.1';\n"
	if err := os.WriteFile(setup, []byte(script), 0o644); err != nil {
		return nil, err
	}
	source := *root
	source.User = "baton"
	err = runServer(who, &source, syscall.SIGKILL, server, "--no-defaults", "--datadir="+data, "--socket="+filepath.Join(dir, "m.sock"), "--port="+strconv.Itoa(port),
		"--bind-address=127.0.0.1", "--pid-file="+filepath.Join(dir, "m.pid"), "--init-file="+setup, "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--performance-schema=OFF")
	return &source, err
})

// account is who a server runs as: servers refuse to run as root.
type account struct{ credential *syscall.Credential }

func serverUser(dir, name string) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("the server cannot run as root: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}

func (a account) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = "/"
	c.Env = append(os.Environ(), "LC_ALL=C", "HOME=/nonexistent")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}
	return c
}

func (a account) call(name string, args ...string) error {
	if out, err := a.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return nil
}

// runServer starts a server that dies with this process, and waits until it answers. The parent
// death signal belongs to the thread that starts it, so that thread is kept.
func runServer(who account, source *flow.DataSource, end syscall.Signal, name string, args ...string) error {
	c := who.command(name, args...)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := c.Start()
		started <- err
		if err == nil {
			c.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	atEnd(func() {
		c.Process.Signal(end)
		<-ended
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		err := adminRun(context.Background(), source, "select 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-late.C:
			return fmt.Errorf("%s does not answer: %w", filepath.Base(name), err)
		case <-ended:
			return fmt.Errorf("%s ended: %s", filepath.Base(name), output.String())
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
