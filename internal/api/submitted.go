// Why a run that was accepted is not taken.

package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// namesSaid bounds the nodes that a reason names.
const namesSaid = 5

// whySubmitted is the reason of a run that no master has taken: usual while some master takes work.
func (s *Server) whySubmitted(ctx context.Context, usual string) (string, error) {
	nodes, err := s.store.Nodes(ctx, "")
	if err != nil {
		return usual, err
	}
	return cmp.Or(whyUntaken(nodes), usual), nil
}

// whyUntaken is why none of the nodes takes runs, "" if some master does.
func whyUntaken(nodes []flow.Node) string {
	var drained, lost []string
	for _, n := range nodes {
		switch {
		case !drives(n):
		case n.State == flow.NodeLost:
			lost = append(lost, n.Name)
		case n.State == flow.NodeDraining:
			drained = append(drained, n.Name)
		default:
			return ""
		}
	}
	switch {
	case len(drained) > 0:
		slices.Sort(drained)
		return fmt.Sprintf("%s: every master was told to take nothing new (%s); `baton undrain %s` lets it take work again",
			flow.ReasonMastersDrained, someOf(drained), drained[0])
	case len(lost) > 0:
		return fmt.Sprintf("%s: no master is there to take it; lost: %s. It is taken when one is back", flow.ReasonNoMaster, someOf(lost))
	default:
		return flow.ReasonNoMaster + ": no master is there to take it; start one: baton master"
	}
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
