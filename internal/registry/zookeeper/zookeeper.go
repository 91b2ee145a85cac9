// Package zookeeper is the registry in a ZooKeeper ensemble: every member is an ephemeral node,
// every name a queue of sequential ephemeral nodes whose first is the holder, and the fencing
// number is the transaction that made its node.
//
// It must not know what is announced, nor decide when: package client does.
package zookeeper

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/client"
)

type backend struct {
	hosts []string
	auth  []byte // user:password
	root  string
	acl   []zk.ACL
	tls   *tls.Config
	log   *slog.Logger

	mu    sync.Mutex
	watch *conn    // of the watch under way
	made  [2]int64 // when the folder of the members was made, 0 if it was not seen yet
}

// Open returns a client of the registry at zookeeper://user:password@host:port,host:port/root. With a user
// its nodes are the user's alone. Options are tls=true, ca, cert, key (files) and server-name. It
// asks nothing of the servers: Announce tells whether they can be used.
func Open(_ context.Context, address string, log *slog.Logger) (registry.Registry, error) {
	a, err := client.ParseAddress(address, "zookeeper", "2181", client.TLSOptions...)
	if err != nil {
		return nil, err
	}
	b := &backend{hosts: a.Hosts, root: cmp.Or(a.Path, "/baton"), acl: zk.WorldACL(zk.PermAll), log: log}
	if path.Clean(b.root) != b.root {
		return nil, flow.Errorf(flow.CodeBadRequest, "registry", "the registry's address is not valid: %s is no path of a node; write it without dots and double slashes", b.root)
	}
	if b.tls, err = a.TLS(); err != nil {
		return nil, err
	}
	if a.User != "" {
		b.auth, b.acl = []byte(a.User+":"+a.Password), zk.AuthACL(zk.PermAll)
	}
	return client.New(b, log), nil
}

func (b *backend) members() string { return b.root + "/members" }
func (b *backend) member(id int64) string {
	return b.members() + "/" + strconv.FormatInt(id, 10)
}

// name is the folder of a name's queue. An equals sign keeps it from being a dot or two.
func (b *backend) name(name string) string { return b.root + "/leases/=" + url.PathEscape(name) }

// explain tells what stays an error.
func explain(err error) error {
	switch {
	case errors.Is(err, zk.ErrNoAuth):
		return client.Refused("ZooKeeper refuses the user of `registry`, or its nodes belong to another; check zookeeper://user:password@… and the ACL of its root", err)
	case errors.Is(err, zk.ErrAuthFailed):
		return client.Refused("ZooKeeper refuses the user or the password of `registry`", err)
	}
	return err
}

// mkdir makes a node and those above it.
func (b *backend) mkdir(ctx context.Context, c *conn, dir string) error {
	// Asked first: making what is there takes permissions that making nothing does not.
	there, err := call(ctx, c, func(z *zk.Conn) (bool, error) { ok, _, err := z.Exists(dir); return ok, err })
	if err != nil || there {
		return err
	}
	if above := path.Dir(dir); above != "/" {
		if err := b.mkdir(ctx, c, above); err != nil {
			return err
		}
	}
	_, err = call(ctx, c, func(z *zk.Conn) (string, error) { return z.Create(dir, nil, 0, b.acl) })
	if errors.Is(err, zk.ErrNodeExists) {
		return nil
	}
	return err
}

// Open implements client.Backend.
func (b *backend) Open(ctx context.Context, length time.Duration) (client.Session, time.Duration, error) {
	c, granted, err := b.connect(ctx, length, false)
	if err != nil {
		return nil, 0, fmt.Errorf("connect to ZooKeeper: %w", explain(err))
	}
	for _, dir := range []string{b.members(), b.root + "/leases"} {
		if err := b.mkdir(ctx, c, dir); err != nil {
			c.close()
			return nil, 0, fmt.Errorf("make %s: %w", dir, explain(err))
		}
	}
	return &session{b, c}, granted, nil
}

