// The cluster: three masters, three workers, two apis, PostgreSQL and a registry.

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Registries that a cluster can have.
const (
	registrySQL       = "sql"
	registryEtcd      = "etcd"
	registryZooKeeper = "zookeeper"
)

const (
	roleStore    = "store"
	roleRegistry = "registry"
	roleMaster   = "master"
	roleAPI      = "api"
	roleWorker   = "worker"
	roleLock     = "lock"
)

const startPatience = 2 * time.Minute

// run is one cluster, its load and its faults.
type run struct {
	opt   Options
	id    string
	dir   string
	net   network
	nodes []*node
	tmpfs string // the data folder that can be full, "" where the machine does not allow one

	store  *pgx.ConnConfig
	client *client
	plan   plan
	log    func(format string, args ...any)

	ledger string
	begun  time.Time

	mu      sync.Mutex
	faults  []*fault   // as they happened
	started []*started // acknowledged starts
	verbs   []given
	calls   []startCall
	desks   []*desk
	reigns  []*reigns
	filled  []filled
	moved   []moved
	sent    []notice
	sizes   map[string][]size      // of pools, in order
	given   map[string][]time.Time // since when slots were seen to be held, by run and task
	seen    map[string][]sighting
	slept   []time.Time // when this machine was found to have stood still
	faulty  []string    // what the test itself could not do
	result  *Result
}

func (r *run) role(role string) []*node {
	var out []*node
	for _, n := range r.nodes {
		if n.role == role {
			out = append(out, n)
		}
	}
	return out
}

func (r *run) node(name string) *node {
	i := slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == name })
	return r.nodes[i]
}

func (r *run) add(name, role string, command func() *exec.Cmd) error {
	r.nodes = append(r.nodes, &node{name: name, role: role, run: r, command: command})
	return r.net.add(name)
}

func (r *run) dsn() string {
	return "postgres://postgres@" + r.net.address("pg") + "/postgres?sslmode=disable"
}

// registry is the setting of the same name, for masters and apis.
func (r *run) registry() string {
	if r.opt.Registry == registrySQL {
		return registrySQL
	}
	return r.opt.Registry + "://" + r.net.address("reg")
}

// build makes all nodes and starts them.
func (r *run) build(ctx context.Context) error {
	if err := r.buildStore(); err != nil {
		return err
	}
	if err := r.buildRegistry(); err != nil {
		return err
	}
	baton := func(args ...string) func() *exec.Cmd {
		return func() *exec.Cmd { return exec.Command(r.opt.Binary, args...) }
	}
	var addresses []string
	for i := range 3 {
		name := fmt.Sprintf("m%d", i+1)
		if err := r.add(name, roleMaster, nil); err != nil {
			return err
		}
		addresses = append(addresses, r.net.address(name))
		r.node(name).command = baton("master", "--store", r.dsn(), "--registry", r.registry(), "--lease", r.opt.Lease.String(),
			"--rpc-listen", r.net.listen(name), "--advertise", r.net.address(name), "--name", name)
	}
	for i := range 2 {
		name := fmt.Sprintf("a%d", i+1)
		if err := r.add(name, roleAPI, nil); err != nil {
			return err
		}
		r.node(name).command = baton("api", "--store", r.dsn(), "--registry", r.registry(), "--listen", r.net.listen(name), "--name", name)
	}
	registry := r.registry()
	if registry == registrySQL {
		registry = "master://" + strings.Join(addresses, ",")
	}
	for i := range 3 {
		name := fmt.Sprintf("w%d", i+1)
		data := filepath.Join(r.dir, name)
		if err := os.MkdirAll(data, 0o700); err != nil {
			return err
		}
		if i == 2 {
			r.mount(data)
		}
		if err := r.add(name, roleWorker, baton("worker", "--registry", registry, "--data", data, "--name", name, "--slots", "16")); err != nil {
			return err
		}
	}
	if err := r.buildLocks(); err != nil {
		return err
	}
	return r.startAll(ctx)
}

