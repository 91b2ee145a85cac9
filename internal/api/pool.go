// Pools: limits that tasks share, who holds slots of them and who waits for some.

package api

import (
	"context"
	"fmt"
	"strings"

	"baton/internal/flow"
)

// Pool is a limit that tasks of a project share.
type Pool struct {
	Project     string       `json:"project"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Slots       int          `json:"slots" doc:"As it is: what a verb said goes before the file. Where tasks give a key each key has so many"`
	Used        int          `json:"used" doc:"Slots that are held, of all keys"`
	Closed      bool         `json:"closed" doc:"Nothing is given; who holds slots goes on"`
	Overridden  bool         `json:"overridden" doc:"A verb said how many slots it has, or whether it is closed; its file does not change that"`
	Waiters     int          `json:"waiters" doc:"How many tasks wait"`
	Holders     []PoolHolder `json:"holders" doc:"Who has slots, the longest first; some hundred at most"`
	Waiting     []PoolWaiter `json:"waiting" doc:"Who waits, by key, in the order in which they get slots; some hundred at most"`
}

// PoolHolder is a task that has slots of a pool.
type PoolHolder struct {
	Instance string    `json:"instance"`
	Task     string    `json:"task"`
	Slots    int       `json:"slots"`
	Key      *string   `json:"key"`
	Since    flow.Time `json:"since" nullable:"false"`
}

// PoolWaiter is a task that waits for slots of a pool.
type PoolWaiter struct {
	Instance string    `json:"instance"`
	Task     string    `json:"task"`
	Slots    int       `json:"slots"`
	Key      *string   `json:"key"`
	Priority string    `json:"priority"`
	Since    flow.Time `json:"since" nullable:"false"`
	Position int       `json:"position" doc:"Among those that wait for the same key, from 1"`
}

// claimsListed is how many claims of each pool a list of pools shows; of one pool all that the store reads.
const (
	claimsListed = 100
	claimsOfOne  = 500
)

type listPoolsIn struct {
	Project string `query:"project"`
}

func (s *Server) listPools(ctx context.Context, in *listPoolsIn) (*body[List[Pool]], error) {
	all, err := s.store.Pools(ctx, in.Project, claimsListed)
	return listOf(flow.Page[flow.PoolStanding]{Items: all}, poolOf), err
}

func poolOf(p flow.PoolStanding) Pool {
	out := Pool{
		Project: p.Project, Name: p.Name, Description: p.Description, Slots: p.Slots, Used: p.Used, Closed: p.Closed, Overridden: p.SlotsSet || p.ClosedSet,
		Waiters: p.Waiting, Holders: make([]PoolHolder, len(p.Holders)), Waiting: make([]PoolWaiter, len(p.Waiters)),
	}
	for i, c := range p.Holders {
		out.Holders[i] = PoolHolder{Instance: c.Instance.String(), Task: c.TaskName, Slots: c.Slots, Key: text(c.Key), Since: c.GivenAt}
	}
	for i, c := range p.Waiters {
		out.Waiting[i] = PoolWaiter{
			Instance: c.Instance.String(), Task: c.TaskName, Slots: c.Slots, Key: text(c.Key), Priority: c.Priority.String(), Since: c.At, Position: c.Position,
		}
	}
	return out
}

// PoolPath names a pool.
type PoolPath struct {
	Project string `path:"project"`
	Pool    string `path:"pool"`
}

func (s *Server) getPool(ctx context.Context, in *PoolPath) (*body[Pool], error) {
	p, err := s.store.Pool(ctx, in.Project, in.Pool, claimsOfOne)
	return &body[Pool]{poolOf(p)}, err
}

type setSlotsIn struct {
	PoolPath
	Body struct {
		Slots int `json:"slots" minimum:"0" maximum:"1000000"`
	}
}

func (s *Server) setSlots(ctx context.Context, in *setSlotsIn) (*body[Pool], error) {
	return s.setPool(ctx, in.PoolPath, &in.Body.Slots, nil)
}

func closePool(closed bool) func(*Server, context.Context, *PoolPath) (*body[Pool], error) {
	return func(s *Server, ctx context.Context, in *PoolPath) (*body[Pool], error) {
		return s.setPool(ctx, *in, nil, &closed)
	}
}

// setPool has a pool be as a person says, and tells how it is then.
func (s *Server) setPool(ctx context.Context, in PoolPath, slots *int, closed *bool) (*body[Pool], error) {
	if err := s.store.SetPool(ctx, in.Project, in.Pool, slots, closed); err != nil {
		return nil, err
	}
	s.masters.PokeLook() // there may be something to give now
	return s.getPool(ctx, &in)
}

// holdersNamed is how many of those that hold slots a reason names.
const holdersNamed = 3

// sayPools gives the tasks of a run that wait for slots the names of those that hold them. What cannot be found out now
// is left as it is.
func (s *Server) sayPools(ctx context.Context, run flow.Run, rows []flow.TaskRow) {
	waits := map[flow.ID]flow.PoolWait{}
	for i := range rows {
		row := &rows[i]
		if !row.Pooling() || !row.Valid {
			continue
		}
		if len(waits) == 0 {
			all, err := s.store.PoolWaits(ctx, run.ID)
			if err != nil || len(all) == 0 {
				return
			}
			for _, w := range all {
				waits[w.ID] = w
			}
		}
		if w, known := waits[row.Claim]; known {
			row.Reason = flow.Text(whyPooled(w, run.ProjectName), flow.MaxReason)
		}
	}
}

// whyPooled says what a claim waits for.
func whyPooled(w flow.PoolWait, project string) string {
	name := w.PoolKey.Pool
	if project != flow.DefaultProject {
		name = project + "/" + name
	}
	if w.Pool == nil {
		return fmt.Sprintf("%s: waits for %s of %s, which does not exist; apply it", flow.ReasonPool, flow.CountSlots(w.Slots), w.Named())
	}
	why := fmt.Sprintf("%s: waits for %d of %s of %s", flow.ReasonPool, w.Slots, flow.CountSlots(w.Pool.Slots), w.Named())
	switch {
	case w.Pool.Closed:
		return why + ": the pool is closed; `baton pool open " + name + "` opens it"
	case w.Pool.Slots == 0:
		return why + ": the pool has no slots; `baton pool set " + name + " --slots N` gives it some"
	case w.Slots > w.Pool.Slots:
		return fmt.Sprintf("%s: the task asks for more than there are; `baton pool set %s --slots %d` makes the pool large enough", why, name, w.Slots)
	}
	var parts []string
	if w.Held > 0 {
		var named []string
		for _, h := range w.Holders[:min(len(w.Holders), holdersNamed)] {
			named = append(named, fmt.Sprintf("run %s (task %s)", h.Instance, h.TaskName))
		}
		are := "are"
		if w.Held == 1 {
			are = "is"
		}
		held := fmt.Sprintf("%d %s held by %s", w.Held, are, strings.Join(named, ", "))
		if more := len(w.Holders) - holdersNamed; more > 0 {
			held += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, held)
	}
	switch {
	case w.Before == 1:
		parts = append(parts, "1 waits before it")
	case w.Before > 1:
		parts = append(parts, fmt.Sprintf("%d wait before it", w.Before))
	}
	if len(parts) == 0 {
		return why
	}
	return why + ": " + strings.Join(parts, "; ")
}
