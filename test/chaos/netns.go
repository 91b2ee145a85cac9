// The network as namespaces: each node has an own one, with one link to a switch that is in a
// namespace too. Nothing leads out of it: there is no default route and no link to this machine.

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	prefix = "baton-chaos-" // and the process that made it
	nsPort = 7077
)

type namespaces struct {
	prefix string
	nodes  []string // by number; .1 is the first
	cuts   [][2]int
}

// newNamespaces makes the switch, or tells why this machine does not allow it.
func newNamespaces() (*namespaces, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	n := &namespaces{prefix: prefix + strconv.Itoa(os.Getpid()) + "-"}
	if err := n.ip("netns", "add", n.ns("switch")); err != nil {
		return nil, err
	}
	err := errors.Join(n.ip("-n", n.ns("switch"), "link", "add", "name", "switch", "type", "bridge"), n.ip("-n", n.ns("switch"), "link", "set", "dev", "switch", "up"), n.add(outside))
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// sweep takes away what tests left that were killed: their namespaces and file systems. Their
// processes ended with them, and their folders may be wanted.
func sweep() {
	dead := func(name string) bool {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), prefix), "-")
		n, err := strconv.Atoi(pid)
		return err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
	}
	left, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, path := range left {
		if dead(path) {
			_ = exec.Command("ip", "netns", "del", filepath.Base(path)).Run() // another sweep may be faster
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		at := strings.Fields(line)[1]
		if dir := filepath.Dir(at); strings.HasPrefix(filepath.Base(dir), prefix) && dead(dir) {
			_ = syscall.Unmount(at, syscall.MNT_DETACH)
		}
	}
}

func (n *namespaces) kind() string            { return "network namespaces" }
func (n *namespaces) ns(name string) string   { return n.prefix + name }
func (n *namespaces) ip(args ...string) error { return n.batch("", args...) }

func (n *namespaces) batch(input string, args ...string) error {
	c := exec.Command("ip", args...)
	c.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return nil
}

func (n *namespaces) number(name string) int {
	for i, other := range n.nodes {
		if other == name {
			return i + 1
		}
	}
	panic("no node " + name)
}

func host(number int) string { return fmt.Sprintf("10.77.0.%d", number) }
func mac(number int) string  { return fmt.Sprintf("02:77:00:00:00:%02x", number) }

func (n *namespaces) add(name string) error {
	n.nodes = append(n.nodes, name)
	i := len(n.nodes)
	port := fmt.Sprintf("p%d", i)
	ns, sw := n.ns(name), n.ns("switch")
	for _, args := range [][]string{
		{"netns", "add", ns},
		{"-n", sw, "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", ns},
		{"-n", sw, "link", "set", "dev", port, "master", "switch", "up"},
		{"-n", ns, "link", "set", "dev", "lo", "up"},
		{"-n", ns, "link", "set", "dev", "eth0", "address", mac(i)},
		{"-n", ns, "addr", "add", host(i) + "/24", "dev", "eth0"},
		{"-n", ns, "link", "set", "dev", "eth0", "up"},
	} {
		if err := n.ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func (n *namespaces) listen(name string) string { return n.address(name) }
func (n *namespaces) address(name string) string {
	return net.JoinHostPort(host(n.number(name)), strconv.Itoa(nsPort))
}

func (n *namespaces) enter(name string) func() error {
	return func() error {
		fd, err := unix.Open("/run/netns/"+n.ns(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("namespace of %s: %w", name, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace of %s: %w", name, err)
		}
		return nil
	}
}

// dial makes the connection on a thread of its own, which ends with it: a socket stays where it was made.
func (n *namespaces) dial(ctx context.Context, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	got := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		if err := n.enter(outside)(); err != nil {
			got <- result{nil, err}
			return
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		got <- result{c, err}
	}()
	r := <-got
	return r.conn, r.err
}

// cut tells from a wrong hardware address for to: what it sends is delivered to nobody, and no error
// comes back, as from a cable that was pulled somewhere.
func (n *namespaces) cut(from, to string) error {
	i, j := n.number(from), n.number(to)
	n.cuts = append(n.cuts, [2]int{i, j})
	return n.ip("-n", n.ns(from), "neigh", "replace", host(j), "lladdr", "02:77:ff:ff:ff:ff", "dev", "eth0", "nud", "permanent")
}

func (n *namespaces) heal() error {
	var errs []error
	for _, c := range n.cuts {
		errs = append(errs, n.ip("-n", n.ns(n.nodes[c[0]-1]), "neigh", "replace", host(c[1]), "lladdr", mac(c[1]), "dev", "eth0", "nud", "reachable"))
	}
	n.cuts = nil
	return errors.Join(errs...)
}

func (n *namespaces) close() error {
	var errs []error
	for _, name := range n.nodes {
		errs = append(errs, n.ip("netns", "del", n.ns(name)))
	}
	return errors.Join(append(errs, n.ip("netns", "del", n.ns("switch")))...)
}
