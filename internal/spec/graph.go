// The graph of a workflow: edges, and that it is one without cycles.

package spec

import (
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// graph is the tasks of a workflow by number, in order of the file; after those of the graph itself come those that run
// at the end, which no edge joins to the others.
type graph struct {
	w     *workflow
	tasks []*flow.Task
	at    []value // of each task
	index map[string]int
	up    [][]int // numbers of the tasks each one needs

	names  []string // for suggestions, made when first asked for
	cyclic bool
	above  []bits // all tasks before each one, made when first asked for
}

// link resolves needs and arms into edges. Arms add themselves to the needs of the tasks they lead
// to, so that needs alone is the truth.
func (r *reader) link(w *workflow) *graph {
	n := len(w.Tasks) + len(w.Finally)
	g := &graph{w: w, at: slices.Concat(w.tasks, w.finally), index: make(map[string]int, n), up: make([][]int, n)}
	for _, t := range w.AllTasks() {
		g.tasks = append(g.tasks, t)
	}
	for i, t := range g.tasks {
		if _, twice := g.index[t.Name]; twice && g.final(i) {
			r.fail(g.at[i], "%s is the name of a task under tasks already; names are unique over tasks and finally", shown(t.Name))
			continue
		}
		g.index[t.Name] = i
	}
	for i := range g.tasks {
		r.needs(g, i)
	}
	for i := range g.tasks {
		for b := range g.tasks[i].Branches {
			r.arm(g, i, b)
		}
	}
	g.cyclic = r.cycles(g)
	return g
}

// final tells the tasks that run at the end.
func (g *graph) final(i int) bool { return i >= len(g.w.Tasks) }

// under is the key of the file that a task is under.
func (g *graph) under(i int) string {
	if g.final(i) {
		return flow.UnderFinally
	}
	return flow.UnderTasks
}

func (r *reader) needs(g *graph, i int) {
	t := g.tasks[i]
	seen := make(map[string]bool, len(t.Needs))
	for n, need := range t.Needs {
		if need == "" {
			continue // not a name; reported
		}
		u, known := g.index[need]
		switch {
		case seen[need]:
			r.fail(g.at[i].at("needs").index(n), "%s is in needs twice", shown(need))
			continue
		case !known:
			r.noTask(g, g.at[i].at("needs").index(n), need)
		case g.final(i) && !g.final(u):
			r.fail(g.at[i].at("needs").index(n), "%s is under tasks, and what is under finally begins when all of those have ended; remove it from needs", shown(need))
		case g.final(u) && !g.final(i):
			r.fail(g.at[i].at("needs").index(n), "%s is under finally and runs when all tasks have ended; nothing under tasks can need it, so remove it from needs, or move it to tasks", shown(need))
		default:
			g.up[i] = append(g.up[i], u)
		}
		seen[need] = true
	}
}

func (r *reader) arm(g *graph, i, b int) {
	branch := &g.tasks[i].Branches[b]
	seen := make(map[string]bool, len(branch.To))
	for n, name := range branch.To {
		if name == "" {
			continue
		}
		d, known := g.index[name]
		twice := seen[name]
		seen[name] = true
		switch {
		case twice:
			r.fail(g.target(i, b, n), "%s is in the list twice", shown(name))
		case !known:
			r.noTask(g, g.target(i, b, n), name)
		case g.final(i) != g.final(d):
			r.fail(g.target(i, b, n), "%s is under %s and this task is not, so it cannot lead there", shown(name), g.under(d))
		case !slices.Contains(g.up[d], i):
			g.up[d] = append(g.up[d], i)
			g.tasks[d].Needs = append(g.tasks[d].Needs, g.tasks[i].Name)
		}
	}
}

// noTask reports a name that is no task's.
func (r *reader) noTask(g *graph, v value, name string) {
	e := r.fail(v, "there is no task %s in this workflow", shown(name))
	r.suggest(e, name, g.allNames(), "")
}

func (g *graph) allNames() []string {
	if g.names == nil {
		g.names = make([]string, len(g.tasks))
		for i := range g.names {
			g.names[i] = g.tasks[i].Name
		}
	}
	return g.names
}

// cycles reports one cycle for every knot of tasks that need each other: the shortest through its
// first task.
func (r *reader) cycles(g *graph) bool {
	found := false
	for _, knot := range g.knots() {
		cycle := g.shortest(knot)
		names := make([]string, 0, len(cycle)+1)
		for _, i := range append(cycle, cycle[0]) {
			names = append(names, g.tasks[i].Name)
		}
		if most := 12; len(names) > most {
			names = append(names[:most/2], append([]string{fmt.Sprintf("… %d more …", len(names)-most)}, names[len(names)-most/2:]...)...)
		}
		found = true
		place, extra := g.edge(cycle[0], cycle[1%len(cycle)])
		if len(cycle) == 1 {
			r.fail(place, "task %s needs itself%s", shown(names[0]), extra)
			continue
		}
		r.fail(place, "cycle: %s; each needs the next, so none can begin%s", strings.Join(names, " → "), extra)
	}
	return found
}

// edge is where the file says that task i needs task u: in its needs, or in an arm of u.
func (g *graph) edge(i, u int) (value, string) {
	name := g.tasks[u].Name
	if n := slices.Index(g.tasks[i].Needs, name); n >= 0 {
		if needs, ok := g.at[i].get("needs"); ok && (n < len(needs.node.Content) || needs.isScalar() && n == 0) {
			return needs.index(n), ""
		}
	}
	for b, branch := range g.tasks[u].Branches {
		if n := slices.Index(branch.To, g.tasks[i].Name); n >= 0 {
			return g.target(u, b, n), fmt.Sprintf(" (%s leads to %s, which therefore needs it)", name, g.tasks[i].Name)
		}
	}
	return g.at[i], ""
}

// knots are the strongly connected parts with a cycle in them, each sorted, by their first task
// (Tarjan, with a stack of its own: a chain may be ten thousand tasks long).
func (g *graph) knots() [][]int {
	n := len(g.up)
	order, low, on := make([]int, n), make([]int, n), make([]bool, n)
	var stack, knotOf []int
	var knots [][]int
	type frame struct{ task, next int }
	count := 0
	for start := range n {
		if order[start] != 0 {
			continue
		}
		var frames []frame
		enter := func(i int) {
			count++
			order[i], low[i], on[i] = count, count, true
			stack = append(stack, i)
			frames = append(frames, frame{task: i})
		}
		enter(start)
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			if f.next < len(g.up[f.task]) {
				u := g.up[f.task][f.next]
				f.next++
				if order[u] == 0 {
					enter(u)
				} else if on[u] {
					low[f.task] = min(low[f.task], order[u])
				}
				continue
			}
			i := f.task
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				p := frames[len(frames)-1].task
				low[p] = min(low[p], low[i])
			}
			if low[i] != order[i] {
				continue
			}
			knotOf = nil
			for {
				top := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				on[top] = false
				knotOf = append(knotOf, top)
				if top == i {
					break
				}
			}
			if len(knotOf) > 1 || slices.Contains(g.up[i], i) {
				slices.Sort(knotOf)
				knots = append(knots, knotOf)
			}
		}
	}
	slices.SortFunc(knots, func(a, b []int) int { return a[0] - b[0] })
	return knots
}

