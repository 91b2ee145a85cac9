package api_test

import (
	"net/http"
	"strings"
	"testing"

	"baton/internal/api"
)

// Every route names its permission, asks for a token unless it is public, and documents what its
// path holds.
func TestRoutes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	names := map[string]bool{}
	for _, r := range api.Routes() {
		if names[r.Name] {
			t.Errorf("%s: two routes have this name", r.Name)
		}
		names[r.Name] = true
		if r.Permission == "" || r.Summary == "" {
			t.Errorf("%s: no permission or summary", r.Name)
		}
		path := "/api/v1" + r.Path
		for part := range strings.SplitSeq(r.Path, "/") {
			if strings.HasPrefix(part, "{") && !documented(r.Method, path, strings.Trim(part, "{}")) {
				t.Errorf("%s: %s is not documented: the handler does not read it", r.Name, part)
			}
		}
		filled := strings.NewReplacer("{instance}", "1", "{sha256}", strings.Repeat("0", 64)).Replace(path)
		body := ""
		if r.Permission == api.BySecret {
			body = "{}" // without one the request is refused before anybody looks whose it is
		}
		for _, header := range []string{"", "Bearer wrong", "Basic " + w.token} {
			a := w.ask(w.server, r.Method, filled, body, "Authorization", header)
			if r.Permission == api.Public {
				if a.status != http.StatusOK {
					t.Errorf("%s is public, answered %d %s", r.Name, a.status, a.body)
				}
				continue
			}
			if a.status != http.StatusUnauthorized || !strings.Contains(a.body, `"code":"unauthorized"`) || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s without a token answered %d %s", r.Name, a.status, a.body)
			}
		}
	}
}

func documented(method, path, name string) bool {
	op := contract["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
	params, _ := op["parameters"].([]any)
	for _, p := range params {
		if p := p.(map[string]any); p["name"] == name && p["in"] == "path" {
			return true
		}
	}
	return false
}
