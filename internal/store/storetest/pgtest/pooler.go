// PgBouncer before the server, in transaction mode.

package pgtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var pooler struct {
	once    sync.Once
	err     error
	address string
	stop    func()
}

// Pooled returns the address of a database by way of a PgBouncer that pools transactions, as
// delivered: it knows nothing of Baton.
func Pooled(t testing.TB, dsn string) string {
	t.Helper()
	pooler.once.Do(func() { pooler.address, pooler.stop, pooler.err = runPooler(nil) })
	if pooler.err != nil {
		t.Fatalf("PgBouncer for tests: %v; run `make deps` (apt-get install pgbouncer)", pooler.err)
	}
	return through(t, dsn, pooler.address)
}

// Pooler starts a PgBouncer of its own for t with more settings, and returns the address of a
// database by way of it.
func Pooler(t testing.TB, dsn string, settings ...string) string {
	t.Helper()
	address, stop, err := runPooler(settings)
	if err != nil {
		t.Fatalf("PgBouncer for tests: %v; run `make deps` (apt-get install pgbouncer)", err)
	}
	t.Cleanup(stop)
	return through(t, dsn, address)
}

func through(t testing.TB, dsn, address string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address
	return u.String()
}

func runPooler(settings []string) (address string, stop func(), err error) {
	ctx := context.Background()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return "", nil, err
		}
	}
	dir, err := os.MkdirTemp("", "batonpool")
	if err != nil {
		return "", nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", nil, err
	}
	config := fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
max_client_conn = 2000
default_pool_size = 10
%s
`, server.dsn.Hostname(), server.dsn.Port(), port, filepath.Join(dir, "users"), strings.Join(settings, "\n"))
	for name, text := range map[string]string{"pool.ini": config, "users": fmt.Sprintf("%q \"\"\n", server.dsn.User.Username())} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", nil, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	cmd := exec.Command(bin, "-q", filepath.Join(dir, "pool.ini"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 { // it refuses to run as root
		if cmd.SysProcAttr.Credential, err = postgresUser(); err != nil {
			return "", nil, err
		}
	}
	var said strings.Builder
	cmd.Stderr = &said
	ended := make(chan error, 1)
	begun := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // it is told to die with the thread that starts it
		err := cmd.Start()
		begun <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		return "", nil, err
	}
	address = net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	stop = func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		_ = os.RemoveAll(dir)
	}
	dialer, tick := net.Dialer{Timeout: time.Second}, time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		if c, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			return address, stop, c.Close()
		}
		select {
		case <-tick.C:
		case err := <-ended:
			return "", nil, fmt.Errorf("pgbouncer ended: %w\n%s", err, said.String())
		case <-deadline:
			stop()
			return "", nil, fmt.Errorf("pgbouncer does not listen\n%s", said.String())
		}
	}
}
