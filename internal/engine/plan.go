// Plan: a workflow version compiled for running; immutable and shared by all its instances.

package engine

import (
	"fmt"
	"slices"

	"baton/internal/attempt"
	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

// Plan is a compiled version of a workflow. It is immutable and safe for concurrent use.
type Plan struct {
	Def   flow.Definition
	nodes []node
	index map[string]int32
	topo  []int32 // every node after all it needs
	// finals are the nodes that run when the end of the run is decided. No edge leads from or to another.
	finals []int32
	// timed: some task has a timeout, or the workflow has one.
	timed     bool
	compens   bool
	outputs   []compiledOutput
	runLimit  flow.Timeout
	deadlines []deadline
	turnKey   *param.Template // that runs share which wait for each other; nil: all do
	declared  *param.Params   // of the workflow
	project   *param.Params
}

type node struct {
	*flow.Task
	final    bool // runs when the end of the run is decided
	up, down []int32
	join     joinRule
	expr     *param.Join // join as an expression
	when     *param.Expression
	decide   *param.Join         // conditions
	cases    []*param.Expression // switch, by branch; nil for the default
	arms     [][]int32           // by branch
	armOf    []int32             // branch nodes that name this one in an arm
	handlers []int32             // conditions tasks that name it in their `if`; disabled ones look at nothing
	rules    attempt.Rules
	work     work  // what a worker is told
	undo     *work // compensation
	undoRule attempt.Rules
	timed    bool
	pool     *param.Template   // the key of its pool; nil: it has no pool
	inner    *node             // map and loop: what is done with each item; it has the name of the map
	as       string            // map: the parameter that an item is in
	until    *param.Expression // loop
}

type joinRule uint8

const (
	joinAllSucceeded joinRule = iota
	joinAllDone
	joinAnySucceeded
	joinNoneFailed
	joinExpression
)

type compiledOutput struct {
	name string
	text *param.Template
}

// Compile makes a plan of a definition that passed file validation; an error means that the
// definition is not one.
func Compile(def flow.Definition, types *task.Set) (*Plan, error) {
	p := &Plan{Def: def, runLimit: def.Workflow.Timeout}
	p.timed = p.runLimit.Run > 0
	if err := p.collect(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", def.Name, err)
	}
	if err := p.compileParams(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", def.Name, err)
	}
	for i := range p.nodes {
		if err := p.link(int32(i)); err != nil {
			return nil, fmt.Errorf("compile %s: task %q: %w", def.Name, p.nodes[i].Name, err)
		}
	}
	for i := range p.nodes {
		if err := p.compileNode(int32(i), types); err != nil {
			return nil, fmt.Errorf("compile %s: task %q: %w", def.Name, p.nodes[i].Name, err)
		}
	}
	for _, o := range def.Workflow.Outputs {
		t, err := param.Compile(o.Value)
		if err != nil {
			return nil, fmt.Errorf("compile %s: output %q: %w", def.Name, o.Name, err)
		}
		p.outputs = append(p.outputs, compiledOutput{o.Name, t})
	}
	if err := p.compileDeadlines(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", def.Name, err)
	}
	if err := p.compileTurns(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", def.Name, err)
	}
	return p, p.sort()
}

// collect makes a node of each task: those of the graph, then those that run at the end.
func (p *Plan) collect() error {
	w := &p.Def.Workflow
	n := len(w.Tasks) + len(w.Finally)
	p.nodes, p.index = make([]node, 0, n), make(map[string]int32, n)
	for under, t := range w.AllTasks() {
		if _, twice := p.index[t.Name]; twice {
			return fmt.Errorf("task %q is defined twice", t.Name)
		}
		i := int32(len(p.nodes))
		p.index[t.Name] = i
		p.nodes = append(p.nodes, node{Task: t, final: under == flow.UnderFinally})
		if p.nodes[i].final {
			p.finals = append(p.finals, i)
		}
	}
	return nil
}

func (p *Plan) link(i int32) error {
	n := &p.nodes[i]
	for _, name := range n.Needs {
		u, ok := p.index[name]
		if !ok {
			return fmt.Errorf("needs %q, which does not exist", name)
		}
		if p.nodes[u].final != n.final {
			return fmt.Errorf("needs %q, and only one of the two runs at the end", name)
		}
		if !slices.Contains(n.up, u) {
			n.up = append(n.up, u)
			p.nodes[u].down = append(p.nodes[u].down, i)
		}
	}
	for b, branch := range n.Branches {
		n.arms = append(n.arms, nil)
		for _, name := range branch.To {
			d, ok := p.index[name]
			if !ok {
				return fmt.Errorf("leads to %q, which does not exist", name)
			}
			n.arms[b] = append(n.arms[b], d)
			if !slices.Contains(p.nodes[d].armOf, i) {
				p.nodes[d].armOf = append(p.nodes[d].armOf, i)
			}
		}
	}
	return nil
}

func (p *Plan) compileNode(i int32, types *task.Set) error {
	n := &p.nodes[i]
	if err := p.compileTries(n); err != nil {
		return err
	}
	if err := p.compileJoin(n); err != nil {
		return err
	}
	var err error
	if n.When != "" {
		if n.when, err = param.CompileExpression(n.When); err != nil {
			return err
		}
	}
	switch n.Type {
	case flow.TypeSwitch:
		for _, b := range n.Branches {
			var c *param.Expression
			if !b.Default {
				if c, err = param.CompileExpression(b.When); err != nil {
					return err
				}
			}
			n.cases = append(n.cases, c)
		}
		return nil
	case flow.TypeConditions:
		if n.decide, err = param.CompileJoin(n.Decide, n.Needs); err != nil {
			return err
		}
		for _, name := range n.decide.Names() {
			if u := &p.nodes[p.index[name]]; !n.Disabled {
				u.handlers = append(u.handlers, i)
			}
		}
		return nil
	}
	if err := p.compileTry(n, types); err != nil {
		return err
	}
	if flow.Fans(n.Type) {
		if err := p.compileFan(n, types); err != nil {
			return err
		}
	}
	if c := n.Compensate; c != nil {
		p.compens = true
		w, err := p.compileWork(types, c.Type, c.With, append(slices.Clone(n.Params), c.Params...), c.Env, c.Files, n.Substitute)
		if err != nil {
			return fmt.Errorf("compensate: %w", err)
		}
		w.patterns = attempt.LogPatterns(c.Retry)
		w.timeout = c.Timeout
		p.timed = p.timed || c.Timeout != (flow.Timeout{})
		n.undo = &w
		if n.undoRule, err = attempt.Compile(c.Retry); err != nil {
			return fmt.Errorf("compensate: %w", err)
		}
	}
	return nil
}

// compileTries compiles when a task, or what is done with each item of a map, is tried again, and how long it may take.
func (p *Plan) compileTries(n *node) error {
	var err error
	if n.rules, err = attempt.Compile(n.Retry); err != nil {
		return err
	}
	t := n.Timeout
	n.timed = t.Queue > 0 || t.Start > 0 || t.Run > 0 || t.Heartbeat > 0
	p.timed = p.timed || n.timed
	return nil
}

// compileTry compiles what one try does.
func (p *Plan) compileTry(n *node, types *task.Set) error {
	var err error
	if n.work, err = p.compileWork(types, n.Type, n.With, n.Params, n.Env, n.Files, n.Substitute); err != nil {
		return err
	}
	n.work.patterns = attempt.LogPatterns(n.Retry)
	n.work.timeout = n.Timeout
	if n.Pool != nil && !flow.Hosted(n.Type) {
		if n.pool, err = param.Compile(n.Pool.Key); err != nil {
			return fmt.Errorf("pool.key: %w", err)
		}
	}
	return nil
}

func (p *Plan) compileJoin(n *node) error {
	switch n.Join {
	case "", flow.JoinAllSucceeded:
		n.join = joinAllSucceeded
	case flow.JoinAllDone:
		n.join = joinAllDone
	case flow.JoinAnySucceeded:
		n.join = joinAnySucceeded
	case flow.JoinNoneFailed:
		n.join = joinNoneFailed
	default:
		n.join = joinExpression
		var err error
		if n.expr, err = param.CompileJoin(n.Join, n.Needs); err != nil {
			return err
		}
	}
	switch {
	case n.Type == flow.TypeConditions && n.Disabled:
		n.join = joinAllSucceeded // it passes through if what is before it succeeded
	case n.Type == flow.TypeConditions:
		n.join = joinAllDone
	}
	return nil
}

// decides tells whether the engine itself runs the node: it chooses among the arms after it.
func (n *node) decides() bool { return n.Type == flow.TypeSwitch || n.Type == flow.TypeConditions }

// sort orders the nodes so that each comes after all it needs (Kahn), in the order of the file
// where there is a choice.
func (p *Plan) sort() error {
	left := make([]int, len(p.nodes))
	var ready []int32
	for i := range p.nodes {
		left[i] = len(p.nodes[i].up)
		if left[i] == 0 {
			ready = append(ready, int32(i))
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		p.topo = append(p.topo, i)
		for _, d := range p.nodes[i].down {
			if left[d]--; left[d] == 0 {
				ready = append(ready, d)
			}
		}
	}
	if len(p.topo) < len(p.nodes) {
		return fmt.Errorf("compile %s: its tasks need each other in a circle", p.Def.Name)
	}
	return nil
}

// Size estimates the bytes a plan holds, for a cache bound by bytes.
func (p *Plan) Size() int {
	n := 512
	for i := range p.nodes {
		t := &p.nodes[i]
		n += 512 + 2*len(t.With) + 8*(len(t.up)+len(t.down))
	}
	return n
}

// choose returns which nodes a run with chosen tasks contains; nil means all.
func (p *Plan) choose(names []string, mode flow.StartMode) ([]bool, error) {
	switch mode {
	case "", flow.StartAfter, flow.StartBefore, flow.StartOnly:
	default:
		return nil, flow.Errorf(flow.CodeBadRequest, "mode", "%q is no start mode; one of after, before, only", mode)
	}
	if len(names) == 0 {
		return nil, nil
	}
	in := make([]bool, len(p.nodes))
	var walk func(i int32, next func(*node) []int32)
	walk = func(i int32, next func(*node) []int32) {
		if in[i] {
			return
		}
		in[i] = true
		for _, d := range next(&p.nodes[i]) {
			walk(d, next)
		}
	}
	for _, i := range p.finals {
		in[i] = true
	}
	for _, name := range names {
		i, ok := p.index[name]
		switch {
		case !ok:
			return nil, flow.Errorf(flow.CodeBadRequest, "tasks", "workflow %s has no task %q", p.Def.Name, name)
		case p.nodes[i].final:
			return nil, flow.Errorf(flow.CodeBadRequest, "tasks", "task %q is under finally and runs at the end of every run; choose among the others", name)
		}
		switch mode {
		case flow.StartOnly:
			in[i] = true
		case flow.StartBefore:
			walk(i, func(n *node) []int32 { return n.up })
		default:
			walk(i, func(n *node) []int32 { return n.down })
		}
	}
	return in, nil
}
