package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"baton/test/harness"
)

var (
	registries = flag.String("registry", registrySQL, "sql, etcd, zookeeper, several with commas, or all")
	seed       = flag.Uint64("seed", 1, "of the plan")
	faults     = flag.Int("faults", 3, "how many")
	tasks      = flag.Int("tasks", 60, "of the planned runs, at least")
	pulses     = flag.Int("pulses", 8, "runs of short steps at any time")
	lasts      = flag.Duration("for", 0, "go on with the next seeds for so long")
	lease      = flag.Duration("lease", 3*time.Second, "of the cluster")
	only       = flag.String("classes", "", "only these faults, with commas (default: all)")
	behind     = flag.Bool("proxy", false, "proxies even where there are network namespaces")
	keep       = flag.Bool("keep", false, "keep the folder of the run")
	strict     = flag.Bool("strict", false, "a recovery that takes longer than promised is a failure")
	reportTo   = flag.String("report", "", "write the report there")
)

func TestMain(m *testing.M) {
	if raw := os.Getenv(lockVar); raw != "" {
		if err := hold(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(harness.Main(m.Run))
}

// The whole cluster, broken again and again; as often as make chaos says.
func TestChaos(t *testing.T) {
	list := strings.Split(*registries, ",")
	if *registries == "all" {
		list = []string{registrySQL, registryEtcd, registryZooKeeper}
	}
	var chosen []string
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	var report strings.Builder
	sums := map[string]*Result{}
	begun := time.Now()
	for n := *seed; n == *seed || time.Since(begun) < *lasts; n++ {
		for _, registry := range list {
			t.Run(fmt.Sprintf("%s/%d", registry, n), func(t *testing.T) { chaos(t, registry, n, chosen, &report, sums) })
		}
		if t.Failed() {
			break
		}
	}
	for _, registry := range list {
		if sum := sums[registry]; sum != nil && sum.Last != 0 {
			var text strings.Builder
			sum.Write(&text)
			t.Log("all of them:\n" + text.String())
			report.WriteString("All of them: " + text.String() + "\n")
		}
	}
	if *reportTo != "" {
		if err := os.MkdirAll(filepath.Dir(*reportTo), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(*reportTo, []byte(report.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func chaos(t *testing.T, registry string, seed uint64, classes []string, report *strings.Builder, sums map[string]*Result) {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	res, err := Run(ctx, Options{
		Binary: harness.Binary(t), Registry: registry, Seed: seed, Faults: *faults, Tasks: *tasks, Pulses: *pulses,
		Lease: *lease, Classes: classes, Proxy: *behind, Keep: *keep, Strict: *strict, Log: t.Logf,
	})
	if res != nil {
		var text strings.Builder
		res.Write(&text)
		t.Log("\n" + text.String())
		report.WriteString(text.String() + "\n")
		if sum := sums[registry]; sum != nil {
			sum.Add(res)
		} else {
			one := *res
			sums[registry] = &one
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if res.Failed() {
		t.Fail()
	}
}
