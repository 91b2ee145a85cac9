// The smaller maps of a task: retry, timeout, env, files.

package spec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/attempt"
	"baton/internal/flow"
)

var retryKeys = newTable("retry",
	field("times", "Tries after the first.", whole(0, 1_000_000), func(r *flow.Retry) *int { return &r.Times }).alias("max_attempts", "count", "limit", "attempts"),
	field("delay", "Wait before the second try.", asDuration, func(r *flow.Retry) *flow.Duration { return &r.Delay }).alias("interval"),
	field("backoff", "Factor by which the wait grows from try to try.", defaulting(asFactor, 1), func(r *flow.Retry) *float64 { return &r.Backoff }).alias("factor", "multiplier"),
	field("max_delay", "Longest wait.", asDuration, func(r *flow.Retry) *flow.Duration { return &r.MaxDelay }).alias("max_interval"),
	field("if", "Causes that are tried again: exit:N, exit:N-M, signal, timeout, log:REGEX, each may begin with ! to exclude it. Without it every cause but a kill by hand.",
		listOf(asCause), func(r *flow.Retry) *[]string { return &r.If }).alias("on", "when"),
)

var asRetry = mapped(retryKeys, yaml.FlowStyle, func(r *reader, v value, x *flow.Retry) {
	_, counted := v.get("times")
	switch {
	case !counted && len(v.node.Content) > 0 && retryKeys.knows(v):
		r.fail(v, "retry without times tries nothing again; add times: 3")
	case x.MaxDelay > 0 && x.MaxDelay < x.Delay:
		r.fail(v.at("max_delay"), "max_delay %s is less than delay %s", x.MaxDelay, x.Delay)
	}
})

// asCause is checked by who will match it.
var asCause = checked(asText, func(s string) string {
	_, err := attempt.Compile(flow.Retry{If: []string{s}})
	if e, ok := errors.AsType[*flow.Error](err); ok {
		return e.Message
	}
	return ""
})

var asAction = defaulting(oneOf(flow.TimeoutWarn, flow.TimeoutFail, flow.TimeoutWarnFail), flow.TimeoutFail)

func timeoutKey(name, doc string, at func(*flow.Timeout) *flow.Duration) key[flow.Timeout] {
	return field(name, doc, asDuration, at)
}

var (
	runBound  = timeoutKey("run", "From its start.", func(t *flow.Timeout) *flow.Duration { return &t.Run }).alias("duration", "execution")
	actionKey = field("action", "What happens then: warn raises an alert, fail kills, warn_fail does both.", asAction,
		func(t *flow.Timeout) *flow.TimeoutAction { return &t.Action }).alias("strategy")
	taskTimeoutKeys = newTable("a task's timeout",
		timeoutKey("queue", "From ready to dispatched, waiting for a worker included.", func(t *flow.Timeout) *flow.Duration { return &t.Queue }),
		timeoutKey("start", "From dispatched to started.", func(t *flow.Timeout) *flow.Duration { return &t.Start }),
		runBound,
		timeoutKey("heartbeat", "Since its last sign of life, such as a line of output.", func(t *flow.Timeout) *flow.Duration { return &t.Heartbeat }),
		actionKey)
	workflowTimeoutKeys = newTable("a workflow's timeout", runBound, actionKey)

	asTaskTimeout     = mapped(taskTimeoutKeys, yaml.FlowStyle, bounded)
	asWorkflowTimeout = mapped(workflowTimeoutKeys, yaml.FlowStyle, bounded)
)

// bounded refuses an action that would never be taken.
func bounded(r *reader, v value, t *flow.Timeout) {
	if a, ok := v.get("action"); ok && t.Queue == 0 && t.Start == 0 && t.Run == 0 && t.Heartbeat == 0 && len(v.node.Content) == 2 {
		r.fail(a, "a timeout with an action and no time does nothing; add run: 30m")
	}
}

// Secrets

var secretKeys = newTable("a secret",
	field("env", "Variable of the worker's environment that holds it.", asEnvName, func(s *flow.Secret) *string { return &s.Env }),
	field("file", "File on the worker's host that holds it.", asHostPath, func(s *flow.Secret) *string { return &s.File }),
	later[flow.Secret]("secret", "a secret of the project's store").alias("name"),
)

var asSecret = mapped(secretKeys, yaml.FlowStyle, func(r *reader, v value, _ *flow.Secret) {
	if n := len(v.node.Content) / 2; n != 1 && secretKeys.knows(v) {
		r.fail(v, "a secret is either {env: NAME} or {file: PATH}")
	}
})

