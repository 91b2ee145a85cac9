// One attempt being run: what functions and processes have in common.

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/secret"
	"baton/internal/task"
	"baton/internal/worker/tasklog"
)

// run is an attempt between Start and Finished. One goroutine works for it.
type run struct {
	w       *Worker
	grant   *rpc.Grant
	secrets []string // values that are masked
	found   findings
	log     *tasklog.Log
	cancel  context.CancelFunc

	lasting bool     // the log outlives this process
	staging *os.File // of one with secrets
	away    func()   // clears the work folder away when nobody can need it again

	mu      sync.Mutex
	began   flow.Time
	killed  bool
	grace   time.Duration
	process process // once it runs
	over    bool    // Finished was said
}

// start begins an attempt. It does not fail: what goes wrong is how the attempt ends.
func (w *Worker) start(ctx context.Context, e Start) {
	g := e.Grant
	r := &run{w: w, grant: g, found: findings{patterns: g.GetLogPatterns()}}
	ctx, r.cancel = context.WithCancel(ctx)
	r.log = w.logs.Begin(r.key(), r.logOptions(e.Kind))
	w.runs[g.GetToken()] = r
	// Nobody waits for this goroutine but Core, by its Finished: a function that does not return
	// must not keep the worker from ending.
	go func() {
		defer r.cancel()
		defer func() {
			if p := recover(); p != nil {
				fmt.Fprintf(r.log, "panic: %v\n%s", p, debug.Stack()) //nolint:errcheck // a log does not fail
				r.finish(failed(flow.ClassUser, "panic", fmt.Sprintf("the task type panicked: %v", p)))
			}
		}()
		if s := g.GetSetup(); s != nil { // another may be the newest when somebody asks
			r.log.Notef("environment %s, version %d", s.GetEnvironment(), s.GetVersion())
		}
		env, err := r.environment(ctx)
		if err != nil {
			r.finish(r.noSecret(err))
			return
		}
		r.conceal()
		a := r.attempt(env)
		if e.Kind == KindProcess {
			r.finish(r.runProcess(ctx, a))
			r.clearAway()
		} else {
			r.finish(r.runFunction(ctx, a))
		}
	}()
}

func (r *run) key() tasklog.Key {
	return tasklog.Key{Instance: r.grant.GetInstance(), Task: r.grant.GetTask(), Token: r.grant.GetToken()}
}

// logOptions are those of the attempt's log. That of a process outlives a worker proper.
func (r *run) logOptions(kind Kind) tasklog.Options {
	o := tasklog.Options{Lasting: kind == KindProcess && r.w.below}
	if kind == KindProcess || len(r.grant.GetLogPatterns()) > 0 {
		o.Line = r.found.line
	}
	r.lasting = o.Lasting
	return o
}

// conceal masks the attempt's secrets in its log.
func (r *run) conceal() {
	if r.lasting && len(r.secrets) > 0 {
		// Without it (no memory, no more files) a byte may be lost when this process dies in the
		// middle of a write.
		r.staging, _ = tasklog.NewStaging()
	}
	r.log.Conceal(r.secrets, r.staging)
}

// attempt is what the task type sees.
func (r *run) attempt(env map[string]string) *task.Attempt {
	g := r.grant
	return &task.Attempt{
		Token: g.GetToken(), Instance: flow.ID(g.GetInstance()), Task: flow.ID(g.GetTask()), Number: g.GetAttempt(),
		Name: g.GetTaskName(), Project: g.GetProject(), Workflow: g.GetWorkflow(),
		Options: g.GetOptions(), Env: env, Dir: r.dir(), Log: r.log, Alive: r.log.Alive,
	}
}

func (r *run) dir() string { return r.w.path("work", tokenName(r.grant.GetToken())) }

