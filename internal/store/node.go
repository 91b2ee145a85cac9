// Nodes: registration, leases, and who is probably dead.

package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"baton/internal/flow"
)

const (
	defaultLease = 10 * time.Second
	// lostFor is how long a lost node is shown, and its rows are kept at least.
	lostFor = time.Hour
	left    = "left" // state of a node that ended itself; it is not shown as lost
	// startedAnew is why an incarnation is over that nobody declared dead.
	startedAnew = "it did not leave in order, and was started anew in the same data folder"
)

// ownsSomething is an instance of node n, NULL if it has none.
const ownsSomething = "(SELECT i.id FROM instance i WHERE i.owner = n.incarnation AND i.owner > 0 LIMIT 1)"

// ownsDrivable is one that a master of engine $2 can drive.
const ownsDrivable = "(SELECT i.id FROM instance i WHERE i.owner = n.incarnation AND i.owner > 0 AND i.engine <= $2 LIMIT 1)"

// raiseSQL fences an incarnation; only the first caller changes a row.
const raiseSQL = "UPDATE fence SET epoch = epoch + 1 WHERE incarnation = $1 AND epoch = 1"

// Register makes a new incarnation. Earlier ones of the same home are dead, because the home is
// locked by the caller, and are fenced before it begins. *flow.OutrunError: one of them answers a later
// hello than this, and nothing was done. A worker that has an incarnation keeps it: see readmit.
func (m *Master) Register(ctx context.Context, node flow.Node) (flow.Lease, error) {
	lease, err := m.register(ctx, node)
	for errors.Is(err, errAnother) {
		lease, err = m.register(ctx, node)
	}
	if err != nil {
		return flow.Lease{}, m.wrap("register", err)
	}
	if drives(node.Role) {
		m.identify(lease.Incarnation)
	}
	return lease, nil
}

func drives(role string) bool { return role == flow.RoleMaster || role == flow.RoleStandalone }

func (m *Master) register(ctx context.Context, node flow.Node) (flow.Lease, error) {
	if node.Incarnation != 0 && node.Role == flow.RoleWorker { // any other begins anew
		return m.readmit(ctx, node)
	}
	upTo := cmp.Or(node.Hello, math.MaxInt64)
	// What is read here is older than this hello, or it is noticed; what comes meanwhile is noticed below.
	if err := m.outrun(ctx, m.read(forEngine), node); err != nil {
		return flow.Lease{}, err
	}
	dead, err := all(ctx, m.DB, m.read(forEngine), scalar[int64], `
		SELECT n.incarnation FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.home = $1 AND n.home <> '' AND n.hello <= $2 AND f.epoch = 1`, node.Home, upTo)
	if err != nil {
		return flow.Lease{}, err
	}
	var ended []int64 // by this; who left in order, or was declared dead, was fenced before
	for _, d := range dead {
		won, err := m.raise(ctx, d)
		if err != nil {
			return flow.Lease{}, fmt.Errorf("fence %d: %w", d, err)
		}
		if won {
			ended = append(ended, d)
		}
	}
	l := flow.Lease{Epoch: 1}
	err = m.write(ctx, forEngine, func(q querier) error {
		// The row of the setting is also the lock under which numbers are given out.
		length, err := one(ctx, m.DB, q, scalar[string], "SELECT value FROM setting WHERE key = 'lease' FOR UPDATE")
		if err != nil {
			return err
		}
		if err := m.outrun(ctx, q, node); err != nil {
			return err
		}
		if err := m.another(ctx, q, node.Home, upTo); err != nil {
			return err
		}
		if l.Crashed, err = crashed(ctx, m.DB, q, node.Home); err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, `
			UPDATE node SET lease_until = 0, state = $2 WHERE home = $1 AND home <> '' AND lease_until > 0`, node.Home, left); err != nil {
			return err
		}
		if err := m.forgetNodes(ctx, q); err != nil {
			return err
		}
		if makesIDs(node.Role) {
			if l.Number, err = m.freeNumber(ctx, q); err != nil {
				return err
			}
		}
		tokens, err := m.nextTokens(ctx, q, 1)
		if err != nil {
			return err
		}
		l.Incarnation = tokens[0]
		if _, err := exec(ctx, m.DB, q, "INSERT INTO fence (incarnation, epoch, watched) VALUES ($1, $2, "+someoneWatches+")", l.Incarnation, l.Epoch); err != nil {
			return err
		}
		l.Length = time.Duration(leaseLength(length)) * time.Microsecond
		return m.insertNode(ctx, q, l, node, l.Length)
	})
	if err != nil {
		return flow.Lease{}, err
	}
	for _, d := range ended {
		if err := m.record(ctx, d, l.Incarnation, startedAnew); err != nil {
			return flow.Lease{}, fmt.Errorf("record a failover: %w", err)
		}
	}
	return l, m.complete(ctx, &l, node.Home)
}

