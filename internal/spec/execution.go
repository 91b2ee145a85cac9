// execution and rate: how many runs of a workflow go on at a time, and how many begin in a time.

package spec

import (
	"fmt"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

const parallel = "parallel"

// executions are the words and what they stand for.
var executions = []struct {
	word string
	flow.Execution
	doc string
}{
	{parallel, flow.Execution{}, "Runs go on beside each other."},
	{"serial_wait", flow.Execution{Limit: 1}, "One after another, in order of submission."},
	{"serial_discard", flow.Execution{Limit: 1, Over: flow.OverDiscard}, "A run that comes while another goes on ends at once: stopped, discarded."},
	{"serial_priority", flow.Execution{Limit: 1, Over: flow.OverStopOldest}, "A run that comes stops the others, and begins when they have ended."},
}

// maxRuns of a limit.
const maxRuns = 1_000_000

type execution struct {
	Type string
	flow.Execution
}

var executionWords = func() shape[string] {
	words := make([]string, len(executions))
	for i, e := range executions {
		words[i] = e.word
	}
	return oneOf(words...)
}()

var executionKeys = newTable("an execution",
	field("type", "parallel with limit and over, or one of the words that stand for both.", executionWords, func(e *execution) *string { return &e.Type }),
	field("limit", "How many runs may go on at a time; any number where it is left out.", whole(1, maxRuns), func(e *execution) *int { return &e.Limit }),
	field("over", "What becomes of one more: wait, discard, or stop_oldest.", oneOf(flow.OverWait, flow.OverDiscard, flow.OverStopOldest), func(e *execution) *flow.Over { return &e.Over }),
	field("key", "Text with ${…}: the limit is one of the runs with the same value, not of all.", asText, func(e *execution) *string { return &e.Key }).alias("group"),
)

// executionKey takes a word, or a map.
var executionKey = key[workflow]{
	name: "execution",
	doc:  "What happens when a run is due while others go on.",
	aka:  []string{"executionType", "concurrency", "max_active_runs"},
	schema: func() object {
		var words []any
		for _, e := range executions {
			words = append(words, object{"const": e.word, "description": e.doc})
		}
		return object{"anyOf": append(words, executionKeys.schema()), "default": parallel}
	},
	read: func(r *reader, v value, w *workflow) {
		x := execution{Type: parallel}
		if v.isMap() {
			if !executionKeys.read(r, v, &x) {
				return
			}
		} else if word, ok := executionWords.read(r, v); ok {
			x.Type = word
		}
		_, limited := v.get("limit")
		_, overSaid := v.get("over")
		switch {
		case x.Type != parallel && (limited || overSaid):
			r.fail(v, "execution: %s says both limit and over by itself; write type: parallel with limit and over, or the word alone", x.Type)
		case overSaid && !limited:
			r.fail(v.at("over"), "over says what becomes of a run beyond the limit: say which, such as limit: 2")
		case x.Key != "" && x.Type == parallel && !limited:
			r.fail(v.at("key"), "key says which runs share a limit: say which, such as limit: 2")
		case x.Type == parallel:
			w.Execution = x.Execution
		default:
			for _, e := range executions {
				if e.word == x.Type {
					w.Execution = e.Execution
					w.Execution.Key = x.Key
				}
			}
		}
		if w.Execution.Over == flow.OverWait {
			w.Execution.Over = "" // the usual
		}
	},
	write: func(w *workflow) *yaml.Node {
		for _, e := range executions {
			if e.Execution == w.Execution {
				if e.word == parallel {
					return nil
				}
				return textNode(e.word)
			}
		}
		n := executionKeys.write(&execution{Execution: w.Execution})
		n.Style = yaml.FlowStyle
		return n
	},
}

var rateKeys = newTable("a rate",
	field("starts", "How many runs may begin.", whole(1, flow.MaxStarts), func(r *flow.Rate) *int { return &r.Starts }).must(),
	field("per", "In how long: within any stretch of this length.", checked(asDuration, func(d flow.Duration) string {
		if d < flow.Duration(time.Microsecond) || d > flow.MaxRatePer {
			return "expected a duration from 1us to " + flow.MaxRatePer.String() + ", such as 1m"
		}
		return ""
	}), func(r *flow.Rate) *flow.Duration { return &r.Per }).must(),
	field("key", "Text with ${…}: the rate is one of the runs with the same value, not of all.", asText, func(r *flow.Rate) *string { return &r.Key }).alias("group"),
)

// checkTurns looks at execution and rate together: a run waits in one line.
func (r *reader) checkTurns(w *workflow) {
	limit, rate := w.Execution, w.Rate
	if limit.Limit == 0 || rate.Starts == 0 || limit.Key == rate.Key {
		return
	}
	at := w.at.at("rate")
	if rate.Key != "" {
		at = at.at("key")
	}
	r.failAt(at.node.Line, at.node.Column, at.path(), flow.CodeNotSupported, fmt.Sprintf(
		"execution has %s and rate has %s; different ones are not supported yet: write the same in both", keyOr(limit.Key), keyOr(rate.Key)))
}

func keyOr(key string) string {
	if key == "" {
		return "no key"
	}
	return "key " + shown(key)
}