// environment returns the attempt's variables with its secrets, whose values are remembered for
// masking.
func (r *run) environment(ctx context.Context) (map[string]string, error) {
	if len(r.grant.GetSecrets()) == 0 {
		return r.grant.GetEnv(), nil
	}
	env := maps.Clone(r.grant.GetEnv())
	if env == nil {
		env = map[string]string{}
	}
	for _, s := range r.grant.GetSecrets() {
		v, err := secret.Value(ctx, &flow.Secret{Env: s.GetFromEnv(), File: s.GetFromFile()}, theWorker)
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", s.GetName(), err)
		}
		env[s.GetName()] = v
		r.secrets = append(r.secrets, v)
	}
	return env, nil
}

// source returns the attempt's data source and its password.
func (r *run) source(ctx context.Context, a *task.Attempt) error {
	if len(r.grant.GetSource()) == 0 {
		return nil
	}
	a.Source = &flow.DataSource{}
	if err := json.Unmarshal(r.grant.GetSource(), a.Source); err != nil {
		return fmt.Errorf("data source: %w", err)
	}
	if a.Source.Password == nil {
		return nil
	}
	v, err := secret.Value(ctx, a.Source.Password, theWorker)
	if err != nil {
		return fmt.Errorf("password of data source %s: %w", a.Source.Name, err)
	}
	a.Password = v
	return nil
}

// kill orders the end of the run.
func (r *run) kill(grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed, r.grace = true, grace
	r.cancel()
	if r.process != nil {
		r.process.Kill(grace)
	}
}

func (r *run) isKilled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.killed
}

// finish says how it ended, once.
func (r *run) finish(e End) {
	r.mu.Lock()
	over := r.over
	r.over = true
	e.StartedAt = r.began
	r.mu.Unlock()
	if over {
		return
	}
	if len(r.secrets) > 0 {
		e.Reason = string(tasklog.Mask([]byte(e.Reason), r.secrets))
	}
	r.tell(e)
	if err := r.log.Close(); err != nil {
		r.w.log.Warn("log of attempt not complete", slog.Int64("token", r.grant.GetToken()), slog.Any("error", err))
	}
	if r.staging != nil {
		r.staging.Close() // in memory; whoever goes on with the attempt has a copy
	}
	e.Matched = r.found.matchedPatterns()
	e.EndedAt = flow.At(time.Now())
	r.w.box.put(Finished{r.grant.GetToken(), e})
}

// tell ends the log with why the attempt failed: the log is where a person looks first. A command
// with an exit code of its own has said it there.
func (r *run) tell(e End) {
	if e.State == flow.AttemptFailed && e.Reason != "" && (e.ExitCode == 0 || e.ExitCode == flow.NoExit) {
		r.log.Notef("%s", e.Reason)
	}
}

func failed(class flow.Class, cause, reason string) End {
	return End{State: flow.AttemptFailed, ExitCode: flow.NoExit, Class: class, Cause: cause, Reason: reason, Confirmed: true}
}

func killedEnd() End {
	return End{State: flow.AttemptKilled, ExitCode: flow.NoExit, Cause: "killed", Confirmed: true}
}

// infrastructure is a failure of this worker, not of the task.
func infrastructure(doing string, err error) End {
	return failed(flow.ClassInfrastructure, "worker", fmt.Sprintf("%s: %v", doing, err))
}

// unable is a failure of this worker that would meet any other attempt too.
func unable(doing string, err error) End {
	e := infrastructure(doing, err)
	e.Unable = true
	return e
}

// failure makes an end of an error of a task type.
func failure(err error) End {
	e := failed(flow.ClassUser, "error", err.Error())
	if f := (*task.Failure)(nil); errors.As(err, &f) && f.Cause != "" {
		e.Cause = f.Cause
	}
	return e
}

// theWorker is who cannot read a secret, in errors.
const theWorker = "the worker"

// noSecret is the end of an attempt whose secret could not be had.
func (r *run) noSecret(err error) End {
	if r.isKilled() {
		return killedEnd()
	}
	return failed(flow.ClassUser, "secret", err.Error())
}
