// The plan: what is started, which verbs are given, and what breaks when. A seed makes it.

package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Classes of faults.
const (
	killMaster     = "kill -9 of a master"
	termMaster     = "SIGTERM to a master"
	freezeMaster   = "master frozen past its lease"
	cutMaster      = "master cut off"
	cutStore       = "master cut off from the store"
	muteMaster     = "master's packets lost"
	deafMaster     = "packets to a master lost"
	killProper     = "kill -9 of a worker proper"
	killSupervisor = "kill -9 of a supervisor"
	killWorker     = "worker host gone"
	freezeWorker   = "worker host frozen past its lease"
	cutWorker      = "worker host cut off"
	muteWorker     = "worker's packets lost"
	deafWorker     = "packets to a worker lost"
	cutPair        = "worker cut off from one master"
	fullDisk       = "worker's disk full"
	killAPI        = "kill -9 of an api"
	loseStore      = "PostgreSQL cut off"
	stopStore      = "PostgreSQL restarted"
	crashStore     = "PostgreSQL stopped -m immediate"
	sessionsStore  = "PostgreSQL sessions terminated"
	killRegistry   = "registry killed and restarted"
	cutRegistry    = "master cut off from the registry"
	freezeLock     = "holder of a name frozen past its lease"
	cutLock        = "holder of a name cut off"
)

// planned is a fault before it happens.
type planned struct {
	class  string
	victim string
	other  string        // the second node of a cut
	lasts  time.Duration // until it is mended
	calm   time.Duration // until the next one; with overlap not even that
	// overlap: the next fault comes before this one is mended.
	overlap bool
}

func (f planned) String() string {
	s := f.class + ": " + f.victim
	if f.other != "" {
		s += "–" + f.other
	}
	s += fmt.Sprintf(", for %s", f.lasts)
	if f.overlap {
		s += ", overlapping"
	}
	return s
}

type plan struct {
	faults []planned
	starts []order
	pulses []order
	tasks  int
	// timings are orders for schedules, by workflow; more than there will be time for.
	timings   map[string][]timing
	backfills []backfillOrder
	arrivals  []arrival
	notices   []announcement
	pools     []poolOrder
}

// order is a run to be started.
type order struct {
	key      string
	workflow string
	params   map[string]string
	api      int
	read     bool // it is looked for at the other api at once
	verbs    []verbOrder
	verbAPI  int
	date     string // data time; "": now
	late     int    // it is started behind so many others
}

// verbOrder is a verb that a run is given.
type verbOrder struct {
	verb, task string
	after      time.Duration // the start was acknowledged, or the verb before it was given
}

// makePlan is a function of the options alone.
func makePlan(o Options) plan {
	var p plan
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	p.faults = planFaults(o, rng)
	rng = rand.New(rand.NewPCG(o.Seed, 2))
	kinds := workflows()
	for i := 0; p.tasks < o.Tasks; i++ {
		w := kinds[1+rng.IntN(len(kinds)-1)]
		switch rng.IntN(8) { // what verbs and orders are given for meanwhile comes more often
		case 0, 1:
			w = definition(steered)
		case 2:
			w = definition(pooled)
		}
		s := planStart(w, fmt.Sprintf("run-%d-%d", o.Seed, i), rng, true)
		if w.name == follower {
			s.date = time.Date(2020, 1, 1, i, 0, 0, 0, time.UTC).Format(time.RFC3339)
			p.planAhead(s, rng)
		}
		p.starts = append(p.starts, s)
		p.tasks += len(w.tasks)
	}
	p.starts = inOrder(p.starts)
	for i := range 10000 {
		p.pulses = append(p.pulses, planStart(kinds[0], fmt.Sprintf("pulse-%d-%d", o.Seed, i), rng, false))
	}
	p.backfills = planBackfills(o, rand.New(rand.NewPCG(o.Seed, 5)))
	p.arrivals = planArrivals(o, rand.New(rand.NewPCG(o.Seed, 6)))
	p.notices = planNotices(o, rand.New(rand.NewPCG(o.Seed, 7)))
	p.pools = planPools(o, rand.New(rand.NewPCG(o.Seed, 8)))
	rng = rand.New(rand.NewPCG(o.Seed, 4))
	p.timings = map[string][]timing{}
	for _, c := range clockworks() {
		p.timings[c.name] = planTimings(o, c, rng)
	}
	return p
}

// planTimings makes orders for the schedules of a workflow, each of which changes something. One that is off
// comes back soon.
func planTimings(o Options, c clockwork, rng *rand.Rand) []timing {
	back := map[string]string{} // what brings a schedule back
	var out []timing
	for len(out) < 1000 {
		s := c.schedules[rng.IntN(len(c.schedules))]
		if len(back) > 0 && rng.IntN(3) > 0 {
			off := slices.Sorted(maps.Keys(back))
			s.name = off[rng.IntN(len(off))]
		}
		t := timing{workflow: c.name, schedule: s.name, api: rng.IntN(2)}
		t.pause = time.Duration((0.1 + 0.5*rng.Float64()) * float64(o.Lease)).Round(time.Millisecond)
		kind := rng.IntN(10)
		switch {
		case back[s.name] != "":
			t.what = back[s.name]
			delete(back, s.name)
		case kind < 3:
			t.what, back[s.name] = "disable", "enable"
		case kind < 4:
			t.what, back[s.name] = "remove", "restore"
		case s.every == 0:
			t.what, t.cron = "span", [2]int{rng.IntN(6), 3 + rng.IntN(7)}
		default:
			t.what, t.every = "span", 1+rng.IntN(5)
		}
		out = append(out, t)
	}
	return out
}

