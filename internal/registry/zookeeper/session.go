// A session of ZooKeeper and the nodes that end with it.

package zookeeper

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"baton/internal/registry"
	"baton/internal/registry/client"
)

type session struct {
	*backend
	conn *conn
}

// Sync implements client.Session. Whatever is asked renews the session; without anything to say it
// is a word to the leader.
func (s *session) Sync(ctx context.Context, n client.News) error {
	err := s.say(ctx, n)
	if s.conn.over() || errors.Is(err, zk.ErrSessionExpired) {
		return client.ErrOver // also if it was answered: by a session that nobody knows of
	}
	return explain(err)
}

func (s *session) say(ctx context.Context, n client.News) error {
	for _, m := range n.Put {
		if err := s.put(ctx, m); err != nil {
			return fmt.Errorf("write a member: %w", err)
		}
	}
	for _, incarnation := range n.Remove {
		if err := s.remove(ctx, s.member(incarnation)); err != nil {
			return fmt.Errorf("remove a member: %w", err)
		}
	}
	for _, h := range n.Unlock {
		if err := s.unlock(ctx, h); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
	}
	_, err := call(ctx, s.conn, func(z *zk.Conn) (string, error) { return z.Sync(s.root) })
	return err
}

// put writes a member as a node of this session. One of an earlier session is replaced, in one
// step: it would vanish with that session.
func (s *session) put(ctx context.Context, m registry.Member) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return client.Permanent(err)
	}
	node := s.member(m.Incarnation)
	create := &zk.CreateRequest{Path: node, Data: raw, Acl: s.acl, Flags: zk.FlagEphemeral}
	stat, err := call(ctx, s.conn, func(z *zk.Conn) (*zk.Stat, error) { _, stat, err := z.Exists(node); return stat, err })
	switch {
	case err != nil:
		return err
	case stat.Czxid == 0:
		_, err = call(ctx, s.conn, func(z *zk.Conn) (string, error) { return z.Create(node, raw, zk.FlagEphemeral, s.acl) })
	case stat.EphemeralOwner == s.conn.zk.SessionID():
		_, err = call(ctx, s.conn, func(z *zk.Conn) (*zk.Stat, error) { return z.Set(node, raw, -1) })
	default:
		_, err = call(ctx, s.conn, func(z *zk.Conn) ([]zk.MultiResponse, error) {
			return z.Multi(&zk.DeleteRequest{Path: node, Version: stat.Version}, create)
		})
	}
	return err
}

func (s *session) remove(ctx context.Context, node string) error {
	_, err := call(ctx, s.conn, func(z *zk.Conn) (struct{}, error) { return struct{}{}, z.Delete(node, -1) })
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// waiting is who waits for a name, first come first.
func (s *session) waiting(ctx context.Context, dir string) ([]string, error) {
	nodes, err := call(ctx, s.conn, func(z *zk.Conn) ([]string, error) { nodes, _, err := z.Children(dir); return nodes, err })
	place := func(node string) string { return node[strings.LastIndexByte(node, '-')+1:] }
	slices.SortFunc(nodes, func(a, b string) int { return strings.Compare(place(a), place(b)) })
	return nodes, err
}

// Lock implements client.Session.
func (s *session) Lock(ctx context.Context, name string, holder int64) (client.Hold, error) {
	dir := s.name(name)
	if err := s.mkdir(ctx, s.conn, dir); err != nil {
		return client.Hold{}, s.lockError(err)
	}
	// By its own text a node is found again whose answer got lost.
	h := client.Hold{Name: name, Key: rand.Text()}
	node, err := call(ctx, s.conn, func(z *zk.Conn) (string, error) {
		return z.Create(dir+"/"+h.Key+"-", fmt.Append(nil, holder), zk.FlagEphemeral|zk.FlagSequence, s.acl)
	})
	if err != nil {
		return h, s.lockError(err)
	}
	q := &queue{session: s, dir: dir}
	defer q.close()
	for {
		first, err := q.turn(ctx, node)
		if err != nil {
			return h, s.lockError(err)
		}
		if !first {
			continue
		}
		stat, err := call(ctx, s.conn, func(z *zk.Conn) (*zk.Stat, error) { _, stat, err := z.Exists(node); return stat, err })
		if err != nil || s.conn.over() {
			return h, s.lockError(err)
		}
		h.Fence = stat.Czxid
		return h, nil
	}
}

// queue waits for a turn. It watches on a connection of its own, made when there is somebody to
// wait for: the one of the session is to outlast the loss of a server, which no watch does.
type queue struct {
	*session
	dir   string
	watch *conn
}

func (q *queue) close() {
	if q.watch != nil {
		q.watch.close()
		q.watch = nil
	}
}

// turn tells whether it is a node's turn. If not, it waits until the one before it is gone, or may
// be gone.
func (q *queue) turn(ctx context.Context, node string) (first bool, err error) {
	nodes, err := q.waiting(ctx, q.dir)
	if err != nil {
		return false, err
	}
	place := slices.Index(nodes, node[len(q.dir)+1:])
	if place <= 0 {
		if place < 0 {
			err = zk.ErrSessionExpired // it went with its session
		}
		return place == 0, err
	}
	if q.watch == nil {
		if q.watch, err = q.watching(ctx); err != nil {
			return false, err
		}
	}
	gone, err := q.leaves(ctx, nodes[place-1])
	if err == nil {
		select {
		case e := <-gone:
			err = e.Err
		case <-q.watch.lost:
			err = errLost
		case <-q.conn.gone:
			return false, zk.ErrSessionExpired
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if errors.Is(err, errLost) || errors.Is(err, zk.ErrConnectionClosed) {
		q.close()
		err = nil // whose turn it is will be asked again
	}
	return false, err
}

// leaves returns what has an event when a node is gone. The connection may be to a server that is
// behind the one which told of the node; it is brought up to it first.
func (q *queue) leaves(ctx context.Context, node string) (<-chan zk.Event, error) {
	return call(ctx, q.watch, func(z *zk.Conn) (<-chan zk.Event, error) {
		if _, err := z.Sync(q.dir); err != nil {
			return nil, err
		}
		there, _, event, err := z.ExistsW(q.dir + "/" + node)
		if err == nil && !there {
			now := make(chan zk.Event)
			close(now)
			return now, nil
		}
		return event, err
	})
}

func (s *session) lockError(err error) error {
	if s.conn.over() || errors.Is(err, zk.ErrSessionExpired) {
		return client.ErrOver
	}
	return explain(err)
}

// unlock deletes the node of a hold, whatever its place in the queue was.
func (s *session) unlock(ctx context.Context, h client.Hold) error {
	dir := s.name(h.Name)
	nodes, err := s.waiting(ctx, dir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if strings.HasPrefix(node, h.Key+"-") {
			return s.remove(ctx, dir+"/"+node)
		}
	}
	return nil
}

// End implements client.Session.
func (s *session) End(context.Context) { s.conn.close() }
