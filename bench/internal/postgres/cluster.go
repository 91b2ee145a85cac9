// Package postgres runs a private PostgreSQL cluster and drives it with pgbench.
//
// It must not know who else uses it. Durability stays on: fsync and synchronous_commit are the
// server's defaults.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"baton/bench/internal/proc"
)

// ErrNone is returned on a machine without PostgreSQL.
var ErrNone = errors.New("no PostgreSQL server here: apt-get install postgresql")

// Cluster is a running server.
type Cluster struct {
	Port    int
	Version string
	bin     string
	server  *proc.Proc
}

// settings are those of field/performance.md; all else is PostgreSQL's default.
var settings = []string{"shared_buffers=1GB", "max_wal_size=4GB", "max_connections=200"}

// Start makes a cluster in dir and starts it. The server refuses to run as root; then it is the
// user postgres.
func Start(ctx context.Context, dir string, more ...string) (*Cluster, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return nil, ErrNone
	}
	c := &Cluster{bin: found[len(found)-1]}
	as, err := runAs()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, fmt.Errorf("folder of PostgreSQL: %w", err)
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if c.Port, err = proc.FreePort(); err != nil {
		return nil, err
	}
	args := []string{"-D", data, "-p", strconv.Itoa(c.Port), "-h", "127.0.0.1", "-k", ""}
	for _, s := range append(settings, more...) {
		args = append(args, "-c", s)
	}
	if c.server, err = proc.Start(proc.Spec{Name: "postgres", Dir: dir, Path: filepath.Join(c.bin, "postgres"), Args: args, As: as}); err != nil {
		return nil, err
	}
	err = c.server.Until(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) error {
		return c.Query(ctx, "postgres", "SELECT current_setting('server_version')", &c.Version)
	})
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func runAs() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Stop ends the server; connections are cut.
func (c *Cluster) Stop() {
	if c != nil {
		c.server.Stop(syscall.SIGINT, 30*time.Second)
	}
}

// PID is the root of the server's process tree.
func (c *Cluster) PID() int { return c.server.PID }

// URL names a database.
func (c *Cluster) URL(db string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.Port, db)
}

// Open connects to a database.
func (c *Cluster) Open(db string) (*sql.DB, error) {
	d, err := sql.Open("pgx", c.URL(db))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", db, err)
	}
	return d, nil
}

// Exec runs statements, each on its own, on one connection.
func (c *Cluster) Exec(ctx context.Context, db string, statements ...string) error {
	d, err := c.Open(db)
	if err != nil {
		return err
	}
	defer d.Close()
	d.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := d.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Query reads one row.
func (c *Cluster) Query(ctx context.Context, db, query string, into ...any) error {
	d, err := c.Open(db)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.QueryRowContext(ctx, query).Scan(into...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// Fresh makes an empty database, in place of an older one.
func (c *Cluster) Fresh(ctx context.Context, db string) error {
	return c.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)", "CREATE DATABASE "+db)
}

// Durable fails when the server would trade durability for speed.
func (c *Cluster) Durable(ctx context.Context, db string) error {
	var fsync, commit, pages string
	err := c.Query(ctx, db, "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')", &fsync, &commit, &pages)
	if err == nil && (fsync != "on" || commit != "on" || pages != "on") {
		err = fmt.Errorf("durability is off: fsync=%s synchronous_commit=%s full_page_writes=%s", fsync, commit, pages)
	}
	return err
}
