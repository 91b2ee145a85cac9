// triggers: what starts a workflow beside a person and the clock.

package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
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

var notifyKeys = newTable("notify",
	field("datasource", "Data source, of type postgres, of the workflow's project.", asName, func(n *flow.Notify) *string { return &n.DataSource }).must(),
	field("channel", "Channel, as it is written in quotes: NOTIFY Orders is channel orders.", checked(asText, channelFault), func(n *flow.Notify) *string { return &n.Channel }).must(),
	field("missed", "Of a time in which nobody listened: once makes up for it with one run, none for none. It is recorded either way.",
		defaulting(oneOf(flow.MissedNone, flow.MissedOnce), flow.MissedNone), func(n *flow.Notify) *flow.MissedPolicy { return &n.Missed }),
)

// channelFault says why PostgreSQL has no such channel.
func channelFault(s string) string {
	const most = 63
	if s == "" || len(s) > most {
		return fmt.Sprintf("a channel has 1 to %d bytes, %s has %d", most, shown(s), len(s))
	}
	return ""
}

var asNotify = pointer(mapped(notifyKeys, yaml.FlowStyle, nil))

var fileKeys = newTable("a file that arrives",
	field("path", "Pattern of its path on the masters' hosts, or of objects, s3://bucket/key: * and ? within a name, {a,b} of words, ** for any folders.", checked(asText, patternFault), func(a *flow.Arrival) *string { return &a.Path }).must().alias("pattern", "glob"),
	field("every", "Time between two looks, at least 1s.", defaulting(asSpan(flow.Duration(time.Second)), flow.DefaultLook), func(a *flow.Arrival) *flow.Duration { return &a.Every }),
	field("settled", "How long it has to be as it is, so that it is whole; 5s where it is left out, 0s for files that are moved there.", pointer(asSettled),
		func(a *flow.Arrival) **flow.Duration { return &a.Settled }),
)

// maxPattern bounds the pattern of a path, in bytes.
const maxPattern = 1024

// patternFault says why nothing is found by a pattern.
func patternFault(s string) string {
	rest, object := strings.CutPrefix(s, flow.BucketScheme)
	bucket, key, _ := strings.Cut(rest, "/")
	switch {
	case object && (bucket == "" || key == "" || strings.ContainsAny(bucket, `*?[{\\`)):
		return fmt.Sprintf("%s names no bucket and key; such as s3://bucket/in/*.csv", shown(s))
	case !object && strings.Contains(s, "://"):
		return fmt.Sprintf("%s is no address that is looked at; files are on the masters' hosts, such as /data/in/*.csv, or objects, such as s3://bucket/in/*.csv", shown(s))
	case !object && !strings.HasPrefix(s, "/"):
		return fmt.Sprintf("a path begins at the root, %s does not; such as /data/in/*.csv", shown(s))
	case strings.HasSuffix(s, "/"):
		return fmt.Sprintf("%s names a folder; say which files in it: %s*", shown(s), s)
	case strings.Contains(s, "${") || strings.Contains(s, "$["):
		return "nothing is put into the path of a trigger, which knows no run; * stands for any name"
	case len(s) > maxPattern:
		return fmt.Sprintf("a path has at most %d bytes, this one has %d", maxPattern, len(s))
	case !doublestar.ValidatePattern(s):
		return fmt.Sprintf("pattern %s is not complete: a [ or { is not closed; write \\[ for the letter", shown(s))
	}
	return ""
}

var asFile = pointer(mapped(fileKeys, yaml.FlowStyle, nil))

// asSettled is a duration of which none at all is said, too.
var asSettled = func() shape[flow.Duration] {
	s := asSpan(0)
	s.write = func(d flow.Duration) *yaml.Node { return textNode(d.String()) }
	return s
}()

var triggerKeys = newTable("a trigger",
	field("name", "Name, unique in its workflow.", asName, func(t *flow.Trigger) *string { return &t.Name }).must(),
	field("after", "Ends of runs of other workflows: all of them, or any.", asAfter, func(t *flow.Trigger) **flow.After { return &t.After }),
	field("window", "How old an end may be, seen from the newest of its set.", defaulting(asSpan(flow.Duration(time.Second)), flow.DefaultWindow), func(t *flow.Trigger) *flow.Duration { return &t.Window }),
	field("webhook", "An HTTP request with a secret.", asWebhook, func(t *flow.Trigger) **flow.Webhook { return &t.Webhook }),
	field("notify", "A notification of a PostgreSQL database.", asNotify, func(t *flow.Trigger) **flow.Notify { return &t.Notify }),
	field("file", "A file that arrives on the masters' hosts, or an object in a bucket.", asFile, func(t *flow.Trigger) **flow.Arrival { return &t.File }),
	field("params", "Parameters of its runs; ${{ … }} sees the event.", asPairs, func(t *flow.Trigger) *[]flow.Pair { return &t.Params }).alias("parameters", "startParams"),
	enabledKey("Whether it starts runs, at first: `baton trigger enable` and `disable` change it for good.", func(t *flow.Trigger) *bool { return &t.Disabled }),
)

// kindsOfTriggers are the keys of which a trigger has one.
var kindsOfTriggers = []flow.TriggerKind{flow.TriggerAfter, flow.TriggerWebhook, flow.TriggerNotify, flow.TriggerFile}

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
	case !triggerKeys.knows(at):
		return
	case said != 1:
		r.fail(at, "a trigger has exactly one of %s; such as after: {all: [{workflow: orders}]}", kindList())
		return
	case window && t.After == nil:
		r.fail(at.at("window"), "window says how long ends of a set wait for each other: only after has it")
	}
	r.triggerParams(t, at)
	if t.After != nil {
		r.sources(w, t, at.at("after"))
	}
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
