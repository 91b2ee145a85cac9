// baton worker: a worker of the fleet, as two processes.

package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baton/internal/worker/supervisor"
)

func (a *app) workerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker: it runs tasks for masters elsewhere",
		Long: `It dials the masters and needs no port of its own, no store and no other connection. The data folder
keeps logs, work files and results that no master has taken yet.

This process is the supervisor: tasks are below it, and so is the worker itself, which it starts again
when it dies. SIGHUP starts the worker from the program on disk, SIGUSR2 does the same to the
supervisor in place; tasks run on under both. SIGTERM and SIGINT
end it gracefully: nothing new starts, what runs may finish within --drain-timeout; a second one ends
that.`,
		Example: `  baton worker --registry master://master.example:7078 --data /var/lib/baton-worker
  baton worker --registry master://m1:7078,m2:7078 --groups default,spark --slots 64`,
		Args: noArguments,
	}
	d := defaults()
	f := c.PersistentFlags()
	f.String("registry", "", "where the masters are: master://HOST:PORT,… (any of them), etcd://h:p,…, zookeeper://h:p,…, or sql with --store")
	f.String("store", "", "postgres://…, for the registry sql only")
	f.String("store-direct", "", "the same store, past a transaction pooler")
	f.String("admin-listen", d["admin-listen"].(string), "host:port of /livez /readyz /metrics /debug/pprof")
	f.String("name", "", "shown name of this node (default: the host's)")
	tlsFlags(f)
	f.String("groups", d["groups"].(string), "worker groups that this node serves, separated by commas")
	f.Int("slots", 0, "tasks with a process of their own at a time (default: by the number of CPUs)")
	loadFlags(f)
	f.String("labels", "", "labels of this node: k=v,…")
	f.String("log-limit", d["log-limit"].(string), "how much a task may log in one try, such as 64MiB; what is more is left out")
	f.String("drain-timeout", d["drain-timeout"].(string), "how long what runs may go on when the worker is asked to end; 0 ends it at once")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		if err := a.config.workerRegistry(); err != nil {
			return err
		}
		if err := prepareFolder(a.config.Data); err != nil {
			return err
		}
		return supervise(ctx, a.config, a.Args, a.logger())
	})
	c.AddCommand(a.properCommand())
	return c
}

// loadFlags are those of how much a worker takes.
func loadFlags(f *pflag.FlagSet) {
	d := defaults()
	f.Int("function-slots", d["function-slots"].(int), "tasks at a time that run inside the worker, such as http and sql")
	f.Int("weight", d["weight"].(int), "share of the tasks when the setting balance is weighted")
	f.Float64("overload-cpu", d["overload-cpu"].(float64), "share of all cores in use from which on nothing new is taken; 1: no limit")
	memoryFlag(f)
	f.String("overload-disk", d["overload-disk"].(string), "nothing new is taken while less is free on the disk of --data; 0: no limit")
}

// memoryFlag is also one of masters.
func memoryFlag(f *pflag.FlagSet) {
	f.Float64("overload-memory", defaults()["overload-memory"].(float64), "share of memory in use from which on less is taken; 1: no limit")
}

// properCommand is what the supervisor starts. Its name tells the two apart in a list of processes.
func (a *app) properCommand() *cobra.Command {
	return &cobra.Command{
		Use:    properName,
		Short:  "The worker below its supervisor; `baton worker` starts it",
		Hidden: true,
		Args:   noArguments,
		RunE: action(func(ctx context.Context, _ []string) error {
			end, err := strconv.Atoi(environment(a.Environ)[supervisor.LinkVar])
			if err != nil {
				return usagef("this is a part of `baton worker`, which starts it itself")
			}
			return workBelow(ctx, a.config, os.NewFile(uintptr(end), "link"), a.logger())
		}),
	}
}

const properName = "proper"

// workerRegistry refuses a registry by which no master can be found.
func (c *Config) workerRegistry() error {
	kind, _, _ := strings.Cut(c.Registry, "://")
	switch kind {
	case "master":
		_, err := masterAddresses(c.Registry)
		return err
	case "etcd", "zookeeper":
		return nil
	case "", "sql":
		if c.Store != "" {
			return c.clusterStore()
		}
		return usagef("registry: say where the masters are: --registry master://HOST:PORT,…, etcd://…, zookeeper://…, or sql with --store")
	}
	return usagef("registry %q is none of master://HOST:PORT,…, etcd://…, zookeeper://… and sql", c.Registry)
}

// masterAddresses reads the addresses of masters, any of which tells of the others.
func masterAddresses(registry string) ([]string, error) {
	list := strings.TrimPrefix(registry, "master://")
	addresses := split(list)
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, usagef("registry: %q is no host:port; write master://HOST:PORT,…", address)
		}
	}
	if len(addresses) == 0 {
		return nil, usagef("registry: no address in %q; write master://HOST:PORT,…", registry)
	}
	return addresses, nil
}

// program is the file that this process was started from, by its name: another version may lie
// there by now.
func program() (string, error) {
	name := os.Args[0]
	if !strings.Contains(name, "/") {
		path, err := exec.LookPath(name)
		if err != nil {
			return os.Executable()
		}
		name = path
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	return path, nil
}
