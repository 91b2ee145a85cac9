// Orders for schedules while they fire: each is repeated through another api until one acknowledges it.

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// reign is what a schedule is from an order on that took effect between two moments.
type reign struct {
	*timed       // nil: it has no times, it is off or gone
	asked, acked time.Time
	order        string
}

// reigns of one schedule, in order.
type reigns struct {
	workflow, schedule string
	list               []reign
}

// desk is where the orders for one workflow are given, one after the other.
type desk struct {
	run  *run
	of   clockwork
	file []timed // all that it ever has
	off  map[string]bool
	gone map[string]bool
}

// openDesks applies the workflows that run by themselves.
func (r *run) openDesks(ctx context.Context) error {
	for _, c := range clockworks() {
		d := &desk{run: r, of: c, file: c.bounded(time.Now(), r.plan.length()), off: map[string]bool{}, gone: map[string]bool{}}
		for _, s := range d.file {
			r.reigns = append(r.reigns, &reigns{c.name, s.name, nil})
		}
		if !d.apply(ctx, 0, "apply") {
			return fmt.Errorf("apply workflow %s: it is not acknowledged: %w", c.name, ctx.Err())
		}
		r.desks = append(r.desks, d)
	}
	return nil
}

// timings gives the planned orders until ctx is done, and then ends all schedules.
func (r *run) timings(ctx, last context.Context) {
	var all sync.WaitGroup
	for _, d := range r.desks {
		all.Go(func() {
			for _, t := range r.plan.timings[d.of.name] {
				if wait(ctx, t.pause); ctx.Err() != nil {
					break
				}
				d.give(last, t)
			}
			end := time.Now().Truncate(time.Second).Add(2 * time.Second)
			for i := range d.file {
				if s := &d.file[i]; s.end.After(end) {
					s.end = end
				}
			}
			d.apply(last, 0, "end")
		})
	}
	all.Wait()
}

// give gives one order.
func (d *desk) give(ctx context.Context, t timing) {
	switch t.what {
	case "enable", "disable":
		d.off[t.schedule] = t.what == "disable"
		path := fmt.Sprintf("/api/v1/projects/default/workflows/%s/schedules/%s/%s", t.workflow, t.schedule, t.what)
		d.order(ctx, t.api, path, nil, t.String())
		return
	case "remove":
		d.gone[t.schedule] = true
	case "restore":
		delete(d.gone, t.schedule)
	default:
		s := &d.file[slices.IndexFunc(d.file, func(s timed) bool { return s.name == t.schedule })]
		s.every, s.cron = t.every, t.cron
	}
	d.apply(ctx, t.api, t.String())
}

// apply sends the file as it is now.
func (d *desk) apply(ctx context.Context, api int, what string) bool {
	text, err := d.of.file(slices.DeleteFunc(slices.Clone(d.file), func(s timed) bool { return d.gone[s.name] }), d.run.ledger)
	if err != nil {
		d.run.fault("%s: %v", what, err)
		return false
	}
	return d.order(ctx, api, "/api/v1/apply", map[string]any{"files": []map[string]string{{"name": d.of.name + ".yaml", "content": text}}}, what)
}

// order asks until one api says that it is done, and notes what the schedules are from then on.
func (d *desk) order(ctx context.Context, api int, path string, body any, what string) bool {
	asked := time.Now()
	for ; ; api++ {
		_, err := d.run.client.call(ctx, api, http.MethodPost, path, body, nil, "")
		if err == nil {
			break
		}
		if no, refused := errors.AsType[*refusal](err); refused && no.status != http.StatusConflict {
			d.run.fault("%s of workflow %s is refused: %v", what, d.of.name, no)
			return false
		}
		if wait(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return false
		}
	}
	acked := time.Now()
	d.run.mu.Lock()
	defer d.run.mu.Unlock()
	for _, of := range d.run.reigns {
		if of.workflow != d.of.name {
			continue
		}
		var now *timed
		if !d.off[of.schedule] && !d.gone[of.schedule] {
			s := d.file[slices.IndexFunc(d.file, func(s timed) bool { return s.name == of.schedule })]
			now = &s
		}
		if n := len(of.list); n > 0 && same(of.list[n-1].timed, now) {
			continue
		}
		of.list = append(of.list, reign{now, asked, acked, what})
	}
	return true
}

func same(a, b *timed) bool { return a == b || a != nil && b != nil && *a == *b }

// fired waits until every time that is due has its fate, for as long as a fire may take when nothing is broken.
func (r *run) fired(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Lease+20*time.Second)
	defer cancel()
	poll(ctx, 300*time.Millisecond, func() bool {
		now := time.Now()
		if slices.ContainsFunc(r.reigns, func(of *reigns) bool {
			last := of.list[len(of.list)-1]
			return last.timed != nil && now.Before(last.end.Add(last.jitter))
		}) {
			return false
		}
		rows, err := all[fire](ctx, r.client, "/api/v1/fires")
		return err == nil && !slices.ContainsFunc(r.reigns, func(of *reigns) bool { return len(of.compare(rows).lost) > 0 })
	})
}