// mount puts a small file system below a folder, where the machine allows it.
func (r *run) mount(dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m,mode=0700"); err != nil {
		r.log("no disk can be made full here: %v", err)
		return
	}
	r.tmpfs = dir
}

func (r *run) buildStore() error {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return errors.New("there are no PostgreSQL binaries; run `make deps` (apt-get install postgresql)")
	}
	bin := found[len(found)-1]
	dir := filepath.Join(r.dir, "pg")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	attr := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		who, err := credential("postgres")
		if err != nil {
			return err
		}
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
		attr = func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Credential: who} }
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr, initdb.Dir, initdb.Env = attr(), dir, environment()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	hba, err := os.OpenFile(filepath.Join(data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(hba, "host all all 10.77.0.0/24 trust\n")
	if err := errors.Join(err, hba.Close()); err != nil {
		return err
	}
	if err := r.add("pg", roleStore, nil); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(r.net.listen("pg"))
	r.node("pg").command = func() *exec.Cmd {
		c := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-h", host, "-p", port,
			"-c", "shared_buffers=64MB", "-c", "max_connections=300", "-c", "log_min_messages=warning", "-c", "log_line_prefix=%m [%p] %a ")
		c.SysProcAttr, c.Dir = attr(), dir
		return c
	}
	return nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (r *run) buildRegistry() error {
	if r.opt.Registry == registrySQL {
		return nil
	}
	if err := r.add("reg", roleRegistry, nil); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "reg")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	listen := r.net.listen("reg")
	host, port, _ := net.SplitHostPort(listen)
	n := r.node("reg")
	switch r.opt.Registry {
	case registryEtcd:
		peers, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free where there is one network only
		if err != nil {
			return err
		}
		peer := "http://" + peers.Addr().String()
		if err := peers.Close(); err != nil {
			return err
		}
		n.command = func() *exec.Cmd {
			return exec.Command("etcd", "--name", "one", "--data-dir", filepath.Join(dir, "data"),
				"--listen-client-urls", "http://"+listen, "--advertise-client-urls", "http://"+r.net.address("reg"),
				"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "one="+peer,
				"--heartbeat-interval", "50", "--election-timeout", "500")
		}
	case registryZooKeeper:
		config := filepath.Join(dir, "zoo.cfg")
		text := fmt.Sprintf("tickTime=250\ndataDir=%s\nclientPort=%s\nclientPortAddress=%s\nmaxSessionTimeout=60000\nadmin.enableServer=false\n4lw.commands.whitelist=*\n", filepath.Join(dir, "data"), port, host)
		logging := "log4j.rootLogger=WARN, O\nlog4j.appender.O=org.apache.log4j.ConsoleAppender\nlog4j.appender.O.layout=org.apache.log4j.SimpleLayout\n"
		for name, text := range map[string]string{config: text, filepath.Join(dir, "log4j.properties"): logging} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				return err
			}
		}
		n.command = func() *exec.Cmd {
			return exec.Command("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", dir+":/usr/share/java/zookeeper.jar",
				"org.apache.zookeeper.server.ZooKeeperServerMain", config)
		}
	default:
		return fmt.Errorf("registry %q is none of sql, etcd, zookeeper", r.opt.Registry)
	}
	return nil
}