// shortest is the shortest way from a knot's first task back to it, following needs.
func (g *graph) shortest(knot []int) []int {
	first := knot[0]
	inside := make(map[int]bool, len(knot))
	for _, i := range knot {
		inside[i] = true
	}
	from := map[int]int{}
	queue := []int{first}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, u := range g.up[i] {
			if u == first {
				var way []int
				for at := i; at != first; at = from[at] {
					way = append(way, at)
				}
				way = append(way, first)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[u]; inside[u] && !seen {
				from[u] = i
				queue = append(queue, u)
			}
		}
	}
	return knot // not reached: a knot has a cycle through each of its tasks
}

// bits is a set of task numbers.
type bits []uint64

func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// upstream tells whether task u lies before task i, near or far. The sets of all tasks are made at
// once when first asked for: a file of ten thousand tasks costs 12 MB and a few milliseconds.
func (g *graph) upstream(i, u int) bool {
	if few := g.up[i]; len(few) < 16 && slices.Contains(few, u) {
		return true
	}
	if g.cyclic {
		return true // already refused; no second error for the same thing
	}
	if g.above == nil {
		g.close()
	}
	return g.above[i].has(u)
}

func (g *graph) close() {
	n := len(g.up)
	words := (n + 63) / 64
	all := make(bits, n*words)
	g.above = make([]bits, n)
	done := make([]bool, n)
	var stack []int
	for start := range n {
		stack = append(stack[:0], start)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			if done[i] {
				stack = stack[:len(stack)-1]
				continue
			}
			ready := true
			for _, u := range g.up[i] {
				if !done[u] {
					ready = false
					stack = append(stack, u)
				}
			}
			if !ready {
				continue
			}
			set := all[i*words : (i+1)*words]
			for _, u := range g.up[i] {
				set[u/64] |= 1 << (u % 64)
				for k, word := range g.above[u] {
					set[k] |= word
				}
			}
			g.above[i], done[i] = set, true
			stack = stack[:len(stack)-1]
		}
	}
}

// isTask tells the names of tasks.
func (g *graph) isTask(name string) bool {
	_, ok := g.index[name]
	return ok
}
