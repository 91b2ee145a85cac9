// A lease of etcd and the keys on it.

package etcd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"baton/internal/registry/client"
)

type session struct {
	*backend
	etcd  *clientv3.Client
	lease clientv3.LeaseID
}

// most is how many operations fit into a transaction as etcd is delivered.
const most = 100

// Sync implements client.Session.
func (s *session) Sync(ctx context.Context, n client.News) error {
	if _, err := s.etcd.KeepAliveOnce(ctx, s.lease); err != nil {
		return explain(fmt.Errorf("keep the lease alive: %w", err))
	}
	var ops []clientv3.Op
	for _, m := range n.Put {
		raw, err := json.Marshal(m)
		if err != nil {
			return client.Permanent(err)
		}
		ops = append(ops, clientv3.OpPut(s.member(m.Incarnation), string(raw), clientv3.WithLease(s.lease)))
	}
	for _, incarnation := range n.Remove {
		ops = append(ops, clientv3.OpDelete(s.member(incarnation)))
	}
	for _, h := range n.Unlock {
		ops = append(ops, clientv3.OpTxn(
			[]clientv3.Cmp{clientv3.Compare(clientv3.Value(s.name(h.Name)), "=", h.Key)},
			[]clientv3.Op{clientv3.OpDelete(s.name(h.Name))}, nil))
	}
	for len(ops) > 0 {
		some := ops[:min(most, len(ops))]
		ops = ops[len(some):]
		if _, err := s.etcd.Txn(ctx).Then(some...).Commit(); err != nil {
			return explain(fmt.Errorf("write to etcd: %w", err))
		}
	}
	return nil
}

// Lock implements client.Session. The key is there as long as its holder's lease; whoever comes
// upon it waits until it is deleted.
func (s *session) Lock(ctx context.Context, name string, holder int64) (client.Hold, error) {
	key := s.name(name)
	// By its own text a hold is found again whose answer got lost.
	h := client.Hold{Name: name, Key: fmt.Sprintf("%d %s", holder, rand.Text())}
	for {
		r, err := s.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, h.Key, clientv3.WithLease(s.lease))).
			Commit()
		if err != nil {
			return h, explain(fmt.Errorf("lock in etcd: %w", err))
		}
		if r.Succeeded {
			h.Fence = r.Header.Revision
			return h, nil
		}
		if err := s.deleted(ctx, key, r.Header.Revision); err != nil {
			return client.Hold{}, explain(err)
		}
	}
}

// deleted waits until a key that is there at a revision is deleted, or until that may have been
// missed.
func (s *session) deleted(ctx context.Context, key string, revision int64) error {
	ctx, cancel := context.WithCancel(leader(ctx))
	defer cancel()
	for r := range s.etcd.Watch(ctx, key, clientv3.WithRev(revision+1), clientv3.WithFilterPut()) {
		if err := r.Err(); err != nil && r.CompactRevision == 0 {
			return fmt.Errorf("wait in etcd: %w", err)
		}
		if r.CompactRevision != 0 || len(r.Events) > 0 {
			return nil
		}
	}
	return context.Cause(ctx)
}

// End implements client.Session.
func (s *session) End(ctx context.Context) {
	_, _ = s.etcd.Revoke(ctx, s.lease) // what cannot be given back ends by itself
}
