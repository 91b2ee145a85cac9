// What the server can do at most, by pgbench: task lifecycles in batches and one by one.

package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"baton/bench/internal/proc"
)

const limitDB = "limits"

// batch is how many tasks one commit of the batched script inserts or ends.
const batch = 100

var scripts = map[string]string{
	"batch": fmt.Sprintf(`BEGIN;
WITH x AS (INSERT INTO task(run,name,state,worker,t1) SELECT 1,'step-with-a-name',0,'worker-1',now() FROM generate_series(1,%d) RETURNING id) SELECT min(id) lo, max(id) hi FROM x \gset
COMMIT;
UPDATE task SET state=2,t2=now() WHERE id BETWEEN :lo AND :hi;
`, batch),
	"single": `BEGIN;
INSERT INTO task(run,name,state,worker,t1) VALUES(1,'step-with-a-name',0,'worker-1',now()) RETURNING id \gset
UPDATE task SET state=2,t2=now() WHERE id=:id;
COMMIT;
`,
}

// Limit is what pgbench reached.
type Limit struct {
	Tasks float64       // lifecycles a second
	CPU   time.Duration // of a lifecycle: server and pgbench
	Wait  time.Duration // of a client for a transaction
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// Lifecycles measures inserts and ends of tasks for a while: one by one, or in batches.
func (c *Cluster) Lifecycles(ctx context.Context, dir string, batched bool, clients int, d time.Duration) (Limit, error) {
	name, tasks := "single", 1.0
	if batched {
		name, tasks = "batch", batch
	}
	file := filepath.Join(dir, name+".sql")
	if err := os.WriteFile(file, []byte(scripts[name]), 0o644); err != nil {
		return Limit{}, fmt.Errorf("script of pgbench: %w", err)
	}
	if err := c.Fresh(ctx, limitDB); err != nil {
		return Limit{}, err
	}
	if err := c.Exec(ctx, limitDB,
		"CREATE TABLE task(id bigserial primary key, run bigint, name text, state int, worker text, t1 timestamptz, t2 timestamptz)",
		"CHECKPOINT"); err != nil {
		return Limit{}, err
	}
	seconds := max(int(d.Seconds()), 1)
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "pgbench"), "-n", "-f", file, "-M", "prepared",
		"-h", "127.0.0.1", "-p", strconv.Itoa(c.Port), "-U", "postgres", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2)), "-T", strconv.Itoa(seconds), limitDB)
	before := proc.CPU(c.PID())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Limit{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	cpu := proc.CPU(c.PID()) - before + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m := tps.FindSubmatch(out)
	if m == nil {
		return Limit{}, fmt.Errorf("pgbench says no tps: %s", out)
	}
	rate, _ := strconv.ParseFloat(string(m[1]), 64)
	done := rate * tasks * float64(seconds)
	return Limit{
		Tasks: rate * tasks, CPU: time.Duration(float64(cpu) / max(done, 1)),
		Wait: time.Duration(float64(clients) / rate * float64(time.Second)),
	}, nil
}
