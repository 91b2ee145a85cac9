// A cluster: a process for each role, on one PostgreSQL, with default settings.

package product

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"baton/bench/internal/limit"
	"baton/bench/internal/proc"
)

// Cluster is masters, workers and one api, which the embedded Server speaks to.
type Cluster struct {
	*Server
	Masters, Workers []*Node

	binary, dir, store string
}

// Node is a process of a cluster, and after its end the one that was started in its place.
type Node struct {
	Name    string
	Admin   string // of health
	args    []string
	process *proc.Proc
}

// PID is the process's.
func (n *Node) PID() int { return n.process.PID }

// StartCluster starts a cluster on an empty database; databases are the roots of its processes.
func StartCluster(ctx context.Context, binary, dir, store string, masters, workers int, databases ...int) (c *Cluster, err error) {
	c = &Cluster{binary: binary, dir: dir, store: store}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if _, err := c.command(ctx, "migrate", "up"); err != nil {
		return c, err
	}
	token, err := c.command(ctx, "admin", "token", "create")
	if err != nil {
		return c, err
	}
	var seeds []string
	for i := range masters {
		address, err := freeAddress()
		if err != nil {
			return c, err
		}
		seeds = append(seeds, address)
		n := &Node{Name: fmt.Sprintf("m%d", i+1), args: []string{"master", "--store", store, "--rpc-listen", address, "--advertise", address}}
		c.Masters = append(c.Masters, n)
		if err := c.Start(ctx, n); err != nil {
			return c, err
		}
	}
	for i := range workers {
		n := &Node{Name: fmt.Sprintf("w%d", i+1)}
		n.args = []string{"worker", "--registry", "master://" + strings.Join(seeds, ","), "--data", filepath.Join(dir, n.Name)}
		c.Workers = append(c.Workers, n)
		if err := c.Start(ctx, n); err != nil {
			return c, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return c, err
	}
	api := &Node{Name: "a1", args: []string{"api", "--store", store, "--listen", address}}
	if err := c.Start(ctx, api); err != nil {
		return c, err
	}
	c.Server = &Server{
		PID: api.PID(), URL: "http://" + address, Admin: api.Admin, token: strings.TrimSpace(token), process: api.process, databases: databases,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}},
	}
	for _, n := range append(c.Masters, c.Workers...) {
		c.Server.others = append(c.Server.others, n.PID())
	}
	if c.Server.Rows, err = openRows("", store); err != nil {
		return c, err
	}
	return c, nil
}

func freeAddress() (string, error) {
	port, err := proc.FreePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// command runs one beside the store.
func (c *Cluster) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.binary, append(args, "--store", c.store)...)
	cmd.Dir = c.dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("baton %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// Start starts a node, again if it was one, and returns when it is ready.
func (c *Cluster) Start(ctx context.Context, n *Node) error {
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	n.Admin = "http://" + admin
	n.process, err = proc.Start(proc.Spec{Name: n.Name, Dir: c.dir, Path: c.binary, Args: append(n.args, "--name", n.Name, "--admin-listen", admin)})
	if err != nil {
		return err
	}
	return n.process.Until(ctx, time.Minute, time.Millisecond, n.ready)
}

// Kill ends the process at once.
func (n *Node) Kill() { n.process.Stop(syscall.SIGKILL, time.Minute) }

func (n *Node) ready(ctx context.Context) error { return limit.Answers(ctx, n.Admin+"/readyz") }

// Stop ends all nodes as an operator does: the workers first.
func (c *Cluster) Stop() {
	for _, n := range append(append([]*Node{}, c.Workers...), c.Masters...) {
		n.process.Stop(syscall.SIGTERM, 30*time.Second)
	}
	c.Server.Stop()
}

// incarnation is the number of a node that is alive.
func (c *Cluster) incarnation(ctx context.Context, name string) (id string, err error) {
	var page struct {
		Items []struct{ ID, Name, State string }
	}
	if err := c.get(ctx, "/nodes", &page); err != nil {
		return "", err
	}
	for _, n := range page.Items {
		if n.Name == name && n.State != "lost" {
			id = max(id, n.ID)
		}
	}
	if id == "" {
		return "", fmt.Errorf("no node %s in the list", name)
	}
	return id, nil
}
