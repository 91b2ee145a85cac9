// Package pgtest gives tests a real PostgreSQL: a private server for the test process, from the
// binaries of the system, with a fresh database for each test.
//
// It must not know what is tested: it hands out addresses.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"baton/internal/store"
)

// remedy is said when there is no server: a test that cannot run has not passed.
const remedy = "run `make deps` (apt-get install postgresql), or name a server in BATON_TEST_POSTGRES"

const template = "baton_template"

var server struct {
	once sync.Once
	err  error
	dsn  *url.URL // of an administrator
	stop func() error
	next atomic.Int64
}

// Main runs the tests of a package and stops the server afterwards. Call it from TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	if pooler.stop != nil {
		pooler.stop()
	}
	if server.stop != nil {
		if err := server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			return 1
		}
	}
	return code
}

// New returns the address of a database of its own for t, with Baton's schema.
func New(t testing.TB) string {
	t.Helper()
	return create(t, template)
}

// Empty returns the address of a database without a schema.
func Empty(t testing.TB) string {
	t.Helper()
	return create(t, "template0")
}

// Encoded returns the address of a database without a schema whose texts are in an encoding.
func Encoded(t testing.TB, encoding string) string {
	t.Helper()
	return create(t, "template0 ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
}

func create(t testing.TB, from string) string {
	t.Helper()
	server.once.Do(func() { server.err = start() })
	if server.err != nil {
		t.Fatalf("PostgreSQL for tests: %v; %s", server.err, remedy)
	}
	name := fmt.Sprintf("baton_%d_%d", os.Getpid(), server.next.Add(1))
	if err := admin(context.Background(), "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	if server.stop != nil {
		return database(name) // it goes with the server; dropping it alone costs a checkpoint
	}
	t.Cleanup(func() {
		if err := admin(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop a database: %v", err)
		}
	})
	return database(name)
}

func database(name string) string {
	u := *server.dsn
	u.Path = "/" + name
	return u.String()
}

var adminLock sync.Mutex // a template can be copied by one at a time

func admin(ctx context.Context, query string) error {
	adminLock.Lock()
	defer adminLock.Unlock()
	conn, err := pgx.Connect(ctx, server.dsn.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, query)
	return errors.Join(err, conn.Close(ctx))
}

func start() error {
	ctx := context.Background()
	var err error
	if dsn := os.Getenv("BATON_TEST_POSTGRES"); dsn != "" {
		server.dsn, err = url.Parse(dsn)
	} else {
		server.dsn, server.stop, err = run(ctx)
	}
	if err != nil {
		return err
	}
	if err := admin(ctx, "DROP DATABASE IF EXISTS "+template+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := admin(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	m, err := store.NewMigrator(database(template))
	if err != nil {
		return err
	}
	return errors.Join(m.Up(ctx), m.Close())
}

// run starts a server that lives no longer than this process.
func run(ctx context.Context) (dsn *url.URL, stop func() error, err error) {
	s, err := initialise(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s.dsn(), s.remove, nil
}

// initialise makes the folder of a server that was never started.
func initialise(ctx context.Context) (s *Server, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "batonpg")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if attr.Credential, err = postgresUser(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort(ctx)
	return &Server{bin: bin, dir: dir, port: port, attr: attr}, err
}

// launch starts the server and returns when it says that it is ready. The thread that starts it
// is kept, because the server is told to die with it.
func launch(cmd *exec.Cmd, ended chan<- error) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := cmd.Start(); err != nil {
			ready <- err
			return
		}
		var said strings.Builder
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "ready to accept connections") {
				ready <- nil
				break
			}
		}
		_, _ = io.Copy(io.Discard, stderr) // a full pipe would stop the server
		err := cmd.Wait()
		select {
		case ready <- fmt.Errorf("postgres ended: %w\n%s", err, said.String()):
		default:
		}
		ended <- err
	}()
	return <-ready
}

// binaries finds the newest server that Debian has installed, or one in PATH.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", errors.New("there are no PostgreSQL binaries")
	}
	return filepath.Dir(path), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // what is no number is oldest
	return n
}

func postgresUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
