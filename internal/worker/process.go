// Attempts that run as a process: the work folder, the files, the process, its outputs.

package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
	"baton/internal/task"
	"baton/internal/worker/supervisor"
)

// OutputVar names the file for outputs, beside the work folder, which stays empty.
const OutputVar = "BATON_OUTPUT"

func (r *run) runProcess(ctx context.Context, a *task.Attempt) End {
	output := a.Dir + outputSuffix
	if err := r.w.folders.take(a.Dir); err != nil {
		return unable("make work folder", err)
	}
	r.clearLater(a.Dir)
	if !r.w.below {
		defer r.clearAway()
	}
	if end, ok := r.layOut(ctx, a.Dir); !ok {
		return end
	}
	if end, ok := r.prepare(a); !ok {
		return end
	}
	env := make(map[string]string, len(a.Env)+1)
	maps.Copy(env, a.Env)
	env[OutputVar] = output
	a.Env = env
	p, end, ok := r.startProcess(ctx, a)
	if !ok {
		return end
	}
	return r.seeOut(p, output)
}

// What makes names of files of that of the work folder, which stays empty: a task may want it so.
const (
	outputSuffix = ".output"
	setupSuffix  = ".environment"
)

// prepare writes down what the attempt's environment wants sourced.
func (r *run) prepare(a *task.Attempt) (End, bool) {
	s := r.grant.GetSetup()
	if s.GetScript() == "" {
		return End{}, true
	}
	a.Setup = &task.Setup{File: a.Dir + setupSuffix, Keep: s.GetKeep()}
	if err := os.WriteFile(a.Setup.File, []byte(s.GetScript()), 0o644); err != nil { //nolint:gosec // the tenant, another user, must read it; secrets are in variables
		return unable("write the script of the environment", err), false
	}
	return End{}, true
}

// clearLater notes what clearAway has to do.
func (r *run) clearLater(dir string) {
	r.away = func() {
		r.w.folders.give(dir)
		unix.Unlink(dir + outputSuffix) //nolint:errcheck // mostly it was never made
		unix.Unlink(dir + setupSuffix)  //nolint:errcheck // likewise
	}
}

// clearAway removes the work folder and the outputs. Below a supervisor that waits for the result to
// be in the journal: until then another worker proper may have to look for it again.
func (r *run) clearAway() {
	if r.away == nil {
		return
	}
	if kept, ok := r.process.(interface{ Released() <-chan struct{} }); ok {
		<-kept.Released()
	}
	r.away()
	r.away = nil
}

// seeOut waits for the end of a process and makes a result of it.
func (r *run) seeOut(p process, output string) End {
	exit := p.Wait()
	r.log.Flush()
	if exit.LeftBehind > 0 {
		r.log.Notef("the task ended and left %d processes running; they were killed", exit.LeftBehind)
	}
	end := r.judgeExit(exit, output)
	used := p.Usage()
	end.CPU, end.Memory = used.CPU, used.Memory
	return end
}

// startProcess starts the command unless a kill came first.
func (r *run) startProcess(ctx context.Context, a *task.Attempt) (process, End, bool) {
	t, _ := r.w.types.Get(r.grant.GetType())
	pt, ok := t.(task.Process)
	if !ok {
		return nil, infrastructure("run", fmt.Errorf("type %q is no process", r.grant.GetType())), false
	}
	if err := r.source(ctx, a); err != nil {
		return nil, r.noSecret(err), false
	}
	cmd, err := pt.Command(a)
	if err != nil {
		return nil, commandError(err), false
	}
	if a.Setup != nil && !cmd.Sourced {
		cmd.Args = a.Setup.Around(cmd.Args)
	}
	maps.Copy(a.Env, cmd.Env)
	if len(cmd.Args) == 0 {
		return nil, failed(flow.ClassUser, "start", "the task type gave no command"), false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return nil, killedEnd(), false
	}
	p, err := r.w.over.start(r, supervisor.Spec{Token: a.Token, Args: cmd.Args, Env: a.Env, Dir: a.Dir})
	if err != nil {
		end := failed(flow.ClassUser, "start", err.Error())
		if se := (*supervisor.StartError)(nil); errors.As(err, &se) && se.Ours {
			end.Class, end.Unable = flow.ClassInfrastructure, true
		}
		return nil, end, false
	}
	r.process = p
	r.w.box.put(Began{Token: a.Token, At: r.began, Process: p.Identity(), Journaled: r.w.below})
	return p, End{}, true
}

// commandError tells a full disk from a mistake of the task.
func commandError(err error) End {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
		return unable("prepare command", err)
	}
	return failure(err)
}

// judgeExit makes an end of how the process ended and what it handed on.
func (r *run) judgeExit(exit supervisor.Exit, output string) End {
	e := End{State: flow.AttemptFailed, ExitCode: flow.NoExit, Class: flow.ClassUser, Confirmed: true}
	switch {
	case exit.Isolated:
		e = failed(flow.ClassInfrastructure, flow.ReasonWorkerLost, "the supervisor heard of no renewal of the lease and stopped the attempt, so that a successor may begin")
		e.State = flow.AttemptLost
		return e
	case exit.Killed:
		return killedEnd()
	case exit.Signal != 0:
		e.Cause = "signal:" + unix.SignalName(exit.Signal)
		e.Reason = fmt.Sprintf("the process was ended by %s, which Baton did not send", unix.SignalName(exit.Signal))
		return e
	case exit.Code != 0:
		e.ExitCode, e.Cause = int32(exit.Code), "exit:"+strconv.Itoa(exit.Code)
		e.Reason = "the process ended with exit code " + strconv.Itoa(exit.Code)
		return e
	}
	out, err := r.found.outputs(output)
	if err != nil {
		e = failure(err)
	} else {
		e = succeeded(out, r.secrets)
	}
	e.ExitCode = 0
	return e
}

// layOut puts the attempt's files into its folder, which is made if there are any.
func (r *run) layOut(ctx context.Context, dir string) (End, bool) {
	if len(r.grant.GetFiles()) == 0 {
		return End{}, true
	}
	if err := os.MkdirAll(dir, workMode); err != nil {
		return unable("make work folder", err), false
	}
	ctx, cancel := context.WithTimeout(ctx, r.w.cfg.FetchTimeout)
	defer cancel()
	for _, f := range r.grant.GetFiles() {
		name := f.GetName()
		if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
			return failed(flow.ClassUser, "files", fmt.Sprintf("file %q is not a plain name", name)), false
		}
		if err := r.w.blobs.place(ctx, f.GetSha256(), filepath.Join(dir, name), f.GetExecutable()); err != nil {
			if r.isKilled() {
				return killedEnd(), false
			}
			return infrastructure(fmt.Sprintf("get file %q", name), err), false
		}
	}
	return End{}, true
}

func tokenName(token int64) string { return strconv.FormatInt(token, 10) }
