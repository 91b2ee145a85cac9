// A line format for workflows in tests, shorter than YAML:
//
//	.failure end                       a setting of the workflow
//	load <- extract | retry 2 delay 30s | run ./load.sh
//	route <- load | case region == 'eu' -> eu | default -> rest
//	check <- eu | if eu.succeeded -> done | else -> fix
//	.finally                           what is below it runs at the end

package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"baton/internal/flow"
)

func define(text string) (flow.Workflow, error) {
	var w flow.Workflow
	tasks := &w.Tasks
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var err error
		if line == ".finally" {
			tasks = &w.Finally
		} else if setting, ok := strings.CutPrefix(line, "."); ok {
			err = defineSetting(&w, setting)
		} else {
			err = defineTask(tasks, line)
		}
		if err != nil {
			return w, fmt.Errorf("%s: %w", line, err)
		}
	}
	// A task that an arm names needs the branch, as in a file.
	for _, b := range w.AllTasks() {
		for _, arm := range b.Branches {
			for _, t := range w.AllTasks() {
				if slices.Contains(arm.To, t.Name) && !slices.Contains(t.Needs, b.Name) {
					t.Needs = append(t.Needs, b.Name)
				}
			}
		}
	}
	return w, nil
}

func defineSetting(w *flow.Workflow, text string) error {
	key, arg, _ := strings.Cut(text, " ")
	var err error
	switch key {
	case "failure":
		w.Failure = flow.Failure(arg)
	case "timeout":
		w.Timeout, err = defineTimeout(arg)
	case "priority":
		w.Priority, err = flow.ParsePriority(arg)
	case "timezone":
		w.Timezone = arg
	case "deadline": // started|finished HH:MM [stop]
		words := strings.Fields(arg)
		d := flow.Deadline{}
		if words[0] == "started" {
			d.StartedBy = words[1]
		} else {
			d.FinishedBy = words[1]
		}
		if len(words) > 2 {
			d.Action = flow.DeadlineAction(words[2])
		}
		w.Deadlines = append(w.Deadlines, d)
	case "limit":
		w.Execution.Limit, err = strconv.Atoi(arg)
	case "rate": // starts per
		words := strings.Fields(arg)
		if w.Rate.Starts, err = strconv.Atoi(words[0]); err == nil {
			w.Rate.Per, err = flow.ParseDuration(words[1])
		}
	case "key":
		w.Execution.Key, w.Rate.Key = arg, arg
	case "group":
		w.WorkerGroup = arg
	case "environment":
		w.Environment = arg
	case "param": // name [type] [= default]
		name, value, given := strings.Cut(arg, "=")
		words := strings.Fields(name)
		p := flow.Param{Name: words[0]}
		if len(words) > 1 {
			p.Type = words[1]
		}
		if value = strings.TrimSpace(value); given {
			p.Default = &value
		}
		w.Params = append(w.Params, p)
	case "output":
		name, value, _ := strings.Cut(arg, "=")
		w.Outputs = append(w.Outputs, flow.Output{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	default:
		err = fmt.Errorf("no setting %q", key)
	}
	return err
}

func defineTask(tasks *[]flow.Task, line string) error {
	parts := strings.Split(line, " | ")
	name, needs, _ := strings.Cut(parts[0], "<-")
	t := flow.Task{Name: strings.TrimSpace(name), Type: "shell", With: json.RawMessage(`{"script":"true"}`)}
	for n := range strings.SplitSeq(needs, ",") {
		if n = strings.TrimSpace(n); n != "" {
			t.Needs = append(t.Needs, n)
		}
	}
	at := &t
	for _, p := range parts[1:] {
		if p = strings.TrimSpace(p); p == "each" { // what follows is said of the items of a map, or rounds of a loop
			t.Inner = &flow.Task{Type: "shell", With: json.RawMessage(`{"script":"true"}`)}
			at = t.Inner
			continue
		}
		if err := defineOption(at, p); err != nil {
			return err
		}
	}
	*tasks = append(*tasks, t)
	return nil
}

func defineOption(t *flow.Task, text string) error {
	key, arg, _ := strings.Cut(text, " ")
	var err error
	switch key {
	case "run":
		t.With, err = json.Marshal(map[string]string{"script": arg})
	case "text":
		t.With, err = json.Marshal(map[string]string{"text": arg})
	case "join":
		t.Join = arg
	case "when":
		t.When = arg
	case "pool": // NAME [slots] [key]
		words := strings.Fields(arg)
		t.Pool = &flow.PoolUse{Name: words[0]}
		if len(words) > 1 {
			t.Pool.Slots, err = strconv.Atoi(words[1])
		}
		if len(words) > 2 {
			t.Pool.Key = words[2]
		}
	case "disabled":
		t.Disabled = true
	case "ignore_failure":
		t.IgnoreFailure = true
	case "at_most_once":
		t.Delivery = flow.AtMostOnce
	case "delay":
		t.Delay, err = flow.ParseDuration(arg)
	case "priority":
		t.Priority, err = flow.ParsePriority(arg)
	case "group":
		t.WorkerGroup = arg
	case "wait": // for D, until T, event NAME
		key, value, _ := strings.Cut(arg, " ")
		t.Type = flow.TypeWait
		t.With, err = json.Marshal(map[string]string{key: value})
	case "sub":
		t.Type = flow.TypeSubWorkflow
		t.With, err = json.Marshal(map[string]any{"workflow": arg, "params": map[string]string{"size": "${day}"}})
	case "sub_item":
		t.Type = flow.TypeSubWorkflow
		t.With, err = json.Marshal(map[string]any{"workflow": arg, "params": map[string]string{"size": "${map.item}"}})
	case "dependent": // the options as JSON
		t.Type, t.With = flow.TypeDependent, json.RawMessage(arg)
	case "map", "loop": // the options as JSON
		t.Type, t.With = key, json.RawMessage(arg)
	case "approval":
		t.Type = flow.TypeApproval
		t.With, err = defineApproval(arg)
	case "environment":
		t.Environment = arg
	case "substitute":
		t.Substitute = flow.Substitute(arg)
	case "param":
		name, value, _ := strings.Cut(arg, "=")
		t.Params = append(t.Params, flow.Pair{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	case "env":
		name, value, _ := strings.Cut(arg, "=")
		e := flow.EnvVar{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)}
		if secret, ok := strings.CutPrefix(e.Value, "secret:"); ok {
			e.Value, e.Secret = "", &flow.Secret{Env: secret}
		}
		t.Env = append(t.Env, e)
	case "retry":
		t.Retry, err = defineRetry(arg)
	case "timeout":
		t.Timeout, err = defineTimeout(arg)
	case "compensate":
		t.Compensate = &flow.Compensation{Type: "shell"}
		t.Compensate.With, err = json.Marshal(map[string]string{"script": arg})
	case "case", "default":
		t.Type, t.With = flow.TypeSwitch, nil
		when, to, _ := strings.Cut(arg, "->")
		t.Branches = append(t.Branches, flow.Branch{When: strings.TrimSpace(when), Default: key == "default", To: names(to)})
	case "if":
		t.Type, t.With = flow.TypeConditions, nil
		decide, to, _ := strings.Cut(arg, "->")
		t.Decide = strings.TrimSpace(decide)
		t.Branches = append(t.Branches, flow.Branch{Name: "then", To: names(to)})
	case "else":
		t.Branches = append(t.Branches, flow.Branch{Name: "else", To: names(strings.TrimPrefix(arg, "->"))})
	default:
		err = fmt.Errorf("no option %q", key)
	}
	return err
}

// defineApproval reads a message, then choose A,B, default A, on_timeout W and user:NAME.
func defineApproval(arg string) ([]byte, error) {
	with := map[string]any{}
	var message []string
	words := strings.Fields(arg)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "choose":
			i++
			with["options"] = strings.Split(words[i], ",")
		case w == "default" || w == "on_timeout":
			i++
			with[w] = words[i]
		case strings.HasPrefix(w, "user:"):
			with["approvers"] = []string{w}
		default:
			message = append(message, w)
		}
	}
	with["message"] = strings.Join(message, " ")
	return json.Marshal(with)
}

func names(list string) []string {
	var out []string
	for n := range strings.SplitSeq(list, ",") {
		if n = strings.TrimSpace(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}

func defineRetry(arg string) (flow.Retry, error) {
	words := strings.Fields(arg)
	times, err := strconv.Atoi(words[0])
	r := flow.Retry{Times: times}
	for i := 1; i+1 < len(words) && err == nil; i += 2 {
		switch v := words[i+1]; words[i] {
		case "delay":
			r.Delay, err = flow.ParseDuration(v)
		case "max":
			r.MaxDelay, err = flow.ParseDuration(v)
		case "backoff":
			r.Backoff, err = strconv.ParseFloat(v, 64)
		case "if":
			r.If = strings.Split(v, ",")
		default:
			err = fmt.Errorf("no word %q in retry", words[i])
		}
	}
	return r, err
}

func defineTimeout(arg string) (flow.Timeout, error) {
	var t flow.Timeout
	var err error
	words := strings.Fields(arg)
	for i := 0; i+1 < len(words) && err == nil; i += 2 {
		switch v := words[i+1]; words[i] {
		case "queue":
			t.Queue, err = flow.ParseDuration(v)
		case "start":
			t.Start, err = flow.ParseDuration(v)
		case "run":
			t.Run, err = flow.ParseDuration(v)
		case "heartbeat":
			t.Heartbeat, err = flow.ParseDuration(v)
		case "action":
			t.Action = flow.TimeoutAction(v)
		default:
			err = fmt.Errorf("no word %q in timeout", words[i])
		}
	}
	return t, err
}
