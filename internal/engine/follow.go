// Following: rows that wait are told what happens elsewhere, by whoever makes it happen.

package engine

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"time"

	"baton/internal/flow"
)

const (
	// Soon after a row has begun to follow it looks once more, and again: an end that was being committed when it began
	// to follow, by a statement that did not see it, or by a master that did not know yet that somebody follows, is
	// durable by then.
	followSoon  = 3 * time.Second
	followAgain = 30 * time.Second
	// followNet is how often one looks that was told nothing.
	followNet = time.Hour
	// missingNet is how often one looks whose workflow does not exist.
	missingNet = time.Minute
)

// follows tells whether a row is to be told when something happens elsewhere.
func (s *State) follows(row *flow.TaskRow) bool {
	return row.Hosted() && (row.Type == flow.TypeDependent || row.Type == flow.TypeWait && row.NextCheck == 0)
}

func (s *State) followsNow(row flow.ID) bool {
	r := s.RowByID(row)
	return r >= 0 && s.follows(&s.Rows[r])
}

// unfollow has a row told nothing any more.
func (s *State) unfollow(row *flow.TaskRow) {
	s.change.unfollow = append(s.change.unfollow, row.ID)
	if row.Type == flow.TypeDependent {
		row.Attempt.Ref = "" // see markOf
	}
}

// follow has a row wait for news of its upstreams.
func (s *State) follow(r int32, o *dependentOptions, up flow.Upshot, asked []flow.Upstream, found []flow.FoundUpstream, env Env, fx *Effects) {
	row := &s.Rows[r]
	follows, net := s.followsOf(row, asked, found)
	s.touch(r)
	if up == flow.UpshotFailed {
		s.outlast(r, o, s.waitsFor(asked, found, flow.UpshotFailed), env, fx)
	} else {
		row.Attempt.GrantedAt = 0
		row.Reason = flow.Text(flow.ReasonDependent+": waits for "+s.waitsFor(asked, found, flow.UpshotPending), flow.MaxReason)
		row.NextCheck = env.Now.Add(net)
	}
	if row.State.Ended() {
		return
	}
	begun := &row.Attempt.StartedAt // when it began to follow what it follows, where an attempt keeps when it started
	if mark := markOf(follows); mark != row.Attempt.Ref {
		row.Attempt.Ref, *begun = mark, env.Now
		s.change.follows = append(s.change.follows, follows...)
		s.look(r, fx) // what ended while it did not follow yet
		return
	}
	for _, after := range [2]time.Duration{followSoon, followAgain} {
		if at := begun.Add(after); at > env.Now {
			row.NextCheck = flow.Earliest(row.NextCheck, at)
		}
	}
}

// followsOf is what a row follows of its upstreams, and how often it looks by itself.
func (s *State) followsOf(row *flow.TaskRow, asked []flow.Upstream, found []flow.FoundUpstream) (out []flow.Follow, net time.Duration) {
	net = followNet
	for i, f := range found {
		if f.Workflow == 0 {
			net = missingNet
			continue
		}
		if len(asked[i].Windows) == 0 {
			continue
		}
		span := flow.Span{From: asked[i].Windows[0].From, To: asked[i].Windows[len(asked[i].Windows)-1].To}
		if asked[i].Match == flow.MatchLatestEnd {
			span = flow.Span{From: math.MinInt64, To: math.MaxInt64} // whatever it was for
		}
		out = append(out, flow.Follow{Workflow: f.Workflow, Instance: s.Inst.ID, Row: row.ID, Task: asked[i].Task, Span: span})
	}
	return out, net
}

// markOf tells one list of what is followed from another. The row keeps it, where that of a sub-workflow keeps its run:
// so what stands is not written again, and what is new is known to be.
func markOf(follows []flow.Follow) string {
	if len(follows) == 0 {
		return ""
	}
	h := fnv.New64a()
	for _, f := range follows {
		_, _ = fmt.Fprintf(h, "%d %q %d %d\n", f.Workflow, f.Task, f.Span.From, f.Span.To) // a hash takes everything
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// upstreamTold looks again at what a row waits for.
func (s *State) upstreamTold(e UpstreamTold, fx *Effects) {
	r := s.RowByID(e.Row)
	if r < 0 || !s.Rows[r].Valid || !s.Rows[r].Hosted() || s.Rows[r].Type != flow.TypeDependent {
		return // it is over, or rests: then it looks when it goes on
	}
	s.look(r, fx)
}
