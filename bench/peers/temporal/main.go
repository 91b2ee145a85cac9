// Temporal's SDK, driven by bench through package driver.
//
// It is worker and client of a server that bench started: chains and fan-outs of activities that
// do nothing, or run a shell command.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"

	"baton/bench/peers/driver"
)

type order struct {
	Shape   string  `json:"shape"` // chain, fan, shell
	Steps   int     `json:"steps"`
	Clients int     `json:"clients"` // each starts one after the other
	Count   int     `json:"count"`   // as many in all, or
	Seconds float64 `json:"seconds"` // as many as start in that time
	Rate    float64 `json:"rate"`    // start so many a second, whether the ones before ended or not
}

type answer struct {
	Workflows int       `json:"workflows"`
	Steps     int       `json:"steps"`
	Seconds   float64   `json:"seconds"`
	Whole     []float64 `json:"whole"` // µs from start to result
	Gaps      []float64 `json:"gaps"`  // µs from the end of a step to the start of the next
}

// span is when an activity ran, in nanoseconds.
type span struct{ Start, End int64 }

func noop(context.Context) (span, error) {
	now := time.Now().UnixNano()
	return span{now, time.Now().UnixNano()}, nil
}

func shell(context.Context) (string, error) { return driver.Shell() }

func activities(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
}

func chain(ctx workflow.Context, steps int) ([]span, error) {
	ctx = activities(ctx)
	out := make([]span, steps)
	for i := range out {
		if err := workflow.ExecuteActivity(ctx, noop).Get(ctx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fan(ctx workflow.Context, steps int) ([]span, error) {
	return nil, parallel(activities(ctx), noop, steps)
}

func shells(ctx workflow.Context, steps int) ([]span, error) {
	return nil, parallel(activities(ctx), shell, steps)
}

func parallel(ctx workflow.Context, activity any, steps int) error {
	futures := make([]workflow.Future, steps)
	for i := range futures {
		futures[i] = workflow.ExecuteActivity(ctx, activity)
	}
	for _, f := range futures {
		if err := f.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

type world struct {
	client client.Client
	seq    atomic.Int64
}

func (w *world) one(ctx context.Context, o order) (time.Duration, []span, error) {
	kind := map[string]any{"chain": chain, "fan": fan, "shell": shells}[o.Shape]
	if kind == nil {
		return 0, nil, fmt.Errorf("no shape %q", o.Shape)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	start := time.Now()
	run, err := w.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "q", ID: fmt.Sprintf("b-%d-%d", os.Getpid(), w.seq.Add(1))}, kind, o.Steps)
	if err != nil {
		return 0, nil, err
	}
	var spans []span
	err = run.Get(ctx, &spans)
	return time.Since(start), spans, err
}

func (w *world) run(ctx context.Context, o order) (a answer, failed error) {
	var mu sync.Mutex
	once := func() {
		whole, spans, err := w.one(ctx, o)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = err
			return
		}
		a.Workflows++
		a.Steps += o.Steps
		a.Whole = append(a.Whole, float64(whole.Microseconds()))
		for i := 1; i < len(spans); i++ {
			a.Gaps = append(a.Gaps, float64(spans[i].Start-spans[i-1].End)/1000)
		}
	}
	start := time.Now()
	var group sync.WaitGroup
	if o.Rate > 0 {
		for i := range int(o.Rate * o.Seconds) {
			time.Sleep(time.Until(start.Add(time.Duration(float64(i) / o.Rate * float64(time.Second)))))
			group.Go(once)
		}
	}
	var left atomic.Int64
	left.Store(int64(o.Count))
	for range o.Clients {
		group.Go(func() {
			for {
				if o.Count > 0 && left.Add(-1) < 0 || o.Count == 0 && time.Since(start).Seconds() >= o.Seconds {
					return
				}
				once()
			}
		})
	}
	group.Wait()
	a.Seconds = time.Since(start).Seconds()
	return a, failed
}

func dial(ctx context.Context, addr string) (client.Client, error) {
	log := tlog.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	opts := client.Options{HostPort: addr, Logger: log}
	var names client.NamespaceClient
	err := patiently(func() (err error) { names, err = client.NewNamespaceClient(opts); return err })
	if err != nil {
		return nil, err
	}
	err = patiently(func() error {
		err := names.Register(ctx, &workflowservice.RegisterNamespaceRequest{Namespace: "default", WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
		if err != nil && strings.Contains(err.Error(), "already") {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var c client.Client
	err = patiently(func() (err error) { c, err = client.Dial(opts); return err })
	return c, err
}

func patiently(f func() error) (err error) {
	for range 200 {
		if err = f(); err == nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

func main() {
	driver.Main(func(address string) error { return serve(context.Background(), address) })
}

func serve(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	w := &world{client: c}
	work := worker.New(c, "q", worker.Options{MaxConcurrentActivityTaskPollers: 8, MaxConcurrentWorkflowTaskPollers: 8})
	work.RegisterWorkflow(chain)
	work.RegisterWorkflow(fan)
	work.RegisterWorkflow(shells)
	work.RegisterActivity(noop)
	work.RegisterActivity(shell)
	if err := work.Start(); err != nil {
		return err
	}
	defer work.Stop()
	// A new namespace is known to all services after their cache is renewed, some ten seconds.
	if err := patiently(func() error { _, _, err := w.one(ctx, order{Shape: "chain", Steps: 1}); return err }); err != nil {
		return err
	}
	return driver.Serve(func(o order) (answer, error) { return w.run(ctx, o) })
}
