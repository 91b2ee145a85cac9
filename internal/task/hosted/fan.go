// Maps and loops: what is done once for each item of a list, or round after round.

package hosted

import (
	"encoding/json"
	"strconv"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

const (
	optionOver     = "over"
	optionAs       = "as"
	optionBatch    = "batch"
	optionParallel = "parallel"
	optionAllow    = "allow_failed"
	optionTask     = "task"
	optionMax      = "max"
)

// Map returns the type that does something with each item of a list.
func Map() Type {
	return Type{name: flow.TypeMap, check: checkMap, schema: task.Schema{
		Description: "Does the same with each item of a list that is known when it begins, and is over when all of them are. Output: results, a JSON list of what the items gave, in order, null for one that failed. Recovering runs only the items that failed.",
		Options: []task.Option{
			{Name: optionOver, Kind: task.AnyValue, Required: true, Description: "The list, or a reference to one, such as ${extract.files}: JSON, at most 10,000 items."},
			{Name: optionAs, Kind: task.Plain, Default: flow.DefaultItem, Description: "Name of the parameter that the item is in; it is in ${map.item} too, its place in ${map.index}, from 0, of ${map.total}."},
			{Name: optionBatch, Kind: task.Integer, Default: "1", Description: "Put so many items together; the item is then a JSON list."},
			{Name: optionParallel, Kind: task.Integer, Description: "How many items are under way at a time; by default all."},
			{Name: optionAllow, Kind: task.Text, Default: "0", Description: "How many items may fail without failing the task: a number, or a share such as 10%."},
			{Name: optionTask, Kind: task.Nested, Description: "What is done with each item: a task with type and with or run, retry, timeout and so on."},
			{Name: optionWorkflow, Kind: task.Text, Description: "Instead of a task: the workflow that runs for each item."},
			{Name: "project", Kind: task.Text, Description: "Project of the workflow; by default that of this one."},
			{Name: "params", Kind: task.TextMap, Description: "Parameters of the workflow's runs, such as {file: \"${map.item}\"}."},
		},
	}}
}

func checkMap(o *task.Options) []*flow.Error {
	if as := o.Text(optionAs); param.CheckName(as) != nil {
		return fault(optionAs, "%q is no name of a parameter: %v", as, param.CheckName(as))
	}
	for _, name := range []string{optionBatch, optionParallel} {
		if e := between(o, name, 1, 1_000_000); e != nil {
			return e
		}
	}
	if !o.Templated(optionAllow) {
		if _, err := flow.ParseShare(o.Text(optionAllow), 1); err != nil {
			return fault(optionAllow, "allow_failed is a number of items, or a share of them such as 10%%: %q is neither", o.Text(optionAllow))
		}
	}
	if o.Templated(optionOver) {
		return nil
	}
	var list []json.RawMessage
	raw := o.Raw(optionOver)
	if text := ""; json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return fault(optionOver, `over is a list, or a reference to one such as "${extract.files}"; found %s`, flow.Text(string(raw), 60))
	}
	if !o.Templated(optionBatch) {
		batch := int(o.Integer(optionBatch))
		if n := (len(list) + batch - 1) / batch; n > flow.MaxItems {
			return fault(optionOver, "over has %d items; a map takes at most %d, so put several into one with batch, or split the list", n, flow.MaxItems)
		}
	}
	return nil
}

// Loop returns the type that does something again and again.
func Loop() Type {
	return Type{name: flow.TypeLoop, check: checkLoop, schema: task.Schema{
		Description: "Runs a task round after round until an expression holds. Its outputs are those of the last round; a round that fails fails it.",
		Options: []task.Option{
			{Name: optionTask, Kind: task.Nested, Description: "What a round does: a task with type and with or run, retry, timeout and so on. It sees the outputs of the round before as parameters, and ${loop.index}, from 0."},
			{Name: optionUntil, Kind: task.Expression, Required: true, Description: "Expression that ends it; it sees the outputs of the round as parameters, such as state == \"done\"."},
			{Name: optionMax, Kind: task.Integer, Default: "100", Description: "Most rounds, up to 1000; after them it fails."},
			{Name: "delay", Kind: task.DurationOption, Description: "Wait between rounds."},
		},
	}}
}

func checkLoop(o *task.Options) []*flow.Error { return between(o, optionMax, 1, flow.MaxRounds) }

// between holds a number against its bounds, as far as it is known.
func between(o *task.Options, name string, least, most int64) []*flow.Error {
	if !o.Has(name) || o.Templated(name) {
		return nil
	}
	if n, err := strconv.ParseInt(o.Text(name), 10, 64); err != nil || n < least || n > most {
		return fault(name, "%s is a number from %d to %d", name, least, most)
	}
	return nil
}
