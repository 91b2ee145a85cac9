// Package peer builds, starts and drives the systems that Baton is measured beside.
//
// It must not know Baton. A peer that cannot be had is no error of a run: it is not measured, and
// the report says why.
package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"baton/bench/internal/proc"
)

// Versions that are measured. An executable in the cache carries its version in its name.
const (
	TemporalServer = "v1.31.2"
	temporalModule = "go.temporal.io/server"
	TemporalSDK    = "v1.50.0" // as in peers/temporal/go.mod
	River          = "v0.51.0" // as in peers/river/go.mod
)

// Order is what a driver is told; each driver knows some shapes and fields.
type Order struct {
	Shape   string  `json:"shape"`
	Steps   int     `json:"steps,omitempty"`
	Clients int     `json:"clients,omitempty"`
	Count   int     `json:"count,omitempty"`
	Jobs    int     `json:"jobs,omitempty"`
	Tuned   bool    `json:"tuned,omitempty"`
	Rate    float64 `json:"rate,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Answer is what came of it.
type Answer struct {
	Error     string    `json:"error"`
	Workflows int       `json:"workflows"`
	Steps     int       `json:"steps"`
	Done      int       `json:"done"`
	Seconds   float64   `json:"seconds"`
	Whole     []float64 `json:"whole"`
	Gaps      []float64 `json:"gaps"`
	CPU       time.Duration
}

// Driver is a running program of peers/.
type Driver struct {
	process *proc.Proc
	orders  *json.Encoder
	close   func()
	answers chan Answer
	weigh   []int // roots of all processes of the peer
}

// drive starts a driver and waits until it is ready.
func drive(ctx context.Context, name, path, dir string, weigh []int, args ...string) (*Driver, error) {
	in, orders, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to %s: %w", name, err)
	}
	lines, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe from %s: %w", name, err)
	}
	p, err := proc.Start(proc.Spec{Name: name, Dir: dir, Path: path, Args: args, Stdin: in, Stdout: out})
	_, _ = in.Close(), out.Close() // the child has its own
	if err != nil {
		return nil, errors.Join(err, orders.Close(), lines.Close())
	}
	d := &Driver{process: p, orders: json.NewEncoder(orders), answers: make(chan Answer), weigh: append([]int{p.PID}, weigh...)}
	d.close = func() { _ = orders.Close() }
	go func() {
		defer close(d.answers)
		defer lines.Close()
		dec := json.NewDecoder(bufio.NewReaderSize(lines, 1<<20))
		for {
			var a Answer
			if err := dec.Decode(&a); err != nil {
				return
			}
			d.answers <- a
		}
	}()
	if _, err := d.answer(ctx, 2*time.Minute); err != nil {
		d.Stop()
		return nil, err
	}
	return d, nil
}

func (d *Driver) answer(ctx context.Context, limit time.Duration) (Answer, error) {
	select {
	case a, open := <-d.answers:
		if !open {
			return a, fmt.Errorf("%s ended: %w: %s", d.process.Name, io.ErrUnexpectedEOF, d.process.Tail())
		}
		if a.Error != "" {
			return a, fmt.Errorf("%s: %s", d.process.Name, a.Error)
		}
		return a, nil
	case <-time.After(limit):
		return Answer{}, fmt.Errorf("%s says nothing for %s: %s", d.process.Name, limit, d.process.Tail())
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

// Do carries an order out, and weighs it.
func (d *Driver) Do(ctx context.Context, o Order) (Answer, error) {
	before := proc.CPU(d.weigh...)
	if err := d.orders.Encode(o); err != nil {
		return Answer{}, fmt.Errorf("order to %s: %w", d.process.Name, err)
	}
	a, err := d.answer(ctx, 5*time.Minute)
	a.CPU = proc.CPU(d.weigh...) - before
	return a, err
}

// Stop ends the driver.
func (d *Driver) Stop() {
	if d == nil {
		return
	}
	d.close()
	go func() {
		for range d.answers { // nobody waits for them any more
		}
	}()
	d.process.Stop(syscall.SIGTERM, 5*time.Second)
}

// install builds a program of a module of others, once.
func install(ctx context.Context, cache, pkg, version, name string) (string, error) {
	path := filepath.Join(cache, name+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	dir, err := os.MkdirTemp(cache, "install-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "go", "install", pkg+"@"+version)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s@%s: %w: %s", pkg, version, err, tail(out))
	}
	if err := os.Rename(filepath.Join(dir, filepath.Base(pkg)), path); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

// build makes a driver of peers/.
func build(ctx context.Context, cache, bench, name string) (string, error) {
	path := filepath.Join(cache, name+"-driver")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, ".")
	cmd.Dir = filepath.Join(bench, "peers", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build peers/%s: %w: %s", name, err, tail(out))
	}
	return path, nil
}

func tail(out []byte) []byte { return out[max(0, len(out)-600):] }
