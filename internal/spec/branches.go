// The options of switch and conditions, which become arms of the graph.

package spec

import (
	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// asArm is a list of tasks of which an empty one means something: go on with nothing.
var asArm = func() shape[[]string] {
	s := listOf(asName)
	read := s.read
	s.read = func(r *reader, v value) ([]string, bool) {
		to, ok := read(r, v)
		if ok && to == nil {
			to = []string{}
		}
		return to, ok
	}
	s.write = func(to []string) *yaml.Node {
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, t := range to {
			n.Content = append(n.Content, textNode(t))
		}
		return n
	}
	return s
}()

var caseKeys = newTable("a case",
	field("when", "Expression over the parameters, such as region == 'eu'.", asText, func(b *flow.Branch) *string { return &b.When }).must().alias("if", "condition"),
	field("to", "Tasks it leads to.", asArm, func(b *flow.Branch) *[]string { return &b.To }).must().alias("then", "next"),
)

// switchOptions and conditionsOptions are `with` of the two types while it is read or written; a nil
// arm was left out.
type switchOptions struct {
	cases    []flow.Branch
	standard []string
}

type conditionsOptions struct {
	decide           string
	taken, otherwise []string
}

// optional leaves out an arm that is not there.
func optional(s shape[[]string]) shape[[]string] {
	write := s.write
	s.write = func(to []string) *yaml.Node {
		if to == nil {
			return nil
		}
		return write(to)
	}
	return s
}

var asCases = func() shape[[]flow.Branch] {
	s := listOf(mapped(caseKeys, 0, nil))
	write := s.write
	s.write = func(bs []flow.Branch) *yaml.Node {
		n := write(bs)
		if n != nil {
			n.Style = 0
		}
		return n
	}
	return s
}()

var switchKeys = newTable("a switch",
	field("cases", "Cases in order; the first that holds is taken.", asCases, func(s *switchOptions) *[]flow.Branch { return &s.cases }).must(),
	field("default", "Tasks that come next when no case holds. Without it the task then fails with reason no_case.", optional(asArm),
		func(s *switchOptions) *[]string { return &s.standard }).alias("else", "otherwise"),
)

var conditionsKeys = newTable("conditions",
	field("if", "Expression over tasks it needs: T.succeeded, failed, killed, skipped, unreached, ended, with and, or, not.", asText,
		func(c *conditionsOptions) *string { return &c.decide }).must().alias("when", "condition"),
	field("then", "Tasks that come next when it holds.", optional(asArm), func(c *conditionsOptions) *[]string { return &c.taken }).alias("to", "successNode"),
	field("else", "Tasks that come next when it does not.", optional(asArm), func(c *conditionsOptions) *[]string { return &c.otherwise }).alias("default", "failedNode"),
)

// Names of a conditions task's arms.
const (
	armThen = "then"
	armElse = "else"
)

func (r *reader) switchArms(with value) []flow.Branch {
	var s switchOptions
	if !switchKeys.read(r, with, &s) {
		return nil
	}
	if c, given := with.get("cases"); given && len(s.cases) == 0 && c.isList() {
		r.fail(c, "a switch needs at least one case: {when: \"region == 'eu'\", to: [eu]}")
	}
	return s.branches()
}

func (s *switchOptions) branches() []flow.Branch {
	bs := s.cases
	if s.standard != nil {
		bs = append(bs, flow.Branch{Default: true, To: s.standard})
	}
	return bs
}

func (r *reader) conditions(with value) (string, []flow.Branch) {
	var c conditionsOptions
	if !conditionsKeys.read(r, with, &c) {
		return "", nil
	}
	_, then := with.get(armThen)
	_, otherwise := with.get(armElse)
	if !then && !otherwise {
		r.fail(with, "conditions need then, else or both: the tasks that come next")
	}
	return c.decide, c.branches()
}

func (c *conditionsOptions) branches() []flow.Branch {
	var bs []flow.Branch
	if c.taken != nil {
		bs = append(bs, flow.Branch{Name: armThen, To: c.taken})
	}
	if c.otherwise != nil {
		bs = append(bs, flow.Branch{Name: armElse, To: c.otherwise})
	}
	return bs
}

// writeWith writes the options of a task, those of switch and conditions from its arms.
func writeWith(t *flow.Task) *yaml.Node {
	switch t.Type {
	case flow.TypeSwitch:
		var s switchOptions
		for _, b := range t.Branches {
			if b.Default {
				s.standard = b.To
			} else {
				s.cases = append(s.cases, b)
			}
		}
		return switchKeys.write(&s)
	case flow.TypeConditions:
		c := conditionsOptions{decide: t.Decide}
		for _, b := range t.Branches {
			if b.Name == armElse {
				c.otherwise = b.To
			} else {
				c.taken = b.To
			}
		}
		return conditionsKeys.write(&c)
	}
	if flow.Fans(t.Type) {
		return writeFan(t)
	}
	if _, sugar := plainScript(t.Type, t.With); sugar {
		return nil
	}
	return writeOptions(t.With)
}

// target is where the i-th task of a branch is written.
func (g *graph) target(task, branch, i int) value {
	with := g.at[task].at("with")
	b := g.tasks[task].Branches[branch]
	switch {
	case b.Default:
		return with.at("default").index(i)
	case b.Name != "":
		return with.at(b.Name).index(i)
	default:
		return with.at("cases").index(branch).at("to").index(i)
	}
}
