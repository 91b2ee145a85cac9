// triggers: what starts a workflow beside a person and the clock.

package spec

import (
	"errors"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/trigger"
)

var sourceKeys = newTable("an end of a workflow",
	field("workflow", "Name of the workflow whose runs are meant.", asName, func(s *flow.Source) *string { return &s.Workflow }).must(),
	field("project", "Its project; the trigger's own where it is left out.", asName, func(s *flow.Source) *string { return &s.Project }),
	field("state", "How its run has to end; ended is however.",
		defaulting(oneOf(flow.SourceSucceeded, flow.SourceFailed, flow.SourceStopped, flow.SourceEnded), flow.SourceSucceeded),
		func(s *flow.Source) *flow.SourceState { return &s.State }),
)

var asSources = listOf(mapped(sourceKeys, yaml.FlowStyle, nil))

var afterKeys = newTable("after",
	field("all", "Ends of which each is needed.", asSources, func(a *flow.After) *[]flow.Source { return &a.All }),
	field("any", "Ends of which each starts a run.", asSources, func(a *flow.After) *[]flow.Source { return &a.Any }),
)

// asAfter is one of all and any, with something in it.
var asAfter = pointer(mapped(afterKeys, yaml.FlowStyle, func(r *reader, v value, a *flow.After) {
	_, all := v.get("all")
	_, any := v.get("any")
	switch {
	case !afterKeys.knows(v):
	case all == any:
		r.fail(v, "after has one of all and any; such as {all: [{workflow: orders}, {workflow: stock}]}")
	case len(a.Sources()) == 0:
		r.fail(v, "after names no workflow: it would never start anything; such as {all: [{workflow: orders}]}")
	}
}))

var webhookKeys = newTable("a webhook",
	field("secret", "Where the API processes find the secret: {env: NAME} or {file: PATH}. It is never in the file itself.",
		unwritten(asSecret, "a secret is not written into the file; say where the server finds it: {env: HOOK_SECRET} or {file: /run/secrets/hook}"),
		func(w *flow.Webhook) *flow.Secret { return &w.Secret }).must(),
)

var asWebhook = pointer(mapped(webhookKeys, yaml.FlowStyle, nil))

var triggerKeys = newTable("a trigger",
	field("name", "Name, unique in its workflow.", asName, func(t *flow.Trigger) *string { return &t.Name }).must(),
	field("after", "Ends of runs of other workflows: all of them, or any.", asAfter, func(t *flow.Trigger) **flow.After { return &t.After }),
	field("window", "How old an end may be, seen from the newest of its set.", defaulting(asDuration, flow.DefaultWindow), func(t *flow.Trigger) *flow.Duration { return &t.Window }),
	field("webhook", "An HTTP request with a secret.", asWebhook, func(t *flow.Trigger) **flow.Webhook { return &t.Webhook }),
	later[flow.Trigger]("notify", "a PostgreSQL notification"),
	later[flow.Trigger]("file", "a file that arrives"),
	field("params", "Parameters of its runs; ${{ … }} sees the event.", asPairs, func(t *flow.Trigger) *[]flow.Pair { return &t.Params }).alias("parameters", "startParams"),
	enabledKey("Whether it starts runs, at first: `baton trigger enable` and `disable` change it for good.", func(t *flow.Trigger) *bool { return &t.Disabled }),
)

// kindsOfTriggers are the keys of which a trigger has one.
var kindsOfTriggers = []flow.TriggerKind{flow.TriggerAfter, flow.TriggerWebhook}

// triggersKey is a list; a single trigger may stand without it.
var triggersKey = key[workflow]{
	name: "triggers", doc: "What else starts it. Changing a trigger makes no version.",
	aka: []string{"trigger", "on", "events"},
	schema: func() object {
		return object{"anyOf": []any{triggerKeys.schema(), object{"type": "array", "items": triggerKeys.schema()}}}
	},
	read: func(r *reader, v value, w *workflow) {
		if v.isNull() {
			r.expected(v, "a list of triggers")
			return
		}
		for _, item := range v.items() {
			var t flow.Trigger
			if triggerKeys.read(r, item, &t) {
				w.Triggers = append(w.Triggers, t)
				w.triggers = append(w.triggers, item)
			}
		}
	},
	write: func(w *workflow) *yaml.Node {
		if len(w.Triggers) == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, t := range w.Triggers {
			n.Content = append(n.Content, triggerKeys.write(ownProject(t, w.Project)))
		}
		return n
	},
}