// readmit makes a worker's incarnation known again that another generation of the store gave it, and fences
// earlier ones of its home: what the worker runs is bound to it. flow.ErrFenced: this store knows it as dead, or
// has given the home a later one.
func (m *Master) readmit(ctx context.Context, node flow.Node) (flow.Lease, error) {
	earlier, err := all(ctx, m.DB, m.read(forEngine), scalar[int64], `
		SELECT n.incarnation FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.home = $1 AND n.home <> '' AND n.incarnation < $2 AND f.epoch = 1`, node.Home, node.Incarnation)
	if err != nil {
		return flow.Lease{}, err
	}
	for _, e := range earlier {
		if _, err := m.raise(ctx, e); err != nil {
			return flow.Lease{}, fmt.Errorf("fence %d: %w", e, err)
		}
	}
	l := flow.Lease{Incarnation: node.Incarnation, Epoch: 1}
	err = m.write(ctx, forEngine, func(q querier) error {
		length, err := one(ctx, m.DB, q, scalar[string], "SELECT value FROM setting WHERE key = 'lease' FOR UPDATE")
		if err != nil {
			return err
		}
		// Under the lock, so that of this and a registration of the home one sees the other.
		later, err := one(ctx, m.DB, q, scalar[int], `
			SELECT count(*) FROM node n JOIN fence f ON f.incarnation = n.incarnation
			WHERE n.home = $1 AND n.home <> '' AND n.incarnation > $2 AND f.epoch = 1`, node.Home, l.Incarnation)
		if err != nil {
			return err
		}
		if later > 0 {
			return flow.ErrFenced
		}
		if _, err := exec(ctx, m.DB, q, "INSERT INTO fence (incarnation, epoch, watched) VALUES ($1, $2, "+someoneWatches+") ON CONFLICT (incarnation) DO NOTHING", l.Incarnation, l.Epoch); err != nil {
			return err
		}
		epoch, err := one(ctx, m.DB, q, scalar[int64], "SELECT epoch FROM fence WHERE incarnation = $1", l.Incarnation)
		if err != nil {
			return err
		}
		if epoch != l.Epoch {
			return flow.ErrFenced
		}
		l.Length = time.Duration(leaseLength(length)) * time.Microsecond
		return m.insertNode(ctx, q, l, node, max(l.Length, node.Lease))
	})
	return l, err
}

// insertNode writes the row of an incarnation, or renews it if there is one.
func (m *Master) insertNode(ctx context.Context, q querier, l flow.Lease, node flow.Node, lease time.Duration) error {
	groups, labels, err := nodeJSON(node)
	if err != nil {
		return err
	}
	_, err = exec(ctx, m.DB, q, `
		INSERT INTO node (incarnation, number, role, name, home, pid, groups, slots, running, labels, state, version, engine, started_at, lease_until, address, hello)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, baton_now(), baton_now() + $14, $15, $16)
		ON CONFLICT (incarnation) DO UPDATE SET lease_until = excluded.lease_until, state = excluded.state`,
		l.Incarnation, l.Number, node.Role, node.Name, node.Home, node.PID, groups, node.Slots, node.Running, labels,
		stateOf(node), node.Version, node.Engine, lease.Microseconds(), node.Address, node.Hello)
	return err
}

// errAnother tells that another incarnation of a home came while earlier ones were being fenced.
var errAnother = errors.New("another incarnation of this home came meanwhile")

func (m *Master) another(ctx context.Context, q querier, home string, upTo int64) error {
	n, err := one(ctx, m.DB, q, scalar[int], `
		SELECT count(*) FROM node n JOIN fence f ON f.incarnation = n.incarnation WHERE n.home = $1 AND n.home <> '' AND n.hello <= $2 AND f.epoch = 1`, home, upTo)
	if err == nil && n > 0 {
		err = errAnother
	}
	return err
}

// outrun tells whether a later hello of the home was answered.
func (m *Master) outrun(ctx context.Context, q querier, node flow.Node) error {
	if node.Hello == 0 {
		return nil
	}
	latest, err := one(ctx, m.DB, q, scalar[int64], "SELECT COALESCE(max(hello), 0) FROM node WHERE home = $1 AND home <> ''", node.Home)
	if err == nil && latest > node.Hello {
		err = &flow.OutrunError{Hello: latest}
	}
	return err
}

