package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a guard taken out.
type mutant struct {
	name     string
	file     string // from the root of the repository
	old, new string
	// What must fail: a package, its tests, further arguments.
	pkg, run string
	args     []string
}

var mutants = []mutant{
	{
		name: "a fenced master commits, PostgreSQL",
		file: "internal/store/commit_postgres.sql", old: "WHERE incarnation = $1 AND epoch = $2 AND NOT watched FOR SHARE", new: "WHERE incarnation = $1 AND $2::bigint > 0 AND NOT watched FOR SHARE",
		pkg: "./internal/store", run: "TestPostgres/commit/fenced",
	},
	{
		name: "a fenced master commits, SQLite",
		file: "internal/store/commit_sqlite.go", old: "err == nil && epoch != b.epoch", new: "err == nil && epoch < 0",
		pkg: "./internal/store", run: "TestSQLite/commit/fenced",
	},
	{
		name: "owner and seq are not compared, PostgreSQL",
		file: "internal/store/commit_postgres.sql", old: "WHERE i.ctid = row.at AND i.owner = live.owner AND i.seq = u.seq - 1", new: "WHERE i.ctid = row.at",
		pkg: "./internal/store", run: "TestPostgres/commit/gone",
	},
	{
		name: "owner and seq are not compared, SQLite",
		file: "internal/store/commit_sqlite.go", old: "WHERE id = $1 AND owner = $2 AND seq = $3`", new: "WHERE id = $1 AND $2 > 0 AND $3 >= 0`",
		pkg: "./internal/store", run: "TestSQLite/commit/gone",
	},
	{
		name: "a command is claimed by whoever read it, PostgreSQL",
		file: "internal/store/commit_postgres.sql", old: "WHERE (u.id IN (SELECT id FROM taken)) IS TRUE", new: "WHERE (SELECT count(*) FROM taken) >= 0 ON CONFLICT DO NOTHING",
		pkg: "./internal/store", run: "TestPostgres/(commit|claim|commands)",
	},
	{
		name: "the token of a result is not compared",
		file: "internal/engine/attempts.go", old: "if r < 0 || s.Rows[r].Attempt.Token != token || !s.Rows[r].Attempt.State.Live() {", new: "if r < 0 || !s.Rows[r].Attempt.State.Live() {",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "1500"},
	},
	{
		name: "a result is acknowledged before it is durable",
		file: "internal/master/inst.go", old: "in.after.acks = append(in.after.acks, ack{p.conn, token})", new: "c.ack(p.conn, token)",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "1500"},
	},
	{
		name: "a turn that was given before a run was stopped is used by the run that goes on again",
		file: "internal/engine/turn.go", old: "case e.Times != 0 && e.Times != s.Inst.RunTimes:", new: "case e.Times < 0:",
		pkg: "./internal/engine", run: "TestScripts/turns",
	},
	{
		name: "who does not look out any more starts runs",
		file: "internal/store/outside.go", old: "if err == nil && (len(epoch) == 0 || epoch[0] != 1) {", new: "if err == nil && len(epoch) > 1 {",
		pkg: "./internal/store", run: "TestSQLite/outside/who_looks",
	},
	{
		name: "two look out at once, PostgreSQL",
		file: "internal/store/outside.go", old: `"UPDATE lookout SET owner = $1 WHERE owner = $2", owner, w.owner`, new: `"UPDATE lookout SET owner = $1", owner`,
		pkg: "./internal/store", run: "TestPostgres/outside/at_once", args: []string{"-count", "20"},
	},
	{
		name: "a file that is known starts a run again",
		file: "internal/store/outside.go", old: "if err == nil && n != int64(len(d.Fresh)) {", new: "if err == nil && n < 0 {",
		pkg: "./internal/store", run: "TestSQLite/outside/start",
	},
	{
		name: "the end of a try gives no slots back",
		file: "internal/engine/state.go", old: "if to != flow.TaskQueued && !to.Placed() {", new: "if to == flow.TaskPaused {",
		pkg: "./test/sim", run: "TestHistories",
	},
	{
		name: "a task that waits for its pool is sent to a worker",
		file: "internal/engine/apply.go", old: "s.Rows[r].State == flow.TaskQueued && !s.Rows[r].Pooling()", new: "s.Rows[r].State == flow.TaskQueued",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "1500"},
	},
	{
		name: "slots are given without the lock on their pool, PostgreSQL",
		file: "internal/store/slots.go", old: "WHERE project_id = $1 AND name = $2 FOR UPDATE", new: "WHERE project_id = $1 AND name = $2",
		pkg: "./internal/store", run: "TestSlotsBehindAnotherGiver",
	},
	{
		name: "turns are given without the lock on their workflow, PostgreSQL",
		file: "internal/store/admission.go", old: "FROM workflow WHERE id = $1 FOR UPDATE", new: "FROM workflow WHERE id = $1",
		pkg: "./internal/store", run: "TestTurnsBehindAnotherGiver",
	},
	{
		name: "what began lately is not counted when turns are given",
		file: "internal/flow/rate.go", old: "return min(n, max(w.Starts-len(w.starts), 0))", new: "return min(n, w.Starts)",
		pkg: "./internal/store", run: "TestSQLite/rates",
	},
	{
		name: "a run begins whose turn was not given",
		file: "internal/flow/turn.go", old: "room = max(r.Execution.Limit-len(l.Going), 0)", new: "room = r.Execution.Limit",
		pkg: "./test/sim", run: "TestHistories",
	},
	{
		name: "what is held is not counted when slots are given",
		file: "internal/flow/pool.go", old: "free := p.Slots - held", new: "free := p.Slots",
		pkg: "./internal/store", run: "TestSQLite/pools",
	},
	{
		name: "a dead master's runs are taken before it is fenced",
		file: "internal/store/cluster.go", old: "\n\t\t\t\t\tAND (SELECT epoch FROM fence WHERE incarnation = $1) > 1", new: "",
		pkg: "./internal/store", run: "TestSQLite/cluster/hand_out",
	},
	{
		name: "a hello that comes late ends the session of a later one",
		file: "internal/store/node.go", old: "err == nil && latest > node.Hello", new: "err == nil && latest < 0",
		pkg: "./internal/store", run: "TestSQLite/cluster/late_hello",
	},
	{
		name: "a session is ended when nobody expects it any more",
		file: "internal/store/cluster.go", old: "AND baton_now() <= $2`", new: "AND $2 > 0`",
		pkg: "./internal/store", run: "TestSQLite/cluster/end_of_a_session",
	},
	{
		name: "a store that says nothing is no outage",
		file: "internal/master/lease.go", old: "c.fleet.answered(false, c.now)\n\t\tc.tellOutage()", new: "c.fleet.answered(true, c.now)",
		pkg: "./internal/master", run: "TestSilentStoreIsAnOutage",
	},
	{
		name: "who was frozen or heard nothing declares others dead",
		file: "internal/master/fleet.go", old: "f.stored == 0 || now.Sub(f.heard) > f.lease/2", new: "f.stored == 0",
		pkg: "./internal/master", run: "TestSilenceOfTheStoreFellsNobody",
	},
	{
		name: "what a worker refused for ever it takes later",
		file: "internal/worker/grant.go", old: "if _, never := c.tombs[token]; never {", new: "if _, never := c.tombs[token]; never && token < 0 {",
		pkg: "./internal/worker", run: "TestNothingIsLostOrDoubled", args: []string{"-rapid.checks=3000"},
	},
	{
		name: "a worker hears an owner that was replaced",
		file: "internal/worker/grant.go", old: "if epoch < known.epoch ||", new: "if epoch < 0 ||",
		pkg: "./internal/worker", run: "TestReplacedOwnerIsNotHeard",
	},
	{
		name: "a master that was declared dead forgets to end when other events wait behind",
		file: "internal/master/core.go", old: "break // nothing after the end counts", new: "return nil // nothing after the end counts",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "400"},
	},
	{
		name: "a master declares others dead after its own outage",
		file: "internal/master/fleet.go", old: "return f.view.Since != 0 && now.Sub(f.view.Since) >= f.lease && f.sees(now, f.lease)", new: "return f.view.Since != 0",
		pkg: "./internal/master", run: "Outage",
	},
	{
		name: "a session is declared lost after an outage of the store",
		file: "internal/master/lease.go", old: "return c.fleet.sees(c.now, c.cfg.Lease)", new: "return true",
		pkg: "./internal/master", run: "TestLostWorkerAfterAnOutage",
	},
	{
		name: "a master that may be dead for the others gives orders",
		file: "internal/master/lease.go", old: "return c.now.Sub(c.own.renewed) < c.cfg.Lease/2", new: "return true",
		pkg: "./internal/master", run: "TestOrdersWaitForTheLease",
	},
	{
		name: "an attempt is lost although its result may lie in the inbox",
		file: "internal/master/absence.go", old: "c.doomed = append(c.doomed, doom{c.polls.inboxRead + 1, instance, lost})", new: "c.route(instance, pending{ev: lost})",
		pkg: "./internal/master", run: "TestLostWorkerAfterItsLease",
	},
	{
		name: "a worker gives one place to two masters",
		file: "internal/worker/room.go", old: "return max(sh.places, sh.bound)", new: "return sh.places",
		pkg: "./internal/worker", run: "TestMastersShareTheRoom",
	},
	{
		name: "a worker gives a place away that is still taken",
		file: "internal/worker/room.go", old: "return max(r.holds(lane), held[lane])", new: "return r.holds(lane)",
		pkg: "./internal/worker", run: "TestMastersShareTheRoom",
	},
	{
		name: "a master keeps its places as long as it has work",
		file: "internal/assign/room.go", old: "wants[i] = m.Held + max(m.Wants, 0)", new: "wants[i], room[i] = max(m.Wants, 0), m.Held",
		pkg: "./internal/worker", run: "TestLateMasterIsNotStarved",
	},
	{
		name: "two masters begin dates of one backfill at once",
		file: "internal/store/backfill.go", old: "WHERE b.id = $1 FOR UPDATE", new: "WHERE b.id = $1",
		pkg: "./internal/store", run: "TestPostgres/backfills/advanced_at_once",
	},
	{
		name: "a level of a backfill begins before the one before has ended",
		file: "internal/flow/backfill.go", old: "if level != next[0] || slices.ContainsFunc", new: "if false && slices.ContainsFunc",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "100"},
	},
	{
		name: "nobody looks for what ended of a backfill where its master died",
		file: "internal/master/asks.go", old: "a.looked, a.all = now, true", new: "a.looked = now",
		pkg: "./test/sim", run: "TestHistories", args: []string{"-seeds", "400"},
	},
	{
		name: "how a date ended goes with its run",
		file: "internal/store/prune.go", old: "WHERE instance_id > 0 AND instance_id = ANY($1)`", new: "WHERE instance_id < 0 AND instance_id = ANY($1)`",
		pkg: "./internal/store", run: "TestSQLite/backfills/pruned",
	},
}

const root = "../.."

func TestMutantsAreFound(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := m.test(t)
			switch {
			case err == nil:
				t.Errorf("nothing fails:\n%s", out)
			case !strings.Contains(out, "--- FAIL"):
				t.Errorf("it failed, but no test did:\n%s", out)
			}
		})
	}
}

// test runs the tests with the mutant in place of its source.
func (m *mutant) test(t *testing.T) (string, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%s has %d places with %q, one is wanted: the mutant changes nothing, or too much", m.file, n, m.old)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"test", "-count=1", "-overlay", list, m.pkg, "-run", m.run}, m.args...)
	if m.pkg == "./internal/store" || m.pkg == "./internal/worker" {
		args = append(args, "-rapid.nofailfile") // it would be left in the tree
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