// startAll starts what stands before what needs it.
func (r *run) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := r.node("pg").start(); err != nil {
		return err
	}
	var err error
	if r.store, err = pgx.ParseConfig(r.dsn()); err != nil {
		return err
	}
	r.store.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return r.net.dial(ctx, r.net.address("pg")) }
	if !poll(ctx, 20*time.Millisecond, func() bool { return r.storeAnswers(ctx) }) {
		return fmt.Errorf("PostgreSQL does not answer\n%s", tail(r.node("pg").logFile()))
	}
	if reg := r.role(roleRegistry); len(reg) > 0 {
		if err := reg[0].start(); err != nil {
			return err
		}
		if !poll(ctx, 20*time.Millisecond, func() bool { return r.registryAnswers(ctx) }) {
			return fmt.Errorf("the registry does not answer\n%s", tail(reg[0].logFile()))
		}
	}
	for _, role := range []string{roleMaster, roleAPI, roleWorker, roleLock} {
		for _, n := range r.role(role) {
			if err := n.start(); err != nil {
				return err
			}
		}
		if role == roleMaster { // the first to come makes the schema
			if !poll(ctx, 50*time.Millisecond, func() bool {
				return r.count(ctx, "SELECT count(*) FROM node WHERE role = 'master' AND state = 'ready'") == 3
			}) {
				return fmt.Errorf("the masters are not ready\n%s", tail(r.node("m1").logFile()))
			}
		}
	}
	if said, err := query[string](ctx, r, "SELECT value FROM setting WHERE key = 'lease'"); err != nil || len(said) != 1 || said[0] != r.opt.Lease.String() {
		return fmt.Errorf("the lease of the cluster is %v, not %s: %w", said, r.opt.Lease, err)
	}
	token, err := r.baton(ctx, "admin", "token", "create", "--store", r.dsn())
	if err != nil {
		return err
	}
	var urls []string
	for _, a := range r.role(roleAPI) {
		urls = append(urls, "http://"+r.net.address(a.name))
	}
	r.client = newClient(urls, token, r.net.dial)
	if !poll(ctx, 50*time.Millisecond, func() bool { return r.client.workers(ctx) == 3 }) {
		return errors.New("the workers are not ready\n" + tail(r.node("w1").logFile()))
	}
	return nil
}

// baton runs a command from outside and returns what it prints.
func (r *run) baton(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, r.opt.Binary, args...)
	var out, said bytes.Buffer
	c.Env, c.Stdout, c.Stderr = environment(), &out, &said
	p, err := start(c, r.net.enter(outside))
	if err != nil {
		return "", err
	}
	if <-p.done; p.err != nil {
		return "", fmt.Errorf("baton %s: %w: %s", strings.Join(args, " "), p.err, said.String())
	}
	return strings.TrimSpace(out.String()), nil
}

func (r *run) storeAnswers(ctx context.Context) bool { return r.count(ctx, "SELECT 1") == 1 }

func (r *run) registryAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := r.net.dial(ctx, r.net.address("reg"))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// query asks the store directly, past Baton.
func query[T any](ctx context.Context, r *run, text string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, r.store)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// count asks the store for a number, -1 when it does not answer.
func (r *run) count(ctx context.Context, text string, args ...any) int {
	got, err := query[int](ctx, r, text, args...)
	if err != nil || len(got) != 1 {
		return -1
	}
	return got[0]
}

// close ends everything that the run started, and takes away what it made.
func (r *run) close() error {
	var errs []error
	for _, n := range r.nodes {
		n.thaw()
		errs = append(errs, n.die())
		signalAll(n.pids(), syscall.SIGKILL)
	}
	r.removeCgroups()
	if r.tmpfs != "" {
		errs = append(errs, syscall.Unmount(r.tmpfs, syscall.MNT_DETACH))
	}
	return errors.Join(append(errs, r.net.close())...)
}

// cgroup is where a supervisor says that its tasks' groups are.
var cgroup = regexp.MustCompile(`"folder":"(/sys/fs/cgroup/[^"]*/baton-[^"/]+)"`)

// removeCgroups takes away the groups of workers that were not there to do it. What is not empty is
// somebody's, and stays.
func (r *run) removeCgroups() {
	for _, n := range r.role(roleWorker) {
		said, _ := os.ReadFile(n.logFile())
		for _, found := range cgroup.FindAllSubmatch(said, -1) {
			below, _ := filepath.Glob(filepath.Join(string(found[1]), "*", "cgroup.procs"))
			for _, procs := range below {
				_ = syscall.Rmdir(filepath.Dir(procs))
			}
			_ = syscall.Rmdir(string(found[1]))
		}
	}
}

// tail is the end of a file, for a message.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4<<10):])
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