// crashed tells whether a master ended lately without leaving: the last one of this home, or any.
func crashed(ctx context.Context, db *DB, q querier, home string) (bool, error) {
	n, err := one(ctx, db, q, scalar[int], `
		SELECT count(*) FROM node
		WHERE role IN ('master', 'standalone') AND state <> $2 AND (home = $1 AND home <> '' OR lease_until <= baton_now())`, home, left)
	return n > 0, err
}

// complete adds what a lease tells about the store.
func (m *Master) complete(ctx context.Context, l *flow.Lease, home string) (err error) {
	q := m.read(forEngine)
	if l.Dead, err = all(ctx, m.DB, q, scalar[int64], `
		SELECT n.incarnation FROM node n
		WHERE n.home = $1 AND n.home <> '' AND n.incarnation <> $2
			AND `+ownsSomething+` IS NOT NULL
		ORDER BY n.incarnation`, home, l.Incarnation); err != nil {
		return err
	}
	if l.Generation, err = one(ctx, m.DB, q, scalar[int64], "SELECT CAST(value AS BIGINT) FROM setting WHERE key = 'generation'"); err != nil {
		return err
	}
	if l.Cluster, err = one(ctx, m.DB, q, scalar[string], "SELECT value FROM setting WHERE key = 'cluster'"); err != nil {
		return err
	}
	draining, err := one(ctx, m.DB, q, scalar[string], "SELECT "+drainedKeys)
	if err != nil {
		return err
	}
	l.Draining = drainedList(draining)
	// Task ids are unique within their run only; those of runs in progress are the ones that a new
	// source could meet.
	l.MaxID, err = one(ctx, m.DB, q, scanID, `
		SELECT COALESCE(max(id), 0) FROM (
			SELECT id FROM (SELECT id FROM instance ORDER BY id DESC LIMIT 1) AS a
			UNION ALL SELECT id FROM (SELECT id FROM command ORDER BY id DESC LIMIT 1) AS b
			UNION ALL SELECT id FROM (SELECT id FROM inbox ORDER BY id DESC LIMIT 1) AS c
			UNION ALL SELECT id FROM (SELECT id FROM alert ORDER BY id DESC LIMIT 1) AS d
			UNION ALL SELECT id FROM (SELECT id FROM fire ORDER BY id DESC LIMIT 1) AS e
			UNION ALL SELECT (SELECT max(t.id) FROM task t WHERE t.instance_id = i.id) FROM instance i WHERE i.owner > 0) AS newest`)
	return err
}

// makesIDs tells whether nodes of a role need a number of their own.
func makesIDs(role string) bool { return role != flow.RoleWorker }

// numberKept is how long the number of a silent node that drives nothing is not given to another:
// it may be cut off and make ids all the same. That of a master is its own until it is fenced.
const numberKept = 10 * time.Minute

func (m *Master) freeNumber(ctx context.Context, q querier) (int, error) {
	taken, err := all(ctx, m.DB, q, scalar[int], `
		SELECT DISTINCT n.number FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE f.epoch = 1 AND n.role <> 'worker' AND (n.role <> 'api' OR n.lease_until > baton_now() - $1)
		ORDER BY n.number`, numberKept.Microseconds())
	if err != nil {
		return 0, err
	}
	n := 0
	for _, t := range taken {
		if t == n {
			n++
		}
	}
	if n >= storeNode {
		return 0, flow.Errorf(flow.CodeUnavailable, "", "the cluster has %d live masters and api processes; that is its limit", n)
	}
	return n, nil
}

// forgetNodes deletes nodes that nobody asks for any more.
func (m *Master) forgetNodes(ctx context.Context, q querier) error {
	const old = `
		SELECT n.incarnation FROM node n
		WHERE n.lease_until < baton_now() - $1 AND n.started_at < baton_now() - $1
			AND ` + ownsSomething + ` IS NULL`
	if _, err := exec(ctx, m.DB, q, "DELETE FROM fence WHERE incarnation IN ("+old+")", lostFor.Microseconds()); err != nil {
		return err
	}
	if _, err := exec(ctx, m.DB, q, "DELETE FROM node WHERE incarnation IN ("+old+")", lostFor.Microseconds()); err != nil {
		return err
	}
	// Drains of single incarnations, which do not come back.
	_, err := exec(ctx, m.DB, q, `
		DELETE FROM drain WHERE CASE WHEN drain.home LIKE '#%'
			THEN (SELECT n.incarnation FROM node n WHERE n.incarnation = CAST(substr(drain.home, 2) AS BIGINT)) ELSE 0 END IS NULL`)
	return err
}

