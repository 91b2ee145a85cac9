// Nodes that are killed, and how soon the work goes on. As with all load, what is counted is what the
// rows say.

package product

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"baton/bench/internal/proc"
)

// KillMasters has clients run a workflow all the time and kills a master again and again, each time one
// that drives runs. It returns, for every run that it drove, the µs from the kill to the next step that
// another master dispatched. Each step was begun once, or that is an error.
func (c *Cluster) KillMasters(ctx context.Context, f Flow, clients, kills int) (gaps []float64, err error) {
	mark, err := c.newest(ctx)
	if err != nil {
		return nil, err
	}
	load, end := context.WithCancel(ctx)
	defer end()
	var group sync.WaitGroup
	var mu sync.Mutex
	var r Result
	var errs []error
	for range clients {
		group.Go(func() {
			for load.Err() == nil {
				_, err := c.Run(ctx, f.Name)
				mu.Lock()
				r.Runs++
				errs = append(errs, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	for i := 0; i < kills && err == nil; i++ {
		var some []float64
		some, err = c.killMaster(ctx, c.Masters[i%len(c.Masters)])
		gaps = append(gaps, some...)
	}
	end()
	group.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return gaps, err
	}
	return gaps, c.settle(ctx, f, mark, &r)
}

// driven are the runs of a master, at least so many.
func (c *Cluster) driven(ctx context.Context, incarnation string, least int) (ids []int64, err error) {
	until := time.Now().Add(patience)
	for {
		ids = ids[:0]
		rows, err := c.Rows.QueryContext(ctx, "SELECT id FROM instance WHERE owner = $1::bigint AND state < 9", incarnation)
		if err != nil {
			return nil, fmt.Errorf("runs of a master: %w", err)
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return nil, fmt.Errorf("runs of a master: %w", err)
			}
			ids = append(ids, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("runs of a master: %w", err)
		}
		if len(ids) >= least {
			return ids, nil
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("a master drives %d runs after %s", len(ids), patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *Cluster) killMaster(ctx context.Context, n *Node) (gaps []float64, err error) {
	incarnation, err := c.incarnation(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	ids, err := c.driven(ctx, incarnation, 2)
	if err != nil {
		return nil, err
	}
	killed := time.Now()
	n.process.Stop(syscall.SIGKILL, time.Minute)
	over := time.Now().UnixMicro() // from here on it grants nothing
	until := time.Now().Add(patience)
	for _, id := range ids {
		for {
			var next, left int64
			err := c.Rows.QueryRowContext(ctx, `
				SELECT coalesce(min(t.granted_at) FILTER (WHERE t.granted_at > $2), 0), count(DISTINCT i.id) FILTER (WHERE i.state < 9)
				FROM instance i LEFT JOIN task t ON t.instance_id = i.id WHERE i.id = $1`, id, over).Scan(&next, &left)
			if err != nil {
				return nil, fmt.Errorf("next step: %w", err)
			}
			if next != 0 {
				gaps = append(gaps, float64(next-killed.UnixMicro()))
			}
			if next != 0 || left == 0 { // it had no step left
				break
			}
			if time.Now().After(until) {
				return nil, fmt.Errorf("run %d does not go on %s after its master was killed", id, patience)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return gaps, c.Start(ctx, n)
}

// steady is how long a worker lives until its supervisor starts it again at once: one that dies again and
// again waits longer each time, which is not what is measured.
const steady = 10 * time.Second

// KillWorkers kills, again and again, the process of a worker that works, not its supervisor, while tasks
// of a run run there. It returns the µs until the worker, with its tasks adopted, is ready again. Each task
// was begun once, or that is an error.
func (c *Cluster) KillWorkers(ctx context.Context, f Flow, kills int) (took []float64, err error) {
	restarted := map[*Node]time.Time{}
	for i := range kills {
		n := c.Workers[i%len(c.Workers)]
		if err := n.process.Until(ctx, time.Minute, time.Millisecond, func(ctx context.Context) error {
			if left := steady - time.Since(restarted[n]); left > 0 {
				return fmt.Errorf("it was started again %s ago", steady-left)
			}
			return n.ready(ctx)
		}); err != nil {
			return took, err
		}
		one, err := c.killWorker(ctx, f, n)
		if err != nil {
			return took, err
		}
		restarted[n] = time.Now()
		took = append(took, one)
	}
	return took, nil
}

func (c *Cluster) killWorker(ctx context.Context, f Flow, n *Node) (took float64, err error) {
	mark, err := c.newest(ctx)
	if err != nil {
		return 0, err
	}
	id, _, err := c.running(ctx, f)
	if err != nil {
		return 0, err
	}
	limb, err := proc.Child(n.PID(), "proper")
	if err != nil {
		return 0, err
	}
	killed := time.Now()
	if err := syscall.Kill(limb, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("kill the worker: %w", err)
	}
	err = n.process.Until(ctx, time.Minute, time.Millisecond, func(ctx context.Context) error {
		if now, err := proc.Child(n.PID(), "proper"); err != nil || now == limb {
			return errors.Join(err, errors.New("it is not started again yet"))
		}
		return n.ready(ctx)
	})
	if err != nil {
		return 0, err
	}
	took = float64(time.Since(killed).Microseconds())
	if err := c.succeeded(ctx, f.Name, id); err != nil {
		return took, err
	}
	r := Result{Runs: 1}
	return took, c.settle(ctx, f, mark, &r)
}

// placed is a task of a run and where it is.
type placed struct{ ID, Worker, State string }

// running starts a run and waits until all its tasks run.
func (c *Cluster) running(ctx context.Context, f Flow) (id string, tasks []placed, err error) {
	if id, err = c.start(ctx, f.Name); err != nil {
		return "", nil, err
	}
	until := time.Now().Add(patience)
	for running := 0; running < f.Tasks; {
		var run struct{ Tasks []placed }
		if err := c.get(ctx, "/instances/"+id, &run); err != nil {
			return id, nil, err
		}
		running, tasks = 0, run.Tasks
		for _, t := range tasks {
			if t.State == "running" {
				running++
			}
		}
		if time.Now().After(until) {
			return id, tasks, fmt.Errorf("%d of %d tasks run after %s", running, f.Tasks, patience)
		}
	}
	return id, tasks, nil
}

// KillHost starts a run of tasks that take a while and kills everything of a worker at once, as when its
// host is gone. It returns, for each task that ran there, the µs until it begins elsewhere.
func (c *Cluster) KillHost(ctx context.Context, f Flow, n *Node) (took []float64, err error) {
	_, tasks, err := c.running(ctx, f)
	if err != nil {
		return nil, err
	}
	killed := time.Now()
	if err := proc.KillTree(n.PID()); err != nil {
		return nil, err
	}
	<-n.process.Done()
	over := time.Now().UnixMicro()
	until := time.Now().Add(patience)
	for _, t := range tasks {
		if t.Worker != n.Name {
			continue
		}
		for next := int64(0); next == 0; {
			if err := c.Rows.QueryRowContext(ctx, "SELECT coalesce(max(attempt_started_at), 0) FROM task WHERE id = $1::bigint AND attempt_started_at > $2", t.ID, over).Scan(&next); err != nil {
				return nil, fmt.Errorf("next try: %w", err)
			}
			if next != 0 {
				took = append(took, float64(next-killed.UnixMicro()))
			}
			if time.Now().After(until) {
				return nil, fmt.Errorf("task %s does not begin elsewhere %s after its host was killed", t.ID, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if len(took) == 0 {
		return nil, fmt.Errorf("no task ran on %s", n.Name)
	}
	return took, c.Start(ctx, n)
}