// ownProject leaves out the project of what belongs to the trigger's own.
func ownProject(t flow.Trigger, project string) *flow.Trigger {
	if t.After == nil {
		return &t
	}
	after := flow.After{All: slices.Clone(t.After.All), Any: slices.Clone(t.After.Any)}
	for _, list := range [][]flow.Source{after.All, after.Any} {
		for i := range list {
			if list[i].Project == project {
				list[i].Project = ""
			}
		}
	}
	t.After = &after
	return &t
}

// maxTriggers of one workflow, and maxSources of one trigger.
const (
	maxTriggers = 100
	maxSources  = 100
)

// checkTriggers looks at what the keys of triggers say of each other, once the workflow's project is known.
func (r *reader) checkTriggers(w *workflow) {
	if n := len(w.Triggers); n > maxTriggers {
		r.fail(w.at.at("triggers"), "a workflow has at most %d triggers, this one has %d", maxTriggers, n)
		return
	}
	names := map[string]bool{}
	for i := range w.Triggers {
		t, at := &w.Triggers[i], w.triggers[i]
		if names[t.Name] && t.Name != "" {
			r.fail(at.at("name"), "two triggers are called %s; give each a name of its own", shown(t.Name))
		}
		names[t.Name] = true
		r.trigger(w, t, at)
	}
}

func (r *reader) trigger(w *workflow, t *flow.Trigger, at value) {
	said := 0
	for _, kind := range kindsOfTriggers {
		if _, ok := at.get(string(kind)); ok {
			said++
		}
	}
	_, window := at.get("window")
	switch {
	case !triggerKeys.knows(at) || r.hasLater(at):
		return
	case said != 1:
		r.fail(at, "a trigger has one of %s; such as after: {all: [{workflow: orders}]}", kindList())
		return
	case window && t.After == nil:
		r.fail(at.at("window"), "window says how long ends of a set wait for each other: only after has it")
	case window && t.Window <= 0:
		r.fail(at.at("window"), "a window is longer than nothing, such as 24h")
	}
	r.triggerParams(t, at)
	if t.After != nil {
		r.sources(w, t, at.at("after"))
	}
}

// hasLater tells whether a trigger is refused already, for what it waits for is not supported.
func (r *reader) hasLater(at value) bool {
	return slices.ContainsFunc(triggerKeys.keys, func(k key[flow.Trigger]) bool {
		_, there := at.get(k.name)
		return k.later && there
	})
}

func kindList() string {
	words := make([]string, len(kindsOfTriggers))
	for i, k := range kindsOfTriggers {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// sources puts the project of the workflow where none is named, and refuses what cannot be meant.
func (r *reader) sources(w *workflow, t *flow.Trigger, at value) {
	if n := len(t.After.Sources()); n > maxSources {
		r.fail(at, "a trigger waits for at most %d workflows, this one for %d; have one in between", maxSources, n)
		return
	}
	seen := map[string]bool{}
	for _, part := range []struct {
		key  string
		list []flow.Source
	}{{"all", t.After.All}, {"any", t.After.Any}} {
		for i := range part.list {
			s, place := &part.list[i], at.at(part.key).index(i)
			if s.Project == "" {
				s.Project = w.Project
			}
			switch key := s.Key(); {
			case s.Workflow == "": // reported
			case s.Project == w.Project && s.Workflow == w.Name:
				r.fail(place.at("workflow"), "workflow %s would start itself, again and again; a schedule with every, or a loop, repeats something", w.Name)
			case seen[key]:
				r.fail(place, "workflow %s is named twice; it counts once, so leave one out", shown(s.Workflow))
			default:
				seen[key] = true
			}
		}
	}
}

// triggerParams checks the texts that are made of the event; others are resolved when the run starts.
func (r *reader) triggerParams(t *flow.Trigger, at value) {
	params, ok := at.get("params")
	if !ok || !params.isMap() {
		return
	}
	for _, v := range params.entries() {
		if !v.isScalar() {
			continue
		}
		err := trigger.Check(t.Kind(), v.node.Value)
		if fault, ok := errors.AsType[*param.Error](err); ok {
			r.failIn(v, v.node.Value, fault)
		}
	}
}
