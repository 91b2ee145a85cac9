// The store as a registry: live nodes are members, names are leases, and changes are told by
// NOTIFY with the statement that makes them. They are rare: a transaction that tells waits for all
// others that do.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// Registry is the side of a store that a registry needs. It decides nothing: who is late and what
// was lost is judged by its callers, only the clock is the database's.
type Registry struct{ *DB }

// Registry returns the store as a registry.
func (db *DB) Registry() *Registry { return &Registry{db} }

// channel is where changes of members and names are told.
const channel = "baton_registry"

// Announce says what is new of a registered node and renews its lease; tell wakes who listens.
// ErrFenced if it was declared dead, or is not known.
func (r *Registry) Announce(ctx context.Context, n flow.Node, lease time.Duration, tell bool) error {
	args := []any{
		n.Incarnation, lease.Microseconds(), n.Name, n.Address, n.Version, n.Engine, stateOf(n), n.CPU, n.Memory, n.Slots, n.Running,
	}
	telling := ""
	if tell {
		telling, args = r.tell(args, flow.NodeChange{Node: &n})
	}
	return r.wrap("announce", r.touching(ctx, 1, `
		UPDATE node SET lease_until = baton_now() + $2, name = $3, address = $4, version = $5, engine = $6, state = $7,
			cpu = $8, memory = $9, slots = $10, running = $11
		WHERE incarnation = $1 AND (SELECT epoch FROM fence WHERE incarnation = $1) = 1`+telling, args...))
}

// mostTold is how much fits into a notification.
const mostTold = 7900

// tell ends a statement that tells a change, and adds what is told to its arguments. What is too
// long is read by who hears of it.
func (r *Registry) tell(args []any, c flow.NodeChange) (telling string, all []any) {
	raw, err := json.Marshal(c)
	if err != nil || len(raw) > mostTold {
		raw = []byte("{}")
	}
	if telling = r.telling(channel, len(args)+1); telling != "" {
		args = append(args, string(raw))
	}
	return telling, args
}

// Renew renews the leases of nodes. A lease that is over but noticed by nobody is renewed too.
// ErrFenced if one of them was declared dead.
func (r *Registry) Renew(ctx context.Context, incarnations []int64, lease time.Duration) error {
	return r.wrap("renew", r.touching(ctx, len(incarnations), `
		UPDATE node SET lease_until = baton_now() + $2
		WHERE incarnation = ANY($1) AND (SELECT epoch FROM fence WHERE fence.incarnation = node.incarnation) = 1`,
		r.numbers(incarnations), lease.Microseconds()))
}

// touching runs a change that must touch n rows.
func (r *Registry) touching(ctx context.Context, n int, query string, args ...any) error {
	var touched int64
	err := r.statement(ctx, forEngine, func(q querier) (err error) {
		touched, err = exec(ctx, r.DB, q, query, args...)
		return err
	})
	if err == nil && touched != int64(n) {
		err = flow.ErrFenced
	}
	return err
}

// numbers makes numbers an argument for "= ANY($n)".
func (r *Registry) numbers(ns []int64) any {
	ids := make([]flow.ID, len(ns))
	for i, n := range ns {
		ids[i] = flow.ID(n)
	}
	return r.list(ids)
}

// Withdraw ends the leases of nodes and tells it.
func (r *Registry) Withdraw(ctx context.Context, incarnations []int64) error {
	telling, args := r.tell([]any{r.numbers(incarnations), left}, flow.NodeChange{Gone: incarnations})
	return r.wrap("withdraw", r.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, r.DB, q, "UPDATE node SET lease_until = 0, state = $2 WHERE incarnation = ANY($1)"+telling, args...)
		return err
	}))
}

