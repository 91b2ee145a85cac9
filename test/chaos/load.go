// The load: starts that are repeated until they are acknowledged, and verbs, through random apis.

package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// started is a start that was acknowledged.
type started struct {
	order
	id string
}

// startCall is one request to start, for the history of claims.
type startCall struct {
	key       string
	client    int
	read      bool // it asked whether the run is there
	call, ret time.Duration
	known     bool // it was answered
	id        string
	existing  bool
	found     bool
}

// given is a verb that was answered.
type given struct {
	id, verb, task string
	at             time.Time
}

// sighting is a state in which a run was seen.
type sighting struct {
	state    string
	from, to time.Time // when it was asked for and answered
}

func (r *run) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faulty = append(r.faulty, fmt.Sprintf(format, args...))
}

// begin starts a run, through another api whenever it is not acknowledged.
func (r *run) begin(ctx context.Context, s order, clientID int) (string, bool) {
	params := map[string]string{"ledger": r.ledger}
	maps.Copy(params, s.params)
	body := map[string]any{"workflow": s.workflow, "project": "default", "params": params}
	if s.date != "" {
		body["data_time"] = s.date
	}
	for api := s.api; ctx.Err() == nil; api++ {
		var in instance
		c := startCall{key: s.key, client: clientID, call: time.Since(r.begun)}
		_, err := r.client.call(ctx, api, http.MethodPost, "/api/v1/instances", body, &in, s.key)
		c.ret = time.Since(r.begun)
		if no, refused := errors.AsType[*refusal](err); refused {
			r.fault("start %s is refused: %v", s.key, no)
			return "", false
		}
		c.known, c.id, c.existing = err == nil, in.ID, in.Existing
		r.mu.Lock()
		r.calls = append(r.calls, c)
		if err == nil {
			r.started = append(r.started, &started{s, in.ID})
		}
		r.mu.Unlock()
		if err == nil {
			if s.read {
				r.look(ctx, s, in.ID, api+1, clientID)
			}
			return in.ID, true
		}
		wait(ctx, 100*time.Millisecond)
	}
	return "", false
}

// look asks another api for the run: what was acknowledged is there for all.
func (r *run) look(ctx context.Context, s order, id string, api, clientID int) {
	c := startCall{key: s.key, client: clientID, read: true, call: time.Since(r.begun), id: id}
	var in instance
	_, err := r.client.call(ctx, api, http.MethodGet, "/api/v1/instances/"+id, nil, &in, "")
	c.ret = time.Since(r.begun)
	var no *refusal
	switch {
	case err == nil:
		c.known, c.found = true, true
	case errors.As(err, &no) && no.status == http.StatusNotFound:
		c.known = true
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

// runs starts what is planned, evenly over a time, and gives the verbs.
func (r *run) runs(ctx context.Context, over time.Duration) {
	var all sync.WaitGroup
	pace := over / time.Duration(max(1, len(r.plan.starts)))
	slots := make(chan struct{}, 40)
	for i, s := range r.plan.starts {
		if due := time.Duration(i) * pace; due > time.Since(r.begun) {
			wait(ctx, due-time.Since(r.begun))
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			id, ok := r.begin(ctx, s, i)
			if !ok {
				return
			}
			for i, v := range s.verbs {
				wait(ctx, v.after)
				r.verb(ctx, s.verbAPI+i, id, v.verb, v.task)
			}
		})
	}
	all.Wait()
}

func verbPath(id, verb, task string) string {
	switch verb {
	case "kill", "retry", "hold", "release-task", "skip", "succeed":
		if verb == "release-task" {
			verb = "release"
		}
		return "/api/v1/instances/" + id + "/tasks/" + url.PathEscape(task) + "/" + verb
	}
	return "/api/v1/instances/" + id + "/" + verb
}

// verb gives one, once: an unanswered one may have been taken or not.
func (r *run) verb(ctx context.Context, api int, id, verb, task string) {
	_, err := r.client.call(ctx, api, http.MethodPost, verbPath(id, verb, task), nil, nil, "")
	var no *refusal
	if errors.As(err, &no) && no.status != http.StatusConflict && no.status != http.StatusNotFound {
		r.fault("%s %s of run %s is refused: %v", verb, task, id, err)
	}
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.verbs = append(r.verbs, given{id, verb, task, time.Now()})
	}
}

// pulses keeps runs of short steps going, as many as side, until ctx is done.
func (r *run) pulses(ctx, last context.Context, side int) {
	var next atomic.Int64
	var all sync.WaitGroup
	for i := range side {
		all.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(r.plan.pulses) {
					return
				}
				id, ok := r.begin(last, r.plan.pulses[n], 1_000_000+i)
				for ok && ctx.Err() == nil {
					var w struct {
						Reached bool `json:"reached"`
					}
					if _, err := r.client.call(ctx, n, http.MethodGet, "/api/v1/instances/"+id+"/wait?timeout=10s", nil, &w, ""); err != nil {
						n++
						wait(ctx, 50*time.Millisecond)
						continue
					}
					if w.Reached {
						break
					}
				}
			}
		})
	}
	all.Wait()
}

// observe notes in which states runs are seen, until ctx is done.
func (r *run) observe(ctx context.Context) {
	rng := rand.New(rand.NewPCG(r.opt.Seed, 3))
	for ctx.Err() == nil {
		from := time.Now()
		var page list[instance]
		if _, err := r.client.call(ctx, rng.IntN(2), http.MethodGet, "/api/v1/instances?limit=200", nil, &page, ""); err == nil {
			r.see(page.Items, from, time.Now())
		}
		wait(ctx, 300*time.Millisecond)
	}
}

func (r *run) see(items []instance, from, to time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range items {
		all := r.seen[in.ID]
		if len(all) > 0 && all[len(all)-1].state == in.State {
			all[len(all)-1].to = to
			continue
		}
		r.seen[in.ID] = append(all, sighting{in.State, from, to})
	}
}

var ended = map[string]bool{"succeeded": true, "failed": true, "stopped": true}

// settle moves on what waits for a person, until every run has ended or ctx is done. It returns those
// that have not.
func (r *run) settle(ctx context.Context) (open []instance) {
	for {
		list, err := all[instance](ctx, r.client, "/api/v1/instances")
		if err == nil {
			open = slices.DeleteFunc(list, func(in instance) bool { return ended[in.State] })
			if len(open) == 0 {
				return nil
			}
		}
		for _, in := range open[:min(len(open), 50)] {
			r.help(ctx, in.ID)
		}
		wait(ctx, 300*time.Millisecond)
		if ctx.Err() != nil {
			return open
		}
	}
}

func (r *run) help(ctx context.Context, id string) {
	var in instance
	if r.client.get(ctx, "/api/v1/instances/"+id, &in) != nil {
		return
	}
	if in.State == "paused" {
		r.verb(ctx, 0, id, "resume", "")
		return
	}
	for _, t := range in.Tasks {
		switch {
		case !t.Valid:
		case t.State == "unknown":
			r.verb(ctx, 1, id, "succeed", t.Name)
		case t.Held && !ended[in.State]:
			r.verb(ctx, 1, id, "release-task", t.Name)
		}
	}
}
