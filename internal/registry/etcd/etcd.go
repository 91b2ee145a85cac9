// Package etcd is the registry in an etcd cluster: every member and every name is a key on a
// lease, the fencing number is the revision that created the key, and a watch hears of changes.
//
// It must not know what is announced, nor decide when: package client does.
package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"baton/internal/registry"
	"baton/internal/registry/client"
)

// backend is one etcd cluster, below a prefix.
type backend struct {
	config clientv3.Config
	prefix string
	log    *slog.Logger

	mu   sync.Mutex
	etcd *clientv3.Client // made when it is needed first: with a password making it takes a server
	beat chan struct{}    // closed and replaced whenever the watch is heard of
	past int64            // greatest revision seen
	lost func(error)      // ends it
}

// Open returns a client of the registry at etcd://user:password@host:port,host:port/prefix. Options are
// tls=true, ca, cert, key (files) and server-name. It asks nothing of the servers: Announce tells
// whether they can be used.
func Open(_ context.Context, url string, log *slog.Logger) (registry.Registry, error) {
	a, err := client.ParseAddress(url, "etcd", "2379", client.TLSOptions...)
	if err != nil {
		return nil, err
	}
	tls, err := a.TLS()
	if err != nil {
		return nil, err
	}
	b := &backend{log: log, prefix: cmp.Or(a.Path, "/baton"), beat: make(chan struct{}), config: clientv3.Config{
		Endpoints: a.Hosts, Username: a.User, Password: a.Password, TLS: tls, Logger: zap.NewNop(),
		DialTimeout: 3 * time.Second, RejectOldCluster: false,
		// A connection that is dead without a word is found out. Servers refuse to be asked more often
		// than every 5 s; probes and renewals notice it sooner.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
	}}
	return client.New(b, log), nil
}

var errBack = fmt.Errorf("the history of etcd has gone back: %w", client.ErrForgot)

func (b *backend) members() string         { return b.prefix + "/members/" }
func (b *backend) member(id int64) string  { return b.members() + strconv.FormatInt(id, 10) }
func (b *backend) name(name string) string { return b.prefix + "/leases/" + name }
func leader(ctx context.Context) context.Context {
	// Without it a server that lost the others goes on as if nothing happened, silently.
	return clientv3.WithRequireLeader(ctx)
}

func (b *backend) client(ctx context.Context) (*clientv3.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.etcd != nil {
		return b.etcd, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := clientv3.New(b.config)
	if err != nil {
		return nil, explain(fmt.Errorf("connect to etcd: %w", err))
	}
	b.etcd = c
	return c, nil
}

// explain tells what stays an error, and when the lease is over.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return client.ErrOver
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrUserNotFound):
		return client.Refused("etcd refuses the user or the password of `registry`; check etcd://user:password@…", err)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return client.Refused("the user of `registry` may not write below its prefix; grant it readwrite with etcdctl role grant-permission", err)
	}
	return err
}

// Open implements client.Backend.
func (b *backend) Open(ctx context.Context, length time.Duration) (client.Session, time.Duration, error) {
	c, err := b.client(ctx)
	if err != nil {
		return nil, 0, err
	}
	// etcd counts in seconds, and has a least number of them.
	l, err := c.Grant(ctx, int64((length+time.Second-1)/time.Second))
	if err != nil {
		return nil, 0, explain(fmt.Errorf("grant a lease: %w", err))
	}
	return &session{b, c, l.ID}, time.Duration(l.TTL) * time.Second, nil
}

// Watch implements client.Backend.
func (b *backend) Watch(ctx context.Context, tell func([]registry.Member)) error {
	c, err := b.client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(leader(ctx))
	defer cancel(nil)
	now, err := c.Get(ctx, b.members(), clientv3.WithPrefix())
	if err != nil {
		return explain(fmt.Errorf("read the members: %w", err))
	}
	members := map[string]registry.Member{}
	show := func() {
		tell(slices.SortedFunc(maps.Values(members), func(a, b registry.Member) int { return cmp.Compare(a.Incarnation, b.Incarnation) }))
	}
	for _, kv := range now.Kvs {
		b.put(ctx, members, string(kv.Key), kv.Value)
	}
	// Whatever the watch says, also that it was compacted away or cancelled, it says here.
	changes := c.Watch(ctx, b.members(), clientv3.WithPrefix(), clientv3.WithRev(now.Header.Revision+1))
	b.mu.Lock()
	forgot := now.Header.Revision < b.past
	b.past, b.lost = now.Header.Revision, cancel
	b.mu.Unlock()
	if forgot {
		return errBack // once; the next watch begins from here
	}
	show()
	for r := range changes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.Err(); err != nil {
			return explain(fmt.Errorf("watch the members: %w", err))
		}
		b.heard(r.Header.Revision)
		for _, e := range r.Events {
			if key := string(e.Kv.Key); e.Type == clientv3.EventTypeDelete {
				delete(members, key)
			} else {
				b.put(ctx, members, key, e.Kv.Value)
			}
		}
		if len(r.Events) > 0 {
			show()
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New("etcd ended the watch")
}

// put notes a member. What is no member is left alone: the prefix may be shared.
func (b *backend) put(ctx context.Context, members map[string]registry.Member, key string, value []byte) {
	var m registry.Member
	if err := json.Unmarshal(value, &m); err != nil || strings.TrimPrefix(key, b.members()) != strconv.FormatInt(m.Incarnation, 10) {
		b.log.LogAttrs(ctx, slog.LevelWarn, "a key in the registry is no member", slog.String("key", key), slog.Any("error", err))
		return
	}
	members[key] = m
}

func (b *backend) heard(revision int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past = max(b.past, revision)
	close(b.beat)
	b.beat = make(chan struct{})
}

// Probe implements client.Backend: a read that takes a majority, and a word over the watch itself,
// which may be on another connection.
func (b *backend) Probe(ctx context.Context) error {
	c, err := b.client(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	beat, past, lost := b.beat, b.past, b.lost
	b.mu.Unlock()
	r, err := c.Get(ctx, b.members(), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return explain(err)
	}
	if r.Header.Revision < past && lost != nil {
		// Restored from a backup, or empty: the watch waits for a revision that is far away.
		lost(errBack)
		return errBack
	}
	if err := c.RequestProgress(leader(ctx)); err != nil {
		return explain(err)
	}
	select {
	case <-beat:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the watch is silent: %w", ctx.Err())
	}
}

// Close implements client.Backend.
func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.etcd == nil {
		return nil
	}
	if err := b.etcd.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the connection to etcd: %w", err)
	}
	return nil
}
