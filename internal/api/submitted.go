// Why a run that was accepted is not taken.

package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baton/internal/flow"
)

// namesSaid bounds the nodes that a reason names.
const namesSaid = 5

// untaken remembers why no master takes runs: it is looked at often when many wait.
type untaken struct {
	looking sync.Mutex
	found   atomic.Pointer[reasonAt]
}

type reasonAt struct {
	why string // "": some master takes them
	at  time.Time
}

const (
	// untakenSoon is how young a run is that is about to be taken.
	untakenSoon = time.Second
	// untakenFresh is for how long what was found is gone by.
	untakenFresh = time.Second
)

// sayWhy gives a run that no master has taken the reason why.
func (s *Server) sayWhy(ctx context.Context, r *flow.Run) {
	if r.State == flow.InstanceSubmitted {
		r.Reason = s.whySubmitted(ctx, r.Reason, r.SubmittedAt)
	}
}

// whySubmitted is the reason of a run that no master has taken since a time: usual while some master takes
// work, and when it cannot be found out.
func (s *Server) whySubmitted(ctx context.Context, usual string, since flow.Time) string {
	if time.Since(since.Std()) < untakenSoon {
		return usual
	}
	found := s.untaken.found.Load()
	if (found == nil || time.Since(found.at) >= untakenFresh) && s.untaken.looking.TryLock() { // one looks, the others go by what is known
		defer s.untaken.looking.Unlock()
		nodes, err := s.store.Nodes(ctx, "")
		if err != nil {
			return usual
		}
		found = &reasonAt{whyUntaken(nodes), time.Now()}
		s.untaken.found.Store(found)
	}
	if found == nil {
		return usual
	}
	return cmp.Or(found.why, usual)
}

// whyUntaken is why none of the nodes takes runs, "" if some master does.
func whyUntaken(nodes []flow.Node) string {
	var drained, lost []string
	remedy := "" // of one of the drained
	for _, n := range nodes {
		switch {
		case !drives(n):
		case n.State == flow.NodeLost:
			lost = append(lost, n.Name)
		case n.State == flow.NodeDraining:
			drained = append(drained, n.Name)
			remedy = cmp.Or(remedy, callable(nodes, n))
		default:
			return ""
		}
	}
	switch {
	case len(drained) > 0:
		return fmt.Sprintf("%s: every master was told to take nothing new (%s); `baton undrain %s` lets it take work again",
			flow.ReasonMastersDrained, someOf(drained), remedy)
	case len(lost) > 0:
		return fmt.Sprintf("%s: no master is there to take it; lost: %s. It is taken when one is back", flow.ReasonNoMaster, someOf(lost))
	default:
		return flow.ReasonNoMaster + ": no master is there to take it; start one: baton master"
	}
}

// callable is the name of a node, or its id where another one is called so too, such as the worker of a standalone server.
func callable(nodes []flow.Node, n flow.Node) string {
	if slices.ContainsFunc(nodes, func(o flow.Node) bool { return o.Name == n.Name && o.DrainKey() != n.DrainKey() }) {
		return number(n.Incarnation)
	}
	return n.Name
}

// someOf lists a few names, each once.
func someOf(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if rest := len(names) - namesSaid; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesSaid], ", "), rest)
	}
	return strings.Join(names, ", ")
}
