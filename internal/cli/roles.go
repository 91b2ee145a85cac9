// baton master, baton api: the roles of a cluster, a process each.

package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baton/internal/flow"
)

func (a *app) masterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "master",
		Short: "Run a master: it drives runs and hands tasks to workers",
		Long: `Any number of masters share the work of one store; when one dies, the others go on with what it had.
Workers and the other masters reach it at --rpc-listen, under the address that --advertise says.

The store is PostgreSQL. SIGTERM and SIGINT end it: what it drives goes to the other masters at once.`,
		Example: `  baton master --store postgres://baton@db/baton --rpc-listen 0.0.0.0:7078`,
		Args:    noArguments,
	}
	d := defaults()
	f := c.Flags()
	storeFlags(f)
	clusterFlags(f)
	f.String("rpc-listen", d["rpc-listen"].(string), "host:port for workers and other masters")
	memoryFlag(f)
	f.String("advertise", "", "host:port that they reach it at (default: this host and the port of --rpc-listen)")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		if err := a.config.clusterStore(); err != nil {
			return err
		}
		return runMaster(ctx, a.config, a.logger())
	})
	return c
}

func (a *app) apiCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "api",
		Short: "Run the HTTP interface of a cluster",
		Long: `It keeps nothing: any number may run behind any proxy. It accepts orders as long as the store answers, and
wakes the masters that it sees in the registry.`,
		Example: `  baton api --store postgres://baton@db/baton --listen 0.0.0.0:7077`,
		Args:    noArguments,
	}
	d := defaults()
	f := c.Flags()
	storeFlags(f)
	clusterFlags(f)
	f.String("listen", d["listen"].(string), "host:port of the HTTP interface; port 0 takes a free one")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		if err := a.config.clusterStore(); err != nil {
			return err
		}
		listener, err := listen(ctx, "listen", a.config.Listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		return runAPI(ctx, a.config, a.logger(), listener)
	})
	return c
}

// storeFlags are those of roles that need the store.
func storeFlags(f *pflag.FlagSet) {
	f.String("store", "", "postgres://…")
	f.String("store-direct", "", "the same store, for sessions that must not pass a transaction pooler (default: --store)")
	f.String("lease", defaults()["lease"].(string), "how long a silent node is trusted, when the store does not say yet")
}

// clusterFlags are those of every role of a cluster.
func clusterFlags(f *pflag.FlagSet) {
	f.String("registry", "", "where nodes find each other: sql (inside the store), etcd://h:p,…, zookeeper://h:p,… (default: sql)")
	f.String("admin-listen", defaults()["admin-listen"].(string), "host:port of /livez /readyz /metrics /debug/pprof")
	f.String("name", "", "shown name of this node (default: host and port)")
	tlsFlags(f)
}

// tlsFlags are those of every program that speaks to nodes.
func tlsFlags(f *pflag.FlagSet) {
	f.String("tls-cert", "", "certificate (PEM) that this node shows to other nodes; with --tls-key and --tls-ca connections are mutual TLS")
	f.String("tls-key", "", "its key (PEM)")
	f.String("tls-ca", "", "certificates (PEM) that other nodes' are signed by")
}

// clusterStore refuses a store that several processes cannot share.
func (c *Config) clusterStore() error {
	if c.Store == "" {
		return flow.Errorf(flow.CodeBadRequest, "store", "a cluster needs a store that all its nodes reach; set --store postgres://user@host/database, or run `baton standalone` on one machine")
	}
	switch kind, _, _ := strings.Cut(c.Store, ":"); kind {
	case "postgres", "postgresql":
	case "sqlite":
		return flow.Errorf(flow.CodeBadRequest, "store", "store %q is for one process; a cluster needs postgres://…", c.Store)
	default: // it may hold a password
		return flow.Errorf(flow.CodeBadRequest, "store", "a store of kind %q is not known; a cluster needs postgres://user@host/database", kind)
	}
	return nil
}
