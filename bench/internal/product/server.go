// A running server.

package product

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"baton/bench/internal/limit"
	"baton/bench/internal/proc"
)

// Server is `baton standalone` with default settings.
type Server struct {
	PID    int
	URL    string        // of the API
	Admin  string        // of health and profiles
	Answer time.Duration // from its start until it answered a list, ready for work
	Rows   *sql.DB       // its store, to read what it recorded

	data, token string
	process     *proc.Proc
	http        *http.Client
	databases   []int // processes of its store that are none of its own
	others      []int // processes of a cluster beside this one
}

// Start starts a server on a data folder; store is a postgres:// URL, or "" for SQLite in the
// folder. databases are the roots of the store's own processes.
func Start(ctx context.Context, binary, data, store string, databases ...int) (*Server, error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	var addr [2]string
	for i := range addr {
		port, err := proc.FreePort()
		if err != nil {
			return nil, err
		}
		addr[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	args := []string{"standalone", "--data", data, "--listen", addr[0], "--admin-listen", addr[1]}
	if store != "" {
		args = append(args, "--store", store)
	}
	s := &Server{
		URL: "http://" + addr[0], Admin: "http://" + addr[1], data: data, databases: databases,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}},
	}
	began := time.Now()
	var err error
	if s.process, err = proc.Start(proc.Spec{Name: "baton", Dir: data, Path: binary, Args: args}); err != nil {
		return nil, err
	}
	s.PID = s.process.PID
	if err := s.process.Until(ctx, 2*time.Minute, time.Millisecond, s.answers); err != nil {
		s.Stop()
		return nil, err
	}
	s.Answer = time.Since(began)
	if s.Rows, err = openRows(data, store); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func openRows(data, store string) (*sql.DB, error) {
	driver := "pgx"
	if store == "" {
		driver, store = "sqlite", "file:"+filepath.Join(data, "baton.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, store)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func (s *Server) answers(ctx context.Context) error {
	if err := limit.Answers(ctx, s.Admin+"/readyz"); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	s.token = strings.TrimSpace(string(raw))
	return s.get(ctx, "/instances?limit=1", nil)
}

// Stop ends the server as an operator does.
func (s *Server) Stop() {
	if s == nil {
		return
	}
	s.process.Stop(syscall.SIGTERM, 20*time.Second)
	if s.Rows != nil {
		_ = s.Rows.Close()
	}
	s.http.CloseIdleConnections()
}

// Use is the CPU that was used, by whom.
type Use struct{ Server, Database time.Duration }

// Used is the CPU that server, worker and tasks, and the database have used so far.
func (s *Server) Used() Use {
	return Use{proc.CPU(append([]int{s.PID}, s.others...)...), proc.CPU(s.databases...)}
}

// Since is what was used since before.
func (s *Server) Since(before Use) Use {
	now := s.Used()
	return Use{now.Server - before.Server, now.Database - before.Database}
}

// All is the sum.
func (u Use) All() time.Duration { return u.Server + u.Database }

// Errors are the lines of the server's log that warn or worse.
func (s *Server) Errors() []string {
	raw, err := os.ReadFile(s.process.Log)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") || strings.HasPrefix(line, "panic:") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// Profile records where the CPU goes for a while.
func (s *Server) Profile(ctx context.Context, d time.Duration, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.Admin, max(int(d.Seconds()), 1)), nil)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", res.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
