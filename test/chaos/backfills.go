// Backfills: one run for each of many dates.

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

const triggerBackfill = "backfill"

// backfillOrder is a backfill that is planned.
type backfillOrder struct {
	key      string
	dates    int
	parallel int
	first    time.Time
	pause    time.Duration // after which it is paused, and so long; 0: it is not
	api      int
}

func planBackfills(o Options, rng *rand.Rand) []backfillOrder {
	out := make([]backfillOrder, 1+o.Tasks/100)
	for i := range out {
		out[i] = backfillOrder{
			key: fmt.Sprintf("backfill-%d-%d", o.Seed, i), dates: 4 + rng.IntN(8), parallel: 1 + rng.IntN(3),
			first: time.Date(2000+i, 1, 1, 0, 0, 0, 0, time.UTC), api: rng.IntN(2),
		}
		if rng.IntN(2) == 0 {
			out[i].pause = time.Duration(rng.IntN(2000)) * time.Millisecond
		}
	}
	return out
}

func (o backfillOrder) list() (dates []string) {
	for i := range o.dates {
		dates = append(dates, o.first.AddDate(0, 0, i).Format(time.RFC3339))
	}
	return dates
}

// backfill is what the API tells of one.
type backfill struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Workflow string    `json:"workflow"`
	Items    []dateRun `json:"items"`
}

// dateRun is a date of a backfill and its run.
type dateRun struct {
	DataTime time.Time `json:"data_time"`
	Instance string    `json:"instance"`
}

// persist asks one api after the other until one answers; false: what was asked is refused.
func (r *run) persist(ctx context.Context, api int, method, path string, body, into any, key string) bool {
	for ; ctx.Err() == nil; api++ {
		_, err := r.client.call(ctx, api, method, path, body, into, key)
		if err == nil {
			return true
		}
		if no, refused := errors.AsType[*refusal](err); refused {
			if no.status != http.StatusConflict {
				r.fault("%s is refused: %v", path, no)
			}
			return false
		}
		wait(ctx, 100*time.Millisecond)
	}
	return false
}

// backfills orders what is planned, evenly over a time.
func (r *run) backfills(ctx context.Context, over time.Duration) {
	for _, o := range r.plan.backfills {
		body := map[string]any{
			"workflow": dated, "project": "default", "dates": o.list(), "parallel": o.parallel, "params": map[string]string{"ledger": r.ledger, "nap": "0.3"},
		}
		var made backfill
		if !r.persist(ctx, o.api, http.MethodPost, "/api/v1/backfills", body, &made, o.key) {
			r.fault("backfill %s was not taken", o.key)
			continue
		}
		r.mu.Lock()
		r.filled = append(r.filled, filled{o, made.ID})
		r.mu.Unlock()
		if o.pause > 0 { // when it has ended meanwhile, both are refused
			wait(ctx, o.pause)
			if r.persist(ctx, o.api+1, http.MethodPost, "/api/v1/backfills/"+made.ID+"/pause", nil, nil, "") {
				wait(ctx, o.pause)
				r.persist(ctx, o.api, http.MethodPost, "/api/v1/backfills/"+made.ID+"/resume", nil, nil, "")
			}
		}
		wait(ctx, over/time.Duration(2*len(r.plan.backfills)))
	}
}

// filled is a backfill that was acknowledged.
type filled struct {
	backfillOrder
	id string
}

var endedBackfill = map[string]bool{"succeeded": true, "failed": true, "stopped": true}

// backfilled waits until no date of a backfill is left to begin: what settles runs does not know of them.
func (r *run) backfilled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	poll(ctx, 300*time.Millisecond, func() bool {
		return !slices.ContainsFunc(r.filled, func(f filled) bool {
			var b backfill
			return r.client.get(ctx, "/api/v1/backfills/"+f.id, &b) != nil || slices.ContainsFunc(b.Items, func(i dateRun) bool { return i.Instance == "" })
		})
	})
}

// checkBackfills: each date has one run and each such run is of one date; no more went on at a time than may; all is over.
func (r *run) checkBackfills(ctx context.Context, pasts []past) error {
	of := map[string]past{}
	for _, p := range pasts {
		if p.Trigger == triggerBackfill {
			of[p.ID] = p
		}
	}
	made, err := all[backfill](ctx, r.client, "/api/v1/backfills")
	if err != nil {
		return err
	}
	if len(made) != len(r.filled) {
		r.violate(invBackfills, "", "%d backfills were ordered, %d are there", len(r.filled), len(made))
	}
	for _, f := range r.filled {
		var b backfill
		if err := r.client.get(ctx, "/api/v1/backfills/"+f.id, &b); err != nil {
			r.violate(invBackfills, "", "backfill %s was acknowledged: %v", f.id, err)
			continue
		}
		r.looked(invBackfills, f.dates)
		if !endedBackfill[b.State] || len(b.Items) != f.dates {
			r.violate(invBackfills, "", "backfill %s of %d dates is %s, with %d dates", f.id, f.dates, b.State, len(b.Items))
		}
		var going []holding
		for _, i := range b.Items {
			p, there := of[i.Instance]
			switch {
			case !there:
				r.violate(invBackfills, i.Instance, "backfill %s: the run %q of %s is not there, or of another date too", f.id, i.Instance, clock(i.DataTime))
				continue
			case !p.DataTime.Equal(i.DataTime) || p.Workflow != dated || !ended[p.State]:
				r.violate(invBackfills, p.ID, "backfill %s: run %s of %s is of workflow %s, for %s, and %s", f.id, p.ID, i.DataTime, p.Workflow, p.DataTime, p.State)
			}
			delete(of, i.Instance)
			if p.StartedAt != nil && p.EndedAt != nil {
				going = append(going, holding{from: *p.StartedAt, to: *p.EndedAt, slots: 1, run: p.ID})
			}
		}
		for _, h := range tooMany(going, func(_, _ time.Time) int { return f.parallel }) {
			r.violate(invBackfills, h.run, "backfill %s has %d runs at a time, and more went on at %s, when run %s began", f.id, f.parallel, clock(h.from), h.run)
		}
	}
	for id, p := range of {
		r.violate(invBackfills, id, "run %s of workflow %s, for %s, is of a backfill, and no date has it", id, p.Workflow, p.DataTime)
	}
	return nil
}
