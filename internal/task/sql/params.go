// Parameters: named values, bound by the driver and never put into the text.

package sql

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"baton/internal/task"
)

// A bound value is nil, string, json.Number, bool or []byte; a list of them takes the place of
// one.
type params map[string][]any

// templatesAllowed: values may still hold ${…}, so only their shape is checked.
const (
	templatesAllowed = true
	finalValues      = false
)

func readParams(raw json.RawMessage, templates bool) (params, error) {
	if raw == nil {
		return nil, nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, fmt.Errorf("params must be a map of names and values, such as {region: \"${region}\"}")
	}
	out := make(params, len(given))
	for name, value := range given {
		if kind, end := colon(":"+name, 0); name == "" || kind != tokenParam || end != len(name)+1 {
			return nil, fmt.Errorf("params: %q cannot be written as :name; use letters, digits and _", name)
		}
		values, err := readParam(value, templates)
		if err != nil {
			return nil, fmt.Errorf("params.%s: %w", name, err)
		}
		out[name] = values
	}
	return out, nil
}

func readParam(raw json.RawMessage, templates bool) ([]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return nil, fmt.Errorf("the list is empty, and `in ()` is no SQL; skip the task with `when` instead")
		}
		for i, item := range v {
			switch item.(type) {
			case map[string]any, []any:
				return nil, fmt.Errorf("item %d is a map or list; write {type: json, value: …} for JSON", i+1)
			}
		}
		return v, nil
	case map[string]any:
		one, err := typedParam(raw, templates)
		return []any{one}, err
	default:
		return []any{v}, nil
	}
}

var paramTypes = []string{"text", "integer", "number", "boolean", "json", "bytes"}

// typedParam reads {type: …, value: …}.
func typedParam(raw json.RawMessage, templates bool) (any, error) {
	var p struct {
		Type  string          `json:"type"`
		Value json.RawMessage `json:"value"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || len(p.Value) == 0 {
		return nil, fmt.Errorf("a map must be {type: …, value: …}; for JSON write {type: json, value: …}")
	}
	if !slices.Contains(paramTypes, p.Type) {
		return nil, fmt.Errorf("unknown type %q; types are %s", p.Type, strings.Join(paramTypes, ", "))
	}
	if bytes.Equal(p.Value, []byte("null")) || templates && bytes.Contains(p.Value, []byte("$")) {
		return nil, nil
	}
	if p.Type == "json" {
		var compact bytes.Buffer
		err := json.Compact(&compact, p.Value)
		return compact.String(), err
	}
	text := string(p.Value)
	switch text[0] {
	case '"':
		if err := json.Unmarshal(p.Value, &text); err != nil {
			return nil, err
		}
	case '{', '[':
		return nil, fmt.Errorf("a map or list has type json")
	}
	return convert(p.Type, text)
}

func convert(kind, text string) (any, error) {
	bad := fmt.Errorf("%q is not of type %s", text, kind)
	switch kind {
	case "integer":
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return nil, bad
		}
		return json.Number(text), nil
	case "number":
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, bad
		}
		return json.Number(text), nil
	case "boolean":
		if text != "true" && text != "false" {
			return nil, bad
		}
		return text == "true", nil
	case "bytes":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, bad
		}
		return b, nil
	default:
		return text, nil
	}
}

// withAttempt adds the names every script may use.
func (p params) withAttempt(a *task.Attempt) params {
	all := params{
		"baton_fence":    {json.Number(strconv.FormatInt(a.Token, 10))},
		"baton_instance": {json.Number(strconv.FormatInt(int64(a.Instance), 10))},
		"baton_attempt":  {json.Number(strconv.Itoa(int(a.Number)))},
	}
	maps.Copy(all, p)
	return all
}