func planStart(w workflow, key string, rng *rand.Rand, verbs bool) order {
	s := order{key: key, workflow: w.name, api: rng.IntN(2), verbAPI: rng.IntN(2), read: rng.IntN(3) == 0}
	s.params = map[string]string{"nap": "0.05", "beats": "0"}
	if rng.IntN(2) == 0 {
		s.params["nap"] = fmt.Sprintf("0.%d", 1+rng.IntN(9))
	}
	if w.name == pooled {
		s.params["key"] = fmt.Sprintf("k%d", rng.IntN(2))
	}
	if w.name == pulse {
		s.params["nap"] = fmt.Sprintf("0.%02d", 8+rng.IntN(12))
	}
	if w.name == steered && verbs {
		return steer(s, rng)
	}
	long := false
	for _, t := range w.tasks {
		long = long || t.beats
	}
	often, within := 3, 800
	if long { // 3 to 20 s, and a verb finds it running
		s.params["beats"] = fmt.Sprint(6 + rng.IntN(34))
		often, within = 2, 4000
	}
	if verbs && rng.IntN(often) == 0 {
		all := []string{"pause", "pause", "stop", "stop", "rerun", "recover", "kill", "kill", "retry", "hold", "skip", "succeed"}
		v := verbOrder{verb: all[rng.IntN(len(all))], after: time.Duration(rng.IntN(within)) * time.Millisecond}
		names := make([]string, 0, len(w.tasks))
		for name := range w.tasks {
			names = append(names, name)
		}
		slices.Sort(names)
		v.task = names[rng.IntN(len(names))]
		s.verbs = []verbOrder{v}
	}
	return s
}

// planFaults deals whole decks of classes, so that every class comes as often as any other.
func planFaults(o Options, rng *rand.Rand) []planned {
	classes := []string{
		killMaster, killMaster, termMaster, freezeMaster, cutMaster, cutStore, muteMaster, deafMaster,
		killProper, killSupervisor, killWorker, freezeWorker, cutWorker, muteWorker, deafWorker, cutPair,
		killAPI, loseStore, stopStore, crashStore, sessionsStore, freezeLock, cutLock, fullDisk,
	}
	if o.Registry != registrySQL {
		classes = append(classes, killRegistry, cutRegistry)
	}
	if o.Classes != nil {
		classes = o.Classes
	}
	var out []planned
	for len(out) < o.Faults {
		deck := slices.Clone(classes)
		rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, class := range deck[:min(len(deck), o.Faults-len(out))] {
			out = append(out, planFault(o, class, rng))
		}
	}
	return out
}

func planFault(o Options, class string, rng *rand.Rand) planned {
	one := func(prefix string, n int) string { return fmt.Sprintf("%s%d", prefix, 1+rng.IntN(n)) }
	f := planned{class: class, overlap: rng.IntN(5) == 0}
	part := func(least, most float64) time.Duration {
		return time.Duration((least + (most-least)*rng.Float64()) * float64(o.Lease)).Round(time.Millisecond)
	}
	master, worker := one("m", 3), one("w", 3)
	switch class {
	case killMaster, termMaster:
		f.victim, f.lasts = master, part(0.2, 1)
	case freezeMaster, cutMaster, cutStore, muteMaster, deafMaster:
		f.victim, f.lasts = master, part(1.5, 2.5)
		if class == cutStore {
			f.other = "pg"
		}
	case cutRegistry:
		f.victim, f.other, f.lasts = master, "reg", part(1.5, 2.5)
	case killProper:
		f.victim = worker
	case killSupervisor:
		f.victim, f.lasts = worker, part(0.1, 0.5)
	case killWorker, freezeWorker, cutWorker, muteWorker, deafWorker:
		f.victim, f.lasts = worker, part(1.6, 2.6)
	case cutPair:
		f.victim, f.other, f.lasts = worker, master, part(1.2, 2)
	case fullDisk:
		f.victim, f.lasts = "w3", part(1, 2)
	case killAPI:
		f.victim, f.lasts = one("a", 2), part(0.1, 0.5)
	case stopStore, crashStore:
		f.victim, f.lasts = "pg", part(0.1, 1.5)
	case loseStore:
		f.victim, f.lasts = "pg", part(0.8, 2.5)
	case sessionsStore:
		f.victim = "pg"
	case killRegistry:
		f.victim, f.lasts = "reg", part(0.1, 1.5)
	case freezeLock, cutLock:
		f.victim, f.lasts = one("l", 3), part(1.5, 2.5)
	}
	f.calm = part(0.6, 1)
	return f
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d faults, %d runs of %d tasks\n", len(p.faults), len(p.starts), p.tasks)
	for i, f := range p.faults {
		fmt.Fprintf(&b, "%4d %s\n", i+1, f)
	}
	for _, s := range p.starts {
		fmt.Fprintf(&b, "%s %s nap=%s beats=%s api=%d %v %s\n", s.key, s.workflow, s.params["nap"], s.params["beats"], s.api, s.verbs, s.date)
	}
	for _, o := range p.backfills {
		fmt.Fprintf(&b, "%s of %d dates, %d at a time, paused after %s\n", o.key, o.dates, o.parallel, o.pause)
	}
	for _, c := range clockworks() {
		for _, t := range p.timings[c.name][:100] {
			fmt.Fprintf(&b, "%s\n", t)
		}
	}
	for i := range 100 {
		fmt.Fprintf(&b, "%s\n%s\n%s\n", p.arrivals[i], p.notices[i], p.pools[i])
	}
	return b.String()
}