// leaseLength reads the setting; what cannot be read is the default, never no lease at all.
func leaseLength(text string) int64 {
	d, err := flow.ParseDuration(text)
	if err != nil || d < flow.Duration(time.Second) {
		return defaultLease.Microseconds()
	}
	return d.Std().Microseconds()
}

func stateOf(n flow.Node) string {
	if n.State == "" {
		return flow.NodeReady
	}
	return n.State
}

func nodeJSON(n flow.Node) (groups, labels string, err error) {
	g, err := json.Marshal(n.Groups)
	if err != nil {
		return "", "", err
	}
	l, err := json.Marshal(n.Labels)
	return string(g), string(l), err
}

// beat is what a heartbeat writes of a node: all that may be another after a start of its program that its
// incarnation has outlived, as a worker's does.
type beat struct {
	Incarnation int64  `json:"incarnation"`
	Slots       int    `json:"slots"`
	Running     int    `json:"running"`
	State       string `json:"state"`
	Groups      string `json:"groups"`
	Labels      string `json:"labels"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Lease       int64  `json:"lease"`
	Waited      int64  `json:"waited"`
}

// Heartbeat renews the leases of nodes, unless somebody has fenced them, in one statement. A lease
// that is over but noticed by nobody is renewed too: after an outage of the store all begin anew.
// A lease runs from when it was asked for, and is not cut short by an answer that comes late: another master
// may have renewed it meanwhile.
// The settings as they are now come with the answer; if leases are longer than what was written, that is
// written before it is told.
func (m *Master) Heartbeat(ctx context.Context, nodes []flow.Node) (r flow.Renewal, err error) {
	if m.lease.Load() == 0 {
		text, err := m.Setting(ctx, "lease")
		if err != nil {
			return r, m.wrap("heartbeat", err)
		}
		m.lease.Store(leaseLength(text))
	}
	rows, err := beatsJSON(nodes)
	if err != nil {
		return r, m.wrap("heartbeat", err)
	}
	for {
		wrote := m.lease.Load()
		alive, err := m.renew(ctx, rows, wrote)
		if err != nil {
			return r, m.wrap("heartbeat", err)
		}
		now := wrote
		if len(alive) > 0 {
			now = leaseLength(alive[0].lease)
			m.lease.Store(now)
			// One that a newer version wrote and this one cannot read is the default.
			r.Settings.Balance, _ = flow.ParseBalance(alive[0].balance)
			r.Settings.Weights = flow.ParseWeights(alive[0].weights)
		}
		if now > wrote {
			continue
		}
		for _, n := range nodes {
			if !slices.ContainsFunc(alive, func(a renewal) bool { return a.incarnation == n.Incarnation }) {
				r.Fenced = append(r.Fenced, n.Incarnation)
			}
		}
		r.Settings.Lease = time.Duration(now) * time.Microsecond
		return r, nil
	}
}

func beatsJSON(nodes []flow.Node) (string, error) {
	beats := make([]beat, 0, len(nodes))
	for _, n := range nodes {
		groups, labels, err := nodeJSON(n)
		if err != nil {
			return "", err
		}
		beats = append(beats, beat{n.Incarnation, n.Slots, n.Running, stateOf(n), groups, labels, n.Name, n.Version, n.Lease.Microseconds(), n.Waited.Microseconds()})
	}
	slices.SortFunc(beats, func(a, b beat) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	rows, err := json.Marshal(beats)
	return string(rows), err
}

func (m *Master) renew(ctx context.Context, rows string, length int64) (alive []renewal, err error) {
	err = m.statement(ctx, forEngine, func(q querier) (err error) {
		const full = "baton_now() + CASE WHEN u.lease > $2 THEN u.lease ELSE $2 END"
		alive, err = all(ctx, m.DB, q, scanRenewal, `
			UPDATE node SET lease_until = CASE
					WHEN node.lease_until <= `+full+` - u.waited THEN `+full+` - u.waited
					WHEN node.lease_until <= `+full+` THEN node.lease_until
					ELSE `+full+` END, -- leases have become shorter
				slots = u.slots, running = u.running, state = u.state, groups = u.groups, labels = u.labels,
				name = u.name, version = u.version
			FROM `+m.records("$1", "incarnation bigint, slots int, running int, state text, groups text, labels text, name text, version text, lease bigint, waited bigint")+`
			WHERE node.incarnation = u.incarnation AND (SELECT f.epoch FROM fence f WHERE f.incarnation = u.incarnation) = 1
			RETURNING node.incarnation, (SELECT s.value FROM setting s WHERE s.key = 'lease'),
				COALESCE((SELECT s.value FROM setting s WHERE s.key = 'balance'), ''),
				COALESCE((SELECT string_agg(CAST(j.id AS TEXT) || '=' || CAST(j.weight AS TEXT), ',') FROM project j WHERE j.weight > 1), '')`, rows, length)
		return err
	})
	return alive, err
}

// renewal is a lease that was renewed, and the settings as they are now.
type renewal struct {
	incarnation             int64
	lease, balance, weights string
}

func scanRenewal(s scanner) (renewal, error) {
	var r renewal
	err := s.Scan(&r.incarnation, &r.lease, &r.balance, &r.weights)
	return r, err
}

// Leave ends the incarnation: it commits nothing any more, and what it still owns may be taken
// over at once.
func (m *Master) Leave(ctx context.Context, incarnation int64) error {
	if _, err := m.raise(ctx, incarnation); err != nil {
		return m.wrap("leave", err)
	}
	return m.wrap("leave", m.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, m.DB, q, "UPDATE node SET lease_until = 0, state = $2 WHERE incarnation = $1", incarnation, left)
		return err
	}))
}

// Fence raises the epoch of a dead incarnation.
func (m *Master) Fence(ctx context.Context, dead int64) (bool, error) {
	won, err := m.raise(ctx, dead)
	return won, m.wrap("fence", err)
}

// Nodes lists live and recently lost nodes. A lost one whose name another node of its role has taken up is
// history: Failovers tells of it.
func (db *DB) Nodes(ctx context.Context, role string) ([]flow.Node, error) {
	out, err := all(ctx, db, db.read(forAPI), scanNode, `
		SELECT n.incarnation, n.number, n.role, n.name, n.home, n.pid, n.groups, n.slots, n.running, n.labels,
			CASE WHEN n.lease_until <= baton_now() OR f.epoch > 1 THEN 'lost' WHEN `+isDrained+` THEN 'draining' ELSE n.state END,
			n.version, n.engine, n.started_at, n.lease_until, n.address, n.cpu, n.memory
		FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.lease_until > baton_now() - $2 AND n.state <> $3 AND ($1 = '' OR n.role = $1)
			AND NOT ((n.lease_until <= baton_now() OR f.epoch > 1) AND EXISTS (
				SELECT 1 FROM node s JOIN fence g ON g.incarnation = s.incarnation
				WHERE s.role = n.role AND s.name = n.name AND s.incarnation > n.incarnation AND s.lease_until > baton_now() AND g.epoch = 1))
		ORDER BY n.name, n.incarnation`, role, lostFor.Microseconds(), left)
	return out, db.wrap("read nodes", err)
}

// ServedGroups returns the worker groups of workers that live and are not drained, in order.
func (m *Master) ServedGroups(ctx context.Context) ([]string, error) {
	lists, err := all(ctx, m.DB, m.read(forEngine), scalar[string], `
		SELECT DISTINCT CAST(n.groups AS TEXT) FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.role = 'worker' AND n.lease_until > baton_now() AND f.epoch = 1 AND n.state IN ($1, $2) AND NOT (`+isDrained+`)`, flow.NodeReady, flow.NodeBusy)
	if err != nil {
		return nil, m.wrap("read the worker groups", err)
	}
	var out []string
	for _, list := range lists {
		var groups []string
		if err := json.Unmarshal([]byte(list), &groups); err != nil {
			return nil, fmt.Errorf("read the worker groups: %w", err)
		}
		out = append(out, groups...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func scanNode(s scanner) (flow.Node, error) {
	var n flow.Node
	var groups, labels []byte
	if err := s.Scan(&n.Incarnation, &n.Number, &n.Role, &n.Name, &n.Home, &n.PID, &groups, &n.Slots, &n.Running, &labels,
		&n.State, &n.Version, &n.Engine, &n.StartedAt, &n.LeaseUntil, &n.Address, &n.CPU, &n.Memory); err != nil {
		return n, err
	}
	if err := json.Unmarshal(groups, &n.Groups); err != nil {
		return n, err
	}
	return n, json.Unmarshal(labels, &n.Labels)
}
