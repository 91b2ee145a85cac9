// Attempts that run inside the worker.

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
)

// returnWithin is how long, after its grace, a cancelled function may take to return.
const returnWithin = time.Second

// runFunction calls the type. A function that needs no files gets no work folder: it may make it.
func (r *run) runFunction(ctx context.Context, a *task.Attempt) End {
	t, _ := r.w.types.Get(r.grant.GetType())
	fn, ok := t.(task.Function)
	if !ok {
		return infrastructure("run", fmt.Errorf("type %q is no function", r.grant.GetType()))
	}
	r.mu.Lock()
	r.began = flow.At(time.Now())
	r.mu.Unlock()
	if err := r.source(ctx, a); err != nil {
		return r.noSecret(err)
	}
	if len(r.grant.GetFiles()) > 0 {
		if end, ok := r.layOut(ctx, a.Dir); !ok {
			return end
		}
	}
	// A goroutine cannot be killed. One that does not return is given up, and said to be
	// unconfirmed, so that it does not hold the session's other attempts up.
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		wait := r.grace + returnWithin
		r.mu.Unlock()
		time.AfterFunc(wait, func() {
			end := killedEnd()
			end.Confirmed, end.Reason = false, "the function was told to stop and did not return"
			r.finish(end)
		})
	})()
	out, err := fn.Run(ctx, a)
	os.RemoveAll(a.Dir) //nolint:errcheck // cleared at the next start at the latest
	switch {
	case err != nil && r.isKilled():
		return killedEnd()
	case err != nil:
		return failure(err)
	}
	if err := out.Check("hand on less"); err != nil {
		return failure(err)
	}
	return succeeded(out, r.secrets)
}

// succeeded is a good end with outputs.
func succeeded(out task.Outputs, secrets []string) End {
	e := End{State: flow.AttemptSucceeded, ExitCode: flow.NoExit, Confirmed: true}
	if len(out) == 0 {
		return e
	}
	b, err := json.Marshal(maskOutputs(out, secrets))
	if err != nil {
		return failed(flow.ClassUser, task.CauseOutputs, fmt.Sprintf("the outputs are no JSON: %v", err))
	}
	if !storable(b) {
		return failed(flow.ClassUser, task.CauseOutputs, "the outputs hold characters that cannot be stored: NUL, or bytes that are no UTF-8")
	}
	e.Outputs = b
	return e
}
