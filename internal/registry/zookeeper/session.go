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

// queue is who waits for a name, first come first.
func (s *session) queue(ctx context.Context, dir string) ([]string, error) {
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
	for {
		first, err := s.turn(ctx, dir, node)
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

// turn tells whether it is a node's turn. If not, it waits until the one before it is gone.
func (s *session) turn(ctx context.Context, dir, node string) (first bool, err error) {
	queue, err := s.queue(ctx, dir)
	if err != nil {
		return false, err
	}
	place := slices.Index(queue, node[len(dir)+1:])
	if place <= 0 {
		if place < 0 {
			err = zk.ErrSessionExpired // it went with its session
		}
		return place == 0, err
	}
	type waiting struct {
		there bool
		event <-chan zk.Event
	}
	before, err := call(ctx, s.conn, func(z *zk.Conn) (waiting, error) {
		there, _, event, err := z.ExistsW(dir + "/" + queue[place-1])
		return waiting{there, event}, err
	})
	if err != nil || !before.there {
		return false, err
	}
	select {
	case e := <-before.event:
		return false, e.Err
	case <-ctx.Done():
		return false, ctx.Err()
	}
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
	queue, err := s.queue(ctx, dir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, node := range queue {
		if strings.HasPrefix(node, h.Key+"-") {
			return s.remove(ctx, dir+"/"+node)
		}
	}
	return nil
}

// End implements client.Session.
func (s *session) End(context.Context) { s.conn.close() }
