package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"baton/test/harness"
)

// cluster is a PostgreSQL server that can be stopped and started.
type cluster struct {
	bin, dir, dsn string
	port          int
	attr          *syscall.SysProcAttr
	process       *os.Process
	ended         chan struct{}
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatal("there are no PostgreSQL binaries; run `make deps` (apt-get install postgresql)")
	}
	dir, err := os.MkdirTemp("", "batonpg") //nolint:usetesting // a test's own folder is closed to the user postgres
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{bin: found[len(found)-1], dir: dir, attr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}}
	t.Cleanup(func() {
		if c.process != nil {
			c.stop(t, syscall.SIGQUIT)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		c.attr.Credential = postgresUser(t)
		if err := os.Chown(dir, int(c.attr.Credential.Uid), int(c.attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := exec.CommandContext(t.Context(), filepath.Join(c.bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = c.attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	c.dsn = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
	c.start(t)
	return c
}

func postgresUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// start runs the server, which dies with the thread that started it, and waits until it answers.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", filepath.Join(c.dir, "data"), "-k", c.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-c", "shared_buffers=32MB")
	cmd.SysProcAttr, cmd.Dir = c.attr, c.dir
	started := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is what the test made it
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	c.process, c.ended = cmd.Process, ended
	harness.Eventually(t, "PostgreSQL answers", func() bool { return c.exec("SELECT 1") == nil })
}

// stop: SIGINT is a fast shutdown, SIGQUIT an immediate one.
func (c *cluster) stop(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := c.process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-c.ended
	c.process = nil
}

func (c *cluster) exec(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, query)
	return err
}

// The store goes away while runs are under way: tasks run on, and nothing is lost.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	pg := newCluster(t)
	s := harness.Start(t, "--store", pg.dsn)
	s.Apply(t, ledgered)
	path, signal := filepath.Join(s.Dir, "ledger"), filepath.Join(s.Dir, "go")
	s.Apply(t, `
name: across
params: {go: ""}
tasks:
  plain: {run: &wait "echo begin; while [ ! -e \"$go\" ]; do sleep 0.05; done; echo end"}
  once: {delivery: at_most_once, run: *wait}
  after: {needs: [plain, once], run: echo after}
`)
	across := s.Begin(t, "across", "-p", "go="+signal)
	for _, task := range []string{"plain", "once"} {
		harness.Eventually(t, task+" runs", func() bool { return s.Baton(t, "logs", across.ID, task).Stdout == "begin\n" })
	}
	a := &starter{t: t, c: s.Client(t), ids: map[string]string{}, body: map[string]any{
		"workflow": "load", "project": "default", "params": map[string]string{"ledger": path},
	}}
	begin := func(n int) {
		harness.Eventually(t, "starts are accepted", func() bool {
			if a.start() {
				n--
			}
			return n <= 0
		})
	}
	begin(10)

	t.Log("backends are terminated")
	for range 5 {
		if err := pg.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
		begin(2)
	}
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		t.Log("the server ends by", how)
		pg.stop(t, how)
		refused(t, s, fault{1, "unavailable", []string{"PostgreSQL cannot be reached"}}, "run", "across")
		select {
		case <-s.Died():
			t.Fatal("the server died with its store")
		case <-time.After(3 * time.Second): // long enough for polls, beats and commits to fail
		}
		pg.start(t)
		begin(10)
	}

	write(t, s, "go", "")
	end := until(t, s, across.ID, "succeeded")
	for _, task := range []string{"plain", "once", "after"} {
		if row := end.Task(t, task); row.Attempt != 1 || row.State != "succeeded" {
			t.Errorf("%s: %s at attempt %d; a restart of the store kills no task", task, row.State, row.Attempt)
		}
	}
	var runs []harness.Instance
	for _, id := range a.ids {
		runs = append(runs, a.settle(id))
	}
	l := readLedger(t, path)
	for _, run := range runs {
		l.check(t, run)
		for _, row := range run.Tasks {
			if n := len(l.begins[row.ID]); n != 1 || row.State != "succeeded" {
				t.Errorf("run %s: %s began %d times and is %s", run.ID, row.Name, n, row.State)
			}
		}
	}
	var all harness.List[harness.Instance]
	a.c.Call("GET", "/instances?limit=500", nil, &all)
	if len(all.Items) != len(a.ids)+1 {
		t.Errorf("%d runs were accepted, %d exist", len(a.ids)+1, len(all.Items))
	}
	if list := s.Must(t, "get", "alerts", "-o", "name"); list != "" {
		t.Errorf("alerts: %s", s.Must(t, "get", "alerts"))
	}
	healthy(t, s)
}
