// What the options of a map or loop come to, and what its items and rounds see.

package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

// defaultRounds is how often a loop goes round that does not say.
const defaultRounds = 100

// fanPlan is what the options of a map or a loop come to.
type fanPlan struct {
	list     []json.RawMessage // of a map
	parallel int
	allowed  float64       // failed items
	max      int           // rounds
	delay    flow.Duration // between rounds
}

// compileFan compiles what a map does with each item, or a loop in each round.
func (p *Plan) compileFan(n *node, types *task.Set) error {
	if n.Inner == nil {
		return fmt.Errorf("it does nothing with its items")
	}
	t := *n.Inner
	t.Name = n.Name
	t.Params = append(slices.Clone(n.Params), t.Params...)
	t.Priority = t.Priority.Or(n.Priority)
	n.inner = &node{Task: &t}
	if err := p.compileTries(n.inner); err != nil {
		return err
	}
	if err := p.compileTry(n.inner, types); err != nil {
		return err
	}
	var o struct {
		As    string `json:"as"`
		Until string `json:"until"`
	}
	if len(n.With) > 0 {
		if err := json.Unmarshal(n.With, &o); err != nil {
			return fmt.Errorf("with: %w", err)
		}
	}
	if n.Type == flow.TypeMap {
		n.as = cmp.Or(o.As, flow.DefaultItem)
		return nil
	}
	var err error
	if n.until, err = param.CompileExpression(o.Until); err != nil {
		return fmt.Errorf("with.until: %w", err)
	}
	return nil
}

// fanPlan renders the options of a map or loop; a reason and a sentence if they cannot be used.
func (s *State) fanPlan(r int32) (p *fanPlan, reason, why string) {
	out, err := s.render(r)
	if err != nil {
		return nil, flow.ReasonParameter, err.Error()
	}
	p, err = readFan(s.Rows[r].Type, out.options)
	if err != nil {
		return nil, flow.ReasonOptions, err.Error()
	}
	return p, "", ""
}

func readFan(kind string, raw json.RawMessage) (*fanPlan, error) {
	var o struct {
		Over        json.RawMessage `json:"over"`
		Batch       json.RawMessage `json:"batch"`
		Parallel    json.RawMessage `json:"parallel"`
		AllowFailed json.RawMessage `json:"allow_failed"`
		Max         json.RawMessage `json:"max"`
		Delay       string          `json:"delay"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	var p fanPlan
	var err error
	if kind == flow.TypeLoop {
		if p.max, err = wholeOf("max", o.Max, defaultRounds, flow.MaxRounds); err == nil && o.Delay != "" {
			if p.delay, err = flow.ParseDuration(o.Delay); err != nil {
				err = fmt.Errorf("with.delay: %w", err)
			}
		}
		return &p, err
	}
	batch, err := wholeOf("batch", o.Batch, 1, 1_000_000)
	if err != nil {
		return nil, err
	}
	if p.parallel, err = wholeOf("parallel", o.Parallel, 0, 1_000_000); err != nil {
		return nil, err
	}
	if p.list, err = listOf(o.Over, batch); err != nil {
		return nil, err
	}
	p.allowed, err = flow.ParseShare(textOf(o.AllowFailed), len(p.list))
	if err != nil {
		err = fmt.Errorf("with.allow_failed: %w", err)
	}
	return &p, err
}

// wholeOf reads a number that may have been a text with references.
func wholeOf(name string, raw json.RawMessage, standard, most int) (int, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return standard, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(textOf(raw)))
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("with.%s: %s is no number from 1 to %d", name, flow.Text(string(raw), 60), most)
	}
	return n, nil
}

// listOf reads what a map goes over: a list, or the text of one.
func listOf(over json.RawMessage, batch int) ([]json.RawMessage, error) {
	text := textOf(over)
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil || list == nil {
		if text == "" {
			text = "an empty text"
		}
		return nil, fmt.Errorf(`with.over is no list: a map goes over a JSON list such as ["a", "b"], and found %s`, flow.Text(text, 200))
	}
	if batch > 1 {
		var batches []json.RawMessage
		for some := range slices.Chunk(list, batch) {
			raw, err := json.Marshal(some)
			if err != nil {
				return nil, err
			}
			batches = append(batches, raw)
		}
		list = batches
	}
	if len(list) > flow.MaxItems {
		return nil, fmt.Errorf("with.over has %d items; a map takes at most %d, so put several into one with batch, or split the list", len(list), flow.MaxItems)
	}
	return list, nil
}

// bind adds to a scope what an item or a round sees beyond its task.
func (s *State) bind(sc *param.Scope, i int32, row *flow.TaskRow) error {
	n := &s.Plan.nodes[i]
	index := int(row.Item) - 1
	f := s.items(i)
	if n.Type == flow.TypeLoop {
		addNames(sc, map[string]string{param.LoopIndex: strconv.Itoa(index)})
		if index > 0 && index <= len(f.rows) && f.rows[index-1] > 0 {
			texts, err := DecodeTexts(s.Rows[f.rows[index-1]-1].Outputs)
			sc.Bound = texts
			return err
		}
		return nil
	}
	if f.plan == nil {
		r := s.row[i]
		if r < 0 {
			return fmt.Errorf("the map of this item is not there any more")
		}
		p, _, why := s.fanPlan(r)
		if why != "" {
			return fmt.Errorf("the list of the map: %s", why)
		}
		f.plan = p
	}
	if index >= len(f.plan.list) {
		return fmt.Errorf("the list of the map has only %d items by now", len(f.plan.list))
	}
	item := textOf(f.plan.list[index])
	addNames(sc, map[string]string{
		param.MapItem: item, param.MapIndex: strconv.Itoa(index), param.MapTotal: strconv.Itoa(len(f.plan.list)),
	})
	sc.Bound = map[string]string{n.as: item}
	return nil
}

// addNames adds names of the engine's to a scope.
func addNames(sc *param.Scope, names map[string]string) {
	if sc.Builtin.Engine != nil {
		maps.Copy(names, sc.Builtin.Engine)
	}
	sc.Builtin.Engine = names
}

// roundScope is what `until` sees after a round: its outputs above all else.
func (s *State) roundScope(i int32, round *flow.TaskRow) *param.Scope {
	sc := s.scope(i, &s.Rows[s.row[i]])
	addNames(sc, map[string]string{param.LoopIndex: strconv.Itoa(int(round.Item) - 1)})
	sc.Bound, _ = DecodeTexts(round.Outputs) // checked when the result came in
	return sc
}

// Items tells which item of its map each row is about, as far as that is known.
func Items(s *State) map[flow.ID]string {
	out := map[flow.ID]string{}
	for r := range s.Rows {
		row := &s.Rows[r]
		if row.Item == 0 || !row.Valid {
			continue
		}
		sc := &param.Scope{}
		if i := s.ownerOf(row); s.bind(sc, i, row) == nil && s.Plan.nodes[i].Type == flow.TypeMap {
			out[row.ID] = sc.Builtin.Engine[param.MapItem]
		}
	}
	return out
}