// Members returns the live nodes that announce themselves, by incarnation, when that was, and for how long
// it is so if nobody renews anything; 0 without any. Workers do not: there may be thousands.
func (r *Registry) Members(ctx context.Context) (nodes []flow.Node, at flow.Time, ends time.Duration, err error) {
	rows, err := all(ctx, r.DB, r.read(forEngine), func(s scanner) (n flow.Node, err error) {
		var rest int64
		err = s.Scan(&n.Incarnation, &n.Role, &n.Name, &n.Address, &n.Version, &n.Engine, &n.State, &n.CPU, &n.Memory, &n.Slots, &n.Running, &rest, &at)
		if left := time.Duration(max(rest, 1)) * time.Microsecond; n.Incarnation != 0 && (ends == 0 || left < ends) {
			ends = left
		}
		return n, err
	}, `
		SELECT n.incarnation, n.role, n.name, n.address, n.version, n.engine, n.state, n.cpu, n.memory, n.slots, n.running, n.lease_until - baton_now(), baton_now()
		FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.lease_until > baton_now() AND f.epoch = 1 AND n.role <> 'worker'
		UNION ALL SELECT 0, '', '', '', '', 0, '', 0, 0, 0, 0, 0, baton_now()
		ORDER BY 1`)
	if err != nil {
		return nil, 0, 0, r.wrap("read members", err)
	}
	return rows[1:], at, ends, nil // the first tells the time, also when nobody is there
}

// Claim takes a name if nobody has it. If somebody has, fence is 0 and free is when it may be tried
// again at the latest. With an error and a fence the name may have been taken all the same.
func (r *Registry) Claim(ctx context.Context, name string, holder int64, lease time.Duration) (fence int64, free time.Duration, err error) {
	rest, err := one(ctx, r.DB, r.read(forEngine), scalar[int64], "SELECT lease_until - baton_now() FROM named_lease WHERE name = $1", name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, r.wrap("claim", err)
	}
	if rest > 0 {
		return 0, time.Duration(rest) * time.Microsecond, nil
	}
	err = r.statement(ctx, forEngine, func(q querier) error {
		tokens, err := r.nextTokens(ctx, q, 1)
		if err == nil {
			fence = tokens[0]
		}
		return err
	})
	if err != nil {
		return 0, 0, r.wrap("claim", err)
	}
	// Who was given a token later may have come and gone before: then this one is too small.
	var n int64
	err = r.statement(ctx, forEngine, func(q querier) (err error) {
		n, err = exec(ctx, r.DB, q, `
			INSERT INTO named_lease (name, holder, fence, lease_until) VALUES ($1, $2, $3, baton_now() + $4)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = excluded.fence, lease_until = baton_now() + $4
			WHERE named_lease.lease_until <= baton_now() AND named_lease.fence < excluded.fence`, name, holder, fence, lease.Microseconds())
		return err
	})
	if err == nil && n == 0 {
		return 0, time.Millisecond, nil
	}
	return fence, 0, r.wrap("claim", err)
}

// Keep renews names by their fences. ErrFenced if one of them is somebody else's.
func (r *Registry) Keep(ctx context.Context, names []string, fences []int64, lease time.Duration) error {
	return r.wrap("keep", r.touching(ctx, len(fences), "UPDATE named_lease SET lease_until = baton_now() + $3 WHERE name = ANY($1) AND fence = ANY($2) AND lease_until > 0",
		r.names(names), r.numbers(fences), lease.Microseconds()))
}

// Give gives names back by their fences and tells it.
func (r *Registry) Give(ctx context.Context, names []string, fences []int64) error {
	telling, args := r.tell([]any{r.names(names), r.numbers(fences)}, flow.NodeChange{})
	return r.wrap("give back", r.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, r.DB, q, "UPDATE named_lease SET lease_until = 0 WHERE name = ANY($1) AND fence = ANY($2)"+telling, args...)
		return err
	}))
}

// Listen calls heard once when it can hear, with nothing, and with every change that was told, until
// ctx is done or the connection is lost. ErrNoChannel if there is no way to hear.
func (r *Registry) Listen(ctx context.Context, heard func(flow.NodeChange)) error {
	return r.wrap("listen", r.listen(ctx, channel, func(told string) {
		var c flow.NodeChange
		at, raw, _ := strings.Cut(told, " ")
		if err := json.Unmarshal([]byte(raw), &c); err != nil {
			c = flow.NodeChange{} // another version told it: read
		}
		us, _ := strconv.ParseInt(at, 10, 64) // 0: older than anything read
		c.At = flow.Time(us)
		heard(c)
	}))
}
