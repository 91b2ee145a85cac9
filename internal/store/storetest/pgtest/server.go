// A server that a test has for itself, to stop it.

package pgtest

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Server is a PostgreSQL server.
type Server struct {
	bin, dir string
	port     int
	attr     *syscall.SysProcAttr
	cmd      *exec.Cmd
	ended    chan error
	// settings are added to those of the command line, as name=value.
	settings []string
}

// Start starts a server of its own for t, with settings as name=value, which ends with it.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := initialise(context.Background())
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v; %s", err, remedy)
	}
	s.settings = settings
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	s.Start(t)
	return s
}

// Address is its host and port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN is the address of its first database.
func (s *Server) DSN() string { return s.dsn().String() }

func (s *Server) dsn() *url.URL {
	return &url.URL{Scheme: "postgres", User: url.User("postgres"), Host: s.Address(), Path: "/postgres", RawQuery: "sslmode=disable"}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Write writes a file into its data folder, as its own.
func (s *Server) Write(t testing.TB, name string, text []byte) {
	t.Helper()
	file := filepath.Join(s.data(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if c := s.attr.Credential; c != nil {
		if err := os.Chown(file, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// Start runs it again, with its data.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("PostgreSQL for tests: %v; %s", err, remedy)
	}
}

func (s *Server) start() error {
	args := []string{
		"-D", s.data(), "-k", s.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(s.port),
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "fsync=on", "-c", "log_checkpoints=off",
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.SysProcAttr, s.cmd.Dir = s.attr, s.dir
	s.ended = make(chan error, 1)
	err := launch(s.cmd, s.ended)
	if err != nil {
		s.cmd = nil
	}
	return err
}

// Stop ends it in order, with its sessions.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.end(syscall.SIGINT) }

// Kill ends it at once; the next start recovers.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.end(syscall.SIGQUIT) }

func (s *Server) end(how syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(how) // if it is gone, ended knows
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

func (s *Server) remove() error {
	s.end(syscall.SIGINT)
	return os.RemoveAll(s.dir)
}