var asEnvName = checked(asText, envFault)

var asHostPath = checked(asText, func(s string) string {
	if s == "" {
		return "expected the path of a file on the worker's host, found an empty text"
	}
	return ""
})

// envFault says why a name cannot be an environment variable.
func envFault(s string) string {
	if s == "" || strings.ContainsAny(s, "= \t\n\x00") {
		return fmt.Sprintf("environment variable %s: a name is not empty and holds neither = nor spaces", shown(s))
	}
	return ""
}

// ownEnv are the variables by which a task knows itself; a file that set them would lie to it.
var ownEnv = []string{
	"BATON_INSTANCE_ID", "BATON_TASK_INSTANCE_ID", "BATON_ATTEMPT", "BATON_FENCE", "BATON_DATA_TIME", "BATON_OUTPUT", "TRACEPARENT",
}

func envKey(s string) string {
	if fault := envFault(s); fault != "" {
		return fault
	}
	if slices.Contains(ownEnv, s) || strings.HasPrefix(s, "BATON_PARAM_") || strings.HasPrefix(s, "BATON_SHARD_") {
		return fmt.Sprintf("environment variable %s is set by Baton; choose another name", s)
	}
	return ""
}

// asEnvironment is a map of texts and secrets, in order of the file.
var asEnvironment = variables("a map of variables, such as {REGION: eu}", asEnvValue, envKey)

var asEnvValue = shape[flow.EnvVar]{
	schema: func() object { return object{"anyOf": []any{asText.schema(), asSecret.schema()}} },
	read: func(r *reader, v value) (flow.EnvVar, bool) {
		if v.isMap() {
			s, ok := asSecret.read(r, v)
			return flow.EnvVar{Secret: &s}, ok
		}
		s, ok := r.text(v, "a text, or a secret such as {env: NAME}")
		return flow.EnvVar{Value: s}, ok
	},
	write: func(e flow.EnvVar) *yaml.Node {
		if e.Secret != nil {
			return asSecret.write(*e.Secret)
		}
		return textNode(e.Value)
	},
}

func variables(what string, of shape[flow.EnvVar], check func(string) string) shape[[]flow.EnvVar] {
	return ordered(what, of, check,
		func(k string, e flow.EnvVar) flow.EnvVar { e.Name = k; return e },
		func(e flow.EnvVar) (string, flow.EnvVar) { return e.Name, e })
}

// Files

// asFiles reads paths relative to the workflow file.
var asFiles = func() shape[[]flow.File] {
	paths := listOf(asPath)
	return shape[[]flow.File]{
		schema: paths.schema,
		read: func(r *reader, v value) ([]flow.File, bool) {
			list, ok := paths.read(r, v)
			var out []flow.File
			for _, p := range list {
				out = append(out, flow.File{Path: p})
			}
			return out, ok
		},
		write: func(fs []flow.File) *yaml.Node {
			var list []string
			for _, f := range fs {
				list = append(list, f.Path)
			}
			return paths.write(list)
		},
	}
}()

// filePath is one of them, cleaned.
var asPath = func() shape[string] {
	s := checked(asText, pathFault)
	read := s.read
	s.read = func(r *reader, v value) (string, bool) {
		p, ok := read(r, v)
		if !ok {
			return "", false
		}
		return path.Clean(p), true
	}
	return s
}()

// pathFault says why a path cannot be read beside the workflow file. What is uploaded must be what a
// reviewer sees beside it, not any file of the machine that applies it.
func pathFault(p string) string {
	clean := path.Clean(p)
	switch {
	case p == "" || clean == ".":
		return "a file has a path such as etl/extract.sh"
	case path.IsAbs(p) || len(p) > 1 && p[1] == ':':
		return fmt.Sprintf("%s is an absolute path; put the file beside or below the workflow file and write its relative path", shown(p))
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return fmt.Sprintf("%s leads out of the workflow file's folder; put the file beside or below the workflow file", shown(p))
	case strings.HasSuffix(p, "/"):
		return fmt.Sprintf("%s is a folder; name its files one by one", shown(p))
	case strings.Contains(p, "\\"):
		return fmt.Sprintf("%s: write / between folders, on every system", shown(p))
	case strings.Contains(p, "${") || strings.Contains(p, "$["):
		return fmt.Sprintf("%s: files are uploaded when the workflow is applied, so a path cannot hold ${…}", shown(p))
	}
	return ""
}
