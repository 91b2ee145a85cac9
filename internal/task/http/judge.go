// The verdict: is the answer a success, and which outputs does it give.

package http

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	nethttp "net/http"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

// maxExcerpt is how much of a refused answer's body a message shows; the log shows more.
const (
	maxExcerpt    = 300
	maxLogExcerpt = 4 << 10
)

func (s *settings) judge(a *answer, log io.Writer) (task.Outputs, error) {
	names := answerNames{Status: a.status, Headers: flatten(a.header), Body: a.parse(log)}
	cause := fmt.Sprintf("http:%d", a.status)
	verdict, err := evaluate(s.success, names)
	if err != nil {
		return nil, &task.Failure{Cause: cause, Message: fmt.Sprintf("%s answered %s; success", s.target(), a.line), Err: err}
	}
	success, ok := verdict.(bool)
	if !ok {
		return nil, &task.Failure{Cause: causeExpression, Message: fmt.Sprintf("success: %s gives %v, not true or false", s.success, verdict)}
	}
	if !success {
		logExcerpt(log, s.scrub(excerpt(a.body, maxLogExcerpt)))
		return nil, &task.Failure{Cause: cause, Message: s.refusal(a)}
	}
	out := make(task.Outputs, len(s.outputs))
	for _, name := range slices.Sorted(maps.Keys(s.outputs)) {
		value, err := evaluate(s.outputs[name], names)
		if err != nil {
			return nil, &task.Failure{Cause: causeExpression, Message: "outputs." + name, Err: err}
		}
		if out[name], err = outputValue(value); err != nil {
			return nil, &task.Failure{Cause: causeExpression, Message: "outputs." + name, Err: err}
		}
	}
	return out, out.Check("take less of the answer in `outputs`")
}

func (s *settings) refusal(a *answer) string {
	msg := fmt.Sprintf("%s answered %s", s.target(), a.line)
	if s.success != defaultSuccess {
		msg += ", which does not satisfy success: " + s.success
	}
	if text := s.scrub(excerpt(a.body, maxExcerpt)); text != "" {
		msg += ": " + text
	}
	return msg
}

// parse returns the body as a value when it is JSON, else as text. An object or list counts as
// JSON even when the server calls it something else.
func (a *answer) parse(log io.Writer) any {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	declared := kind == "application/json" || strings.HasSuffix(kind, "+json")
	if !declared && !looksLikeJSON(a.body) {
		return string(a.body)
	}
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		if len(bytes.TrimSpace(a.body)) > 0 {
			fmt.Fprintf(log, "the answer says it is %s but is not; taken as text\n", kind) //nolint:errcheck // a log that cannot be written fails nothing
		}
		return string(a.body)
	}
	return plainNumbers(v)
}

// plainNumbers puts numbers an expression can reckon with in place of the decoder's: integers
// where they fit, else floating point.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		if !strings.ContainsAny(v.String(), ".eE") {
			return v.String() // a whole number beyond 64 bits, an id most likely: every digit counts
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	}
	return v
}

// outputValue is the inverse: JSON without losing digits.
func outputValue(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case int:
		return task.IntegerValue(int64(v)), nil
	case float64:
		return task.FloatValue(v, 64), nil
	case string:
		return task.TextValue(v), nil
	default:
		raw, err := json.Marshal(exact(v))
		if err != nil {
			return nil, fmt.Errorf("the value cannot be written as JSON: %w", err)
		}
		return raw, nil
	}
}

// exact replaces what lies inside lists and maps.
func exact(v any) any {
	switch v := v.(type) {
	case int:
		return task.IntegerValue(int64(v))
	case float64:
		return task.FloatValue(v, 64)
	case string:
		return task.TextValue(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[flow.Text(k, math.MaxInt)] = exact(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = exact(item)
		}
		return out
	default:
		return v
	}
}

// flatten gives each header under its canonical and its lower-case name.
func flatten(header nethttp.Header) map[string]string {
	out := make(map[string]string, 2*len(header))
	for name, values := range header {
		value := strings.Join(values, ", ")
		out[name] = value
		out[strings.ToLower(name)] = value
	}
	return out
}

// excerpt returns the begin of a body on one line, nothing of one that is not text.
func excerpt(body []byte, limit int) string {
	if bytes.IndexByte(body, 0) >= 0 {
		return ""
	}
	head := flow.Text(string(body[:min(len(body), limit)]), limit)
	text := strings.Join(strings.Fields(head), " ")
	if len(body) > limit {
		text += " …"
	}
	return text
}
