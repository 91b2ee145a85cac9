// Histories of claims and names: is there an order in which each happened at one moment between its
// beginning and its end, and in which it was right?

package chaos

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const historyPatience = 2 * time.Minute

// nameModel is a name that one has at a time, each with a greater number than all before.
var nameModel = porcupine.Model{
	Init: func() any { return [2]int64{} }, // held, greatest number
	Step: func(state, input, _ any) (bool, any) {
		s, e := state.([2]int64), input.(lockEvent)
		if e.Acquire {
			return s[0] == 0 && e.Fence > s[1], [2]int64{1, e.Fence}
		}
		return s[0] == 1 && s[1] == e.Fence, [2]int64{0, s[1]}
	},
}

func nameHistory(events []lockEvent) []porcupine.Operation {
	open := map[int64]lockEvent{}
	var out []porcupine.Operation
	for _, e := range events {
		out = append(out, porcupine.Operation{ClientId: e.Client, Input: e, Call: e.Call, Return: max(e.Return, e.Call)})
		if e.Acquire {
			open[e.Fence] = e
		} else {
			delete(open, e.Fence)
		}
	}
	for _, e := range open { // a holder that was ended while it held the name
		out = append(out, porcupine.Operation{ClientId: e.Client, Input: lockEvent{Client: e.Client, Fence: e.Fence}, Call: e.Return, Return: math.MaxInt64})
	}
	return out
}

// startModel is a key: the first start that takes effect makes the run, all others find it. One that
// was not answered took effect or did not. Its state is nothing, the id, or that an unanswered one
// made it.
var startModel = porcupine.NondeterministicModel{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		return partition(all, func(o porcupine.Operation) string { return o.Input.(startCall).key })
	},
	Init: func() []any { return []any{""} },
	Step: func(state, input, _ any) []any {
		s, c := state.(string), input.(startCall)
		const ghost = "?"
		switch {
		case c.read && c.found != (s != ""):
			return nil
		case c.read:
			return []any{s}
		case !c.known && s == "":
			return []any{"", ghost}
		case !c.known:
			return []any{s}
		case s == "":
			if c.existing {
				return nil
			}
			return []any{c.id}
		case s != ghost && s != c.id, !c.existing:
			return nil
		}
		return []any{c.id}
	},
}

func startHistory(calls []startCall) []porcupine.Operation {
	out := make([]porcupine.Operation, 0, len(calls))
	for _, c := range calls {
		o := porcupine.Operation{ClientId: c.client, Input: c, Call: int64(c.call), Return: int64(c.ret)}
		if !c.known {
			// Nobody knows when, if at all: an api may have kept it.
			o.Return = math.MaxInt64
			o.ClientId = -1 - len(out)
		}
		out = append(out, o)
	}
	return out
}

// claim is a grant of a try of a task, or the acceptance of its result.
type claim struct {
	row    string
	token  int64
	accept bool
}

// claimModel is a row: tokens grow with every claim, and a result counts only while no later claim
// was made.
var claimModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		return partition(all, func(o porcupine.Operation) string { return o.Input.(claim).row })
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		s, c := state.(int64), input.(claim)
		if c.accept {
			return c.token == s, s
		}
		return c.token > s, c.token
	},
}

// claimHistory: a try is claimed between its grant and its first line in the ledger, its result
// accepted between its last line and the end that Baton recorded.
func claimHistory(attempts []attempt, lines map[int64][]entry) []porcupine.Operation {
	var out []porcupine.Operation
	for _, a := range attempts {
		o := porcupine.Operation{ClientId: len(out), Input: claim{a.TaskInstance, a.Token, false}, Call: a.GrantedAt.UnixMicro(), Return: math.MaxInt64}
		if a.EndedAt != nil {
			o.Return = a.EndedAt.UnixMicro()
		}
		written := lines[a.Token]
		if len(written) > 0 {
			o.Return = written[0].at.UnixMicro()
		}
		o.Return = max(o.Return, o.Call)
		out = append(out, o)
		if a.State != "succeeded" || len(written) == 0 || a.EndedAt == nil {
			continue
		}
		end := a.EndedAt.UnixMicro()
		out = append(out, porcupine.Operation{
			ClientId: len(out), Input: claim{a.TaskInstance, a.Token, true},
			Call: min(written[len(written)-1].at.UnixMicro(), end), Return: end,
		})
	}
	return out
}

func partition(all []porcupine.Operation, by func(porcupine.Operation) string) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, o := range all {
		parts[by(o)] = append(parts[by(o)], o)
	}
	keys := make([]string, 0, len(parts))
	for k := range parts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	out := make([][]porcupine.Operation, 0, len(parts))
	for _, k := range keys {
		out = append(out, parts[k])
	}
	return out
}

// explain checks each part of a history and names those that nothing explains.
func explain(model porcupine.Model, all []porcupine.Operation) (bad []string) {
	parts := [][]porcupine.Operation{all}
	if model.Partition != nil {
		parts = model.Partition(all)
	}
	for _, part := range parts {
		switch porcupine.CheckOperationsTimeout(model, part, historyPatience) {
		case porcupine.Illegal:
			slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			var text strings.Builder
			for _, o := range part[:min(len(part), 60)] {
				fmt.Fprintf(&text, "\n    %d…%d %+v", o.Call, o.Return, o.Input)
			}
			bad = append(bad, "no order explains this:"+text.String())
		case porcupine.Unknown:
			bad = append(bad, fmt.Sprintf("not decided within %s: %d operations", historyPatience, len(part)))
		case porcupine.Ok:
		}
	}
	return bad
}
