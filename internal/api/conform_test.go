package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"baton/internal/api"
)

// contract is the OpenAPI document, as a client reads it.
var contract = func() map[string]any {
	raw, err := api.OpenAPI()
	if err != nil {
		panic(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		panic(err)
	}
	return doc
}()

// conforms holds an answer against the document: the status must be documented and the body must
// fit its schema, with no field too many.
func conforms(t *testing.T, method, path string, a answer) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	op := operationOf(method, path)
	if op == nil {
		return // beside the interface: /livez, unknown paths
	}
	responses := op["responses"].(map[string]any)
	response, known := responses[strconv.Itoa(a.status)].(map[string]any)
	if !known {
		if a.status < http.StatusBadRequest {
			t.Errorf("%s %s: status %d is not documented", method, path, a.status)
			return
		}
		response = responses["default"].(map[string]any)
	}
	content, _ := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	media, known := content[kind].(map[string]any)
	if !known {
		if len(content) > 0 || a.body != "" {
			t.Errorf("%s %s: content type %q of status %d is not documented", method, path, kind, a.status)
		}
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return
	}
	for _, fault := range faults(media["schema"].(map[string]any), v, "") {
		t.Errorf("%s %s: answer %s", method, path, fault)
	}
}

// operationOf finds the operation whose path fits.
func operationOf(method, path string) map[string]any {
	parts := strings.Split(path, "/")
	for pattern, item := range contract["paths"].(map[string]any) {
		want := strings.Split(pattern, "/")
		fits := len(want) == len(parts)
		for i := 0; fits && i < len(want); i++ {
			fits = want[i] == parts[i] || strings.HasPrefix(want[i], "{")
		}
		if op, has := item.(map[string]any)[strings.ToLower(method)]; fits && has {
			return op.(map[string]any)
		}
	}
	return nil
}

// faults is the part of JSON Schema that the document uses.
func faults(schema map[string]any, v any, at string) []string {
	if ref, ok := schema["$ref"].(string); ok {
		schemas := contract["components"].(map[string]any)["schemas"].(map[string]any)
		return faults(schemas[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any), v, at)
	}
	if !typeFits(schema["type"], v) {
		return []string{at + ": is no " + string(must(json.Marshal(schema["type"]))) + ": " + fmt.Sprintf("%.80v", v)}
	}
	var out []string
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, has := v[name.(string)]; !has {
				out = append(out, at+": lacks "+name.(string))
			}
		}
		for name, value := range v {
			if p, known := properties[name].(map[string]any); known {
				out = append(out, faults(p, value, at+"."+name)...)
			} else if more, ok := schema["additionalProperties"].(map[string]any); ok {
				out = append(out, faults(more, value, at+"."+name)...)
			} else if properties != nil {
				out = append(out, at+": has the unknown "+name)
			}
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for i, value := range v {
				out = append(out, faults(items, value, at+"["+strconv.Itoa(i)+"]")...)
			}
		}
	}
	if enum, ok := schema["enum"].([]any); ok && v != nil {
		fits := false
		for _, e := range enum {
			fits = fits || e == v
		}
		if !fits {
			out = append(out, at+": is not in the enum")
		}
	}
	return out
}

func typeFits(want any, v any) bool {
	names, many := want.([]any)
	if !many {
		if want == nil {
			return true
		}
		names = []any{want}
	}
	for _, n := range names {
		ok := false
		switch v := v.(type) {
		case nil:
			ok = n == "null"
		case bool:
			ok = n == "boolean"
		case string:
			ok = n == "string"
		case float64:
			ok = n == "number" || n == "integer" && v == float64(int64(v))
		case []any:
			ok = n == "array"
		case map[string]any:
			ok = n == "object"
		}
		if ok {
			return true
		}
	}
	return false
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
