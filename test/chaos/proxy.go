// The network as proxies on the loopback, for machines that allow no namespaces: one before each
// server. Who calls is found out by the process that has the other end of the connection. What is
// cut is held back, as TCP would send it again after the cut.

package chaos

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

type proxies struct {
	mu      sync.Mutex
	servers map[string]*proxy
	cuts    map[[2]string]bool
	healed  chan struct{} // closed and replaced when cuts change
	ended   sync.WaitGroup
}

type proxy struct {
	name, front, back string
	listener          net.Listener
}

func newProxies() (*proxies, error) {
	return &proxies{servers: map[string]*proxy{}, cuts: map[[2]string]bool{}, healed: make(chan struct{})}, nil
}

func (n *proxies) kind() string               { return "proxies on the loopback" }
func (n *proxies) listen(name string) string  { return n.servers[name].back }
func (n *proxies) address(name string) string { return n.servers[name].front }
func (n *proxies) enter(string) func() error  { return func() error { return nil } }

func (n *proxies) add(name string) error {
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, back.Close())
	}
	p := &proxy{name: name, front: front.Addr().String(), back: back.Addr().String(), listener: front}
	n.servers[name] = p
	n.ended.Go(func() { n.accept(p) })
	return back.Close()
}

func (n *proxies) dial(ctx context.Context, address string) (net.Conn, error) {
	for _, p := range n.servers {
		if p.front == address {
			address = p.back // from outside, past the proxy
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (n *proxies) accept(p *proxy) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			from := caller(c)
			s, err := net.Dial("tcp", p.back)
			if err != nil {
				return
			}
			defer s.Close()
			go n.copy(c, s, p.name, from)
			n.copy(s, c, from, p.name)
		}()
	}
}

// copy ends both sides when one ends.
func (n *proxies) copy(dst io.WriteCloser, src io.ReadCloser, from, to string) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 32<<10)
	for {
		read, err := src.Read(buf)
		n.pass(from, to)
		if read > 0 {
			if _, err := dst.Write(buf[:read]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until bytes may pass.
func (n *proxies) pass(from, to string) {
	for {
		n.mu.Lock()
		cut, healed := n.cuts[[2]string{from, to}], n.healed
		n.mu.Unlock()
		if !cut {
			return
		}
		<-healed
	}
}

func (n *proxies) cut(from, to string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[[2]string{from, to}] = true
	return nil
}

func (n *proxies) heal() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cuts)
	close(n.healed)
	n.healed = make(chan struct{})
	return nil
}

func (n *proxies) close() error {
	errs := []error{n.heal()}
	for _, p := range n.servers {
		errs = append(errs, p.listener.Close())
	}
	n.ended.Wait()
	return errors.Join(errs...)
}

// caller is the node whose process is at the other end of a connection, or outside.
func caller(c net.Conn) string {
	inode, err := inodeOf(c.RemoteAddr().(*net.TCPAddr), c.LocalAddr().(*net.TCPAddr))
	if err != nil {
		return outside
	}
	link := "socket:[" + inode + "]"
	all, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, path := range all {
		if to, err := os.Readlink(path); err != nil || to != link {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if name := nodeOf(pid); name != "" {
			return name
		}
	}
	return outside
}

// nodeOf names the node of a process.
func nodeOf(pid int) string {
	_, name, _ := strings.Cut(variable(pid, markVar), "/")
	return name
}

// inodeOf finds a socket in the table of the kernel.
func inodeOf(local, remote *net.TCPAddr) (string, error) {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	defer f.Close()
	a, b := inHex(local), inHex(remote)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && fields[1] == a && fields[2] == b {
			return fields[9], nil
		}
	}
	return "", fmt.Errorf("no socket from %s to %s", local, remote)
}

func inHex(a *net.TCPAddr) string {
	ip := a.IP.To4()
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})), a.Port)
}