// Watch implements client.Backend. Every watch has a connection of its own, and ends with it: one
// that is made again has missed something.
func (b *backend) Watch(ctx context.Context, tell func([]registry.Member)) error {
	c, err := b.watching(ctx)
	if err != nil {
		return fmt.Errorf("connect to ZooKeeper: %w", explain(err))
	}
	defer c.close()
	if err := b.mkdir(ctx, c, b.members()); err != nil {
		return fmt.Errorf("make %s: %w", b.members(), explain(err))
	}
	b.mu.Lock()
	b.watch = c
	b.mu.Unlock()
	r := &reading{backend: b, conn: c, members: map[string]registry.Member{}, changed: map[string]bool{b.members(): true}}
	for {
		if err := r.read(ctx); err != nil {
			return fmt.Errorf("read the members: %w", explain(err))
		}
		tell(slices.SortedFunc(maps.Values(r.members), func(a, b registry.Member) int { return cmp.Compare(a.Incarnation, b.Incarnation) }))
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// reading is what a watch has read. ZooKeeper tells of one change of a node that was read; then it
// is read again.
type reading struct {
	*backend
	conn    *conn
	members map[string]registry.Member // by the name of their node
	changed map[string]bool            // paths to read
}

// wait returns when something has changed.
func (r *reading) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.conn.lost:
		return errLost
	case <-r.conn.news:
		for _, p := range r.conn.take() {
			r.changed[p] = true
		}
		return nil
	}
}

// read reads what has changed and asks to be told of the next change of it.
func (r *reading) read(ctx context.Context) error {
	if r.changed[r.backend.members()] {
		var made [2]int64
		names, err := call(ctx, r.conn, func(z *zk.Conn) ([]string, error) {
			names, stat, _, err := z.ChildrenW(r.backend.members())
			if err == nil {
				made = [2]int64{stat.Czxid, stat.Ctime}
			}
			return names, err
		})
		if err != nil {
			return err
		}
		if r.another(made) {
			return fmt.Errorf("the members of ZooKeeper were made anew: %w", client.ErrForgot)
		}
		there := map[string]bool{}
		for _, name := range names {
			there[name] = true
			if _, known := r.members[name]; !known {
				r.changed[r.backend.members()+"/"+name] = true
			}
		}
		maps.DeleteFunc(r.members, func(name string, _ registry.Member) bool { return !there[name] })
		delete(r.changed, r.backend.members())
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for node := range r.changed {
		g.Go(func() error {
			raw, err := call(ctx, r.conn, func(z *zk.Conn) ([]byte, error) { raw, _, _, err := z.GetW(node); return raw, err })
			if errors.Is(err, zk.ErrNoNode) {
				raw, err = nil, nil
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				r.put(ctx, path.Base(node), raw)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	clear(r.changed)
	return nil
}

// another tells, once, whether the folder of the members is another than before.
func (b *backend) another(made [2]int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.made
	b.made = made
	return was != made && was != [2]int64{}
}

// put notes a member. What is no member is left alone: the root may be shared.
func (r *reading) put(ctx context.Context, name string, raw []byte) {
	delete(r.members, name)
	if raw == nil {
		return
	}
	var m registry.Member
	if err := json.Unmarshal(raw, &m); err != nil || name != strconv.FormatInt(m.Incarnation, 10) {
		r.log.LogAttrs(ctx, slog.LevelWarn, "a node in the registry is no member", slog.String("node", name), slog.Any("error", err))
		return
	}
	r.members[name] = m
}

// Probe implements client.Backend: it passes the leader and comes back on the connection of the
// watch, behind everything that the watch has to tell.
func (b *backend) Probe(ctx context.Context) error {
	b.mu.Lock()
	c := b.watch
	b.mu.Unlock()
	if c == nil {
		return errors.New("there is no watch")
	}
	_, err := call(ctx, c, func(z *zk.Conn) (string, error) { return z.Sync(b.root) })
	return err
}

// Close implements client.Backend.
func (b *backend) Close() error { return nil }
