// Package servers runs real registries for tests, from the programs of the system: each test has
// its own, on a free port of the loopback and in a folder of its own, and may stop, kill and start
// it again.
//
// It must not know what is tested.
package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"baton/internal/registry/registrytest"
)

// Process is a server. It is ready when its port answers.
type Process struct {
	address string
	data    string
	command func() *exec.Cmd
	ready   func(ctx context.Context, address string) error
	log     string
	cmd     *exec.Cmd
	ended   chan struct{}
}

const remedy = "run `make deps` (apt-get install etcd-server zookeeper)"

// Address is where clients find it.
func (p *Process) Address() string { return p.address }

// Start starts it and returns when it is ready.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = p.command()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.ended = make(chan struct{})
	begun := make(chan error)
	cmd, ended := p.cmd, p.ended
	go func() {
		runtime.LockOSThread() // it is told to die with the thread that starts it
		err := cmd.Start()
		begun <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-begun; err != nil {
		t.Fatalf("%v; %s", err, remedy)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.ready(ctx, p.address)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
			continue
		case <-ended:
		case <-ctx.Done():
		}
		said, _ := os.ReadFile(p.log)
		t.Fatalf("%s is not ready: %v; %s\n%s", cmd.Path, err, remedy, said)
	}
}

// Wipe removes its data; it is not running.
func (p *Process) Wipe(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(p.data); err != nil {
		t.Fatal(err)
	}
}

// Kill ends it at once.
func (p *Process) Kill(t testing.TB) { t.Helper(); p.end(t, syscall.SIGKILL) }

// Stop ends it in order.
func (p *Process) Stop(t testing.TB) { t.Helper(); p.end(t, syscall.SIGTERM) }

func (p *Process) end(t testing.TB, s syscall.Signal) {
	t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("end %s: %v", p.cmd.Path, err)
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Errorf("%s does not end", p.cmd.Path)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func start(t testing.TB, p *Process) *Process {
	t.Helper()
	p.Start(t)
	t.Cleanup(func() { p.Kill(t) })
	return p
}

func answers(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Etcd starts a server of one. Its shortest lease is one second. arguments are added.
func Etcd(t testing.TB, arguments ...string) *Process {
	t.Helper()
	return etcd(t, "http", arguments)
}

// EtcdTLS starts a server of one that encrypts with a certificate, from files.
func EtcdTLS(t testing.TB, cert, key string) *Process {
	t.Helper()
	return etcd(t, "https", []string{"--cert-file", cert, "--key-file", key})
}

func etcd(t testing.TB, scheme string, arguments []string) *Process {
	t.Helper()
	dir := t.TempDir()
	clients, peers := at(registrytest.FreePort(t)), at(registrytest.FreePort(t))
	return start(t, &Process{
		address: clients, data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), ready: answers,
		command: func() *exec.Cmd {
			return exec.Command("etcd", append([]string{
				"--name", "one", "--data-dir", filepath.Join(dir, "data"),
				"--listen-client-urls", scheme + "://" + clients, "--advertise-client-urls", scheme + "://" + clients,
				"--listen-peer-urls", "http://" + peers, "--initial-advertise-peer-urls", "http://" + peers, "--initial-cluster", "one=http://" + peers,
				"--heartbeat-interval", "50", "--election-timeout", "500",
			}, arguments...)...)
		},
	})
}

// ZooKeeper starts a server of one. Its shortest session is half a second.
func ZooKeeper(t testing.TB) *Process {
	t.Helper()
	dir := t.TempDir()
	port := registrytest.FreePort(t)
	config := filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=250\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\nforceSync=no\n", filepath.Join(dir, "data"), port)
	logging := "log4j.rootLogger=WARN, O\nlog4j.appender.O=org.apache.log4j.ConsoleAppender\nlog4j.appender.O.layout=org.apache.log4j.SimpleLayout\n"
	for name, text := range map[string]string{config: text, filepath.Join(dir, "log4j.properties"): logging} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, &Process{
		address: at(port), data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), ready: ruok,
		command: func() *exec.Cmd {
			return exec.Command("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", dir+":/usr/share/java/zookeeper.jar",
				"org.apache.zookeeper.server.ZooKeeperServerMain", config)
		},
	})
}

// ruok asks a ZooKeeper server whether it serves.
func ruok(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("srvr")); err != nil {
		return err
	}
	var answer [512]byte
	n, err := c.Read(answer[:])
	if err != nil {
		return err
	}
	if said := string(answer[:n]); len(said) < 9 || said[:9] != "Zookeeper" {
		return fmt.Errorf("it says %q", said)
	}
	return nil
}
