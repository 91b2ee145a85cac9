// Grants: orders as they go to a worker, with what is looked up at the last moment.

package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// sendGrant makes an order a grant. A data source and an environment are looked up first, beside the loop: they are
// settings of the machines and no part of a run, so what counts is what they are now, and a copy of them kept here could
// be yesterday's.
func (m *Master) sendGrant(ctx context.Context, out *outgoing, e Grant) {
	if e.Order.Source == "" && e.Order.Environment == "" {
		f := out.frame(e.Conn)
		f.Grants = append(f.Grants, grantWith(e, nil))
		return
	}
	environment := out.environment(ctx, e.Order.Environment)
	go func() {
		source, err := m.complete(ctx, &e, environment)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			cause := flow.ReasonParameter
			if known, ok := errors.AsType[*flow.Error](err); ok && known.Field == "environment" {
				cause = flow.ReasonEnvironment
			}
			m.post(ctx, Unsendable{e.Order.Instance, e.Order.Task, e.Order.Token, cause, err.Error()})
			return
		}
		if st := m.stream(e.Conn); st != nil {
			st.push(&rpc.FromMaster{Master: m.node.Incarnation, Grants: []*rpc.Grant{grantWith(e, source)}})
		}
	}()
}

// complete adds to an order what its environment says, and returns its data source. An error is a fault of the task: it
// cannot run so.
func (m *Master) complete(ctx context.Context, e *Grant, environment func() (flow.Environment, error)) ([]byte, error) {
	if e.Order.Environment != "" {
		env, err := environment()
		if err != nil {
			return nil, err
		}
		if err := e.Order.Prepare(env); err != nil {
			return nil, err
		}
		if st := m.stream(e.Conn); env.Script != "" && st != nil && !st.sources() {
			return nil, flow.Errorf(flow.CodeNotSupported, "environment",
				"worker %s is of an earlier version and would leave out the script of environment %q: it must be updated first", st.worker(), env.Name)
		}
	}
	if e.Order.Source == "" {
		return nil, nil
	}
	return patiently(ctx, m, func(ctx context.Context) ([]byte, error) { return m.source(ctx, e.Order.Project, e.Order.Source) })
}

// environment reads an environment when it is first asked for, once for all grants of a step.
func (o *outgoing) environment(ctx context.Context, name string) func() (flow.Environment, error) {
	if name == "" {
		return nil
	}
	if o.environments == nil {
		o.environments = map[string]func() (flow.Environment, error){}
	}
	if o.environments[name] == nil {
		o.environments[name] = sync.OnceValues(func() (flow.Environment, error) {
			return patiently(ctx, o.m, func(ctx context.Context) (flow.Environment, error) { return o.m.store.Environment(ctx, name) })
		})
	}
	return o.environments[name]
}

// patiently asks the store until it answers: that it is away is no fault of the task.
func patiently[T any](ctx context.Context, m *Master, ask func(context.Context) (T, error)) (T, error) {
	for {
		asking, cancel := context.WithTimeout(ctx, m.patience())
		v, err := ask(asking)
		cancel()
		if err == nil || flow.CodeOf(err) == flow.CodeNotFound {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(m.cfg.Poll):
		}
	}
}

func (m *Master) source(ctx context.Context, project, name string) ([]byte, error) {
	all, err := m.store.DataSources(ctx, project)
	if err != nil {
		return nil, fmt.Errorf("data source %q: %w", name, err)
	}
	names := make([]string, 0, len(all))
	for i := range all {
		if all[i].Name == name {
			return json.Marshal(all[i])
		}
		names = append(names, all[i].Name)
	}
	has := "none"
	if len(names) > 0 {
		has = strings.Join(names, ", ")
	}
	return nil, flow.Errorf(flow.CodeNotFound, "datasource", "project %s has no data source %q; it has %s", project, name, has)
}

func grantWith(e Grant, source []byte) *rpc.Grant {
	g := grantOf(e.Order)
	g.Epoch, g.Source = e.Epoch, source
	return g
}

func grantOf(o engine.Order) *rpc.Grant {
	g := &rpc.Grant{
		Token: o.Token, Instance: int64(o.Instance), Task: int64(o.Task), Attempt: o.Number, TaskName: o.Name, Type: o.Type,
		Options: o.Options, Env: o.Env, Hold: o.Hold, LogPatterns: o.Patterns, Project: o.Project, Workflow: o.Workflow,
	}
	if o.Environment != "" {
		g.Setup = &rpc.Setup{Environment: o.Environment, Version: o.Setup.Version, Script: o.Setup.Script, Keep: o.Setup.Keep}
	}
	for _, s := range o.Secrets {
		g.Secrets = append(g.Secrets, &rpc.SecretEnv{Name: s.Name, FromEnv: s.Secret.Env, FromFile: s.Secret.File})
	}
	for _, f := range o.Files {
		g.Files = append(g.Files, &rpc.Resource{Name: path.Base(f.Path), Sha256: f.SHA256, Executable: f.Executable})
	}
	return g
}
