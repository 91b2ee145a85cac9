// Settings of the cluster that its nodes follow while they run.

package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings come with the answer to every heartbeat, so that a change needs no restart.
type Settings struct {
	Lease   time.Duration // how long leases are; none was renewed for less
	Balance Balance
	Weights map[ID]int // of projects; one that is not named weighs 1
}

// Renewal answers a heartbeat.
type Renewal struct {
	Fenced   []int64 // of the nodes, those that are dead for the others and must stop
	Settings Settings
}

// Strategy is how a worker is chosen among those that have a free place.
type Strategy string

// Strategies of choosing a worker.
const (
	LeastLoaded Strategy = "least_loaded" // by live load and what was just sent; the default
	Random      Strategy = "random"
	RoundRobin  Strategy = "round_robin"
	Weighted    Strategy = "weighted" // in turn, in proportion to the weights of the workers
)

var strategies = []Strategy{LeastLoaded, Random, RoundRobin, Weighted}

// MaxProjectWeight bounds what a project weighs.
const MaxProjectWeight = 100

// ParseWeights reads weights of projects, ID=WEIGHT with commas between; what cannot be read weighs 1.
func ParseWeights(text string) map[ID]int {
	out := map[ID]int{}
	for part := range strings.SplitSeq(text, ",") {
		id, weight, _ := strings.Cut(part, "=")
		project, err := ParseID(id)
		n, bad := strconv.Atoi(weight)
		if err == nil && bad == nil && n > 1 {
			out[project] = n
		}
	}
	return out
}

// Weights of workers.
const (
	DefaultWeight = 100
	MaxWeight     = 10_000
)

// Balance says how workers are chosen.
type Balance struct {
	Strategy Strategy            // "": LeastLoaded
	Groups   map[string]Strategy // of worker groups that have one of their own
}

// Of returns the strategy of a worker group.
func (b Balance) Of(group string) Strategy {
	if s, own := b.Groups[group]; own {
		return s
	}
	if b.Strategy == "" {
		return LeastLoaded
	}
	return b.Strategy
}

// ParseBalance reads the setting "balance": a strategy, and after commas those of single worker
// groups, such as "least_loaded,spark=weighted". Nothing is the default.
func ParseBalance(text string) (Balance, error) {
	var b Balance
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		group, name, ofGroup := strings.Cut(part, "=")
		if !ofGroup {
			group, name = "", part
		}
		group, name = strings.TrimSpace(group), strings.TrimSpace(name)
		s := Strategy(name)
		switch {
		case !slices.Contains(strategies, s):
			return Balance{}, fmt.Errorf("%q is no strategy; there are %s, and GROUP=STRATEGY for a worker group of its own", name, joined(strategies))
		case ofGroup && group == "":
			return Balance{}, fmt.Errorf("%q names no worker group; write GROUP=%s", part, s)
		case ofGroup && b.Groups[group] != "":
			return Balance{}, fmt.Errorf("the worker group %q has two strategies", group)
		case ofGroup:
			if b.Groups == nil {
				b.Groups = make(map[string]Strategy)
			}
			b.Groups[group] = s
		case b.Strategy != "":
			return Balance{}, fmt.Errorf("%q and %q: one strategy for all; those of single groups are written GROUP=STRATEGY", b.Strategy, s)
		default:
			b.Strategy = s
		}
	}
	return b, nil
}

func joined(all []Strategy) string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
