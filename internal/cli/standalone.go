// baton standalone: all roles in one process, one folder, one port.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"baton/internal/flow"
)

func (a *app) standaloneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "standalone",
		Short: "Run a whole server in this process: master, worker, API",
		Long: `Everything is in the data folder: the store (SQLite), logs, work files, and the file token with
an administrator's token that commands on this machine find by themselves. The HTTP interface and
its documentation are on --listen.

SIGTERM and SIGINT end it gracefully: nothing new starts, what runs may finish within --drain-timeout, and
what still runs then is ended; a second signal does that at once, a third one ends the process. Runs go on
when it starts again.`,
		Example: `  baton standalone
  baton standalone --data /var/lib/baton --listen 0.0.0.0:7077`,
		Args: noArguments,
	}
	d := defaults()
	f := c.Flags()
	f.String("listen", d["listen"].(string), "host:port of the HTTP interface; port 0 takes a free one")
	f.String("admin-listen", d["admin-listen"].(string), "host:port of /livez /readyz /metrics /debug/pprof")
	f.String("store", "", "sqlite:PATH or postgres://… (default: baton.db in --data)")
	f.String("store-direct", "", "store for sessions that must not pass a transaction pooler")
	f.String("name", "", "shown name of this node (default: host and port)")
	f.String("groups", d["groups"].(string), "worker groups that this node serves, separated by commas")
	f.Int("slots", 0, "tasks with a process of their own at a time (default: by the number of CPUs)")
	loadFlags(f)
	f.String("labels", "", "labels of this node: k=v,…")
	f.String("drain-timeout", d["drain-timeout"].(string), "how long what runs may go on when the server is asked to end; 0 ends it at once")
	f.String("log-limit", d["log-limit"].(string), "how much a task may log in one try, such as 64MiB; what is more is left out")
	f.String("lease", d["lease"].(string), "how long a silent node is trusted, when the store does not say yet")
	c.RunE = action(func(ctx context.Context, _ []string) error { return a.standalone(ctx) })
	return c
}

// standalone prepares the folder and the port, which are what fails, and runs the roles.
func (a *app) standalone(ctx context.Context) error {
	cfg := a.config
	if err := prepareFolder(cfg.Data); err != nil {
		return err
	}
	lock, err := lockFolder(ctx, cfg.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	listener, err := listen(ctx, "listen", cfg.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	return standalone(ctx, cfg, a.logger(), listener, a.Stderr)
}

// prepareFolder makes the data folder and finds out whether it can be written.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unusable(dir, err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return unusable(dir, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

func unusable(dir string, err error) error {
	var cause *fs.PathError
	if asPath(err, &cause) {
		err = cause.Err
	}
	return flow.Errorf(flow.CodeUnavailable, "data", "data folder %s cannot be written: %v; choose another one with --data", dir, err)
}

func asPath(err error, target **fs.PathError) bool { return errors.As(err, target) }

// listen takes the port, and says who to blame when it is taken.
func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, flow.Errorf(flow.CodeUnavailable, setting, "%s is in use by another process; choose another port with --%s, or port 0 for a free one", address, setting)
	}
	if err != nil {
		return nil, flow.Errorf(flow.CodeUnavailable, setting, "cannot listen on %s: %v; choose another address with --%s", address, err, setting)
	}
	return l, nil
}

// announce writes where the server is, for commands on this machine, and how they are let in.
func announce(dir, url string) error {
	if err := os.WriteFile(filepath.Join(dir, serverFile), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("record the server's address: %w", err)
	}
	return nil
}

// retract removes the address: another program may get the port, and it must not get the token.
func retract(dir string) { _ = os.Remove(filepath.Join(dir, serverFile)) }
