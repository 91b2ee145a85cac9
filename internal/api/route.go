// How a line of the route table becomes a route.

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Route is one line of the route table.
type Route struct {
	Name       string // operation id
	Method     string
	Path       string // below /api/v1
	Permission Permission
	Summary    string
	add        func(*Server, Route)
	options    []func(*huma.Operation)
}

// body is an answer without headers of its own.
type body[T any] struct{ Body T }

// none is the input of a route that takes nothing.
type none struct{}

// to makes a route of a handler. Handlers return plain errors; here they become problems.
func to[I, O any](method, path string, need Permission, name, summary string, h func(*Server, context.Context, *I) (*O, error), options ...func(*huma.Operation)) Route {
	return Route{
		Name: name, Method: method, Path: path, Permission: need, Summary: summary, options: options,
		add: func(s *Server, r Route) {
			huma.Register(s.api, s.operation(r), func(ctx context.Context, in *I) (*O, error) {
				out, err := h(s, ctx, in)
				if err != nil {
					return nil, withChallenge(problem(err, s.log, r.Name))
				}
				return out, nil
			})
		},
	}
}

func (s *Server) operation(r Route) huma.Operation {
	op := huma.Operation{
		OperationID:     r.Name,
		Method:          r.Method,
		Path:            prefix + r.Path,
		Summary:         r.Summary,
		Tags:            []string{tagOf(r.Path)},
		Middlewares:     huma.Middlewares{s.guard(r.Permission)},
		Security:        []map[string][]string{{"token": {}}},
		MaxBodyBytes:    defaultBodyBytes,
		BodyReadTimeout: bodyTimeout,
		Extensions:      map[string]any{"x-permission": string(r.Permission)},
	}
	if r.Permission == Public || r.Permission == BySecret {
		op.Security = []map[string][]string{}
	}
	for _, o := range r.options {
		o(&op)
	}
	return op
}

// tagOf groups routes by what they act on: its first segment, except below a project.
func tagOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "projects" && len(parts) > 2 {
		return parts[2]
	}
	return parts[0]
}

// limit sets the most bytes a body may have.
func limit(n int64) func(*huma.Operation) {
	return func(op *huma.Operation) { op.MaxBodyBytes = n }
}

// answers sets the status of success.
func answers(status int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = status }
}

// also documents a further success status with the same body as the first.
func also(status int, what string) func(*huma.Operation) {
	return func(op *huma.Operation) {
		if op.Metadata == nil {
			op.Metadata = map[string]any{}
		}
		op.Metadata["also"] = map[int]string{status: what}
	}
}

// sends documents a body that no Go type describes.
func sends(what string, types ...string) func(*huma.Operation) {
	return func(op *huma.Operation) {
		content := map[string]*huma.MediaType{}
		for _, t := range types {
			content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
			if t == "application/json" {
				content[t].Schema = &huma.Schema{} // any JSON
			}
		}
		op.Responses = map[string]*huma.Response{"200": {Description: what, Content: content}}
	}
}

// explained adds a description to the summary.
func explained(text string) func(*huma.Operation) {
	return func(op *huma.Operation) { op.Description = text }
}

// document is the empty OpenAPI document that the routes fill.
func document() huma.Config {
	c := huma.DefaultConfig("Baton", "1")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.RejectUnknownQueryParameters = true
	c.Formats = reading(c.Formats)
	c.Info.Description = "Baton schedules and runs work on a fleet of machines. Ids are strings, times RFC 3339, lists page by `cursor`, errors are `application/problem+json` with a stable `code`."
	c.Servers = nil
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "An administrator's token: the file `token` in the data folder of a standalone server, or what `baton admin token create` printed."},
	}
	return c
}

// OpenAPI returns the contract of the HTTP interface, made from the route table.
func OpenAPI() ([]byte, error) {
	return New(Config{}).spec()
}

// Routes returns the route table.
func Routes() []Route { return (*Server)(nil).routes() }

func (s *Server) document() ([]byte, error) {
	doc := s.api.OpenAPI()
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Put, path.Post, path.Delete} {
			repeatAnswers(op)
		}
	}
	doc.Tags = nil
	for _, name := range slices.Sorted(maps.Keys(tagTexts)) {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: name, Description: tagTexts[name]})
	}
	raw, err := doc.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

func repeatAnswers(op *huma.Operation) {
	if op == nil {
		return
	}
	more, _ := op.Metadata["also"].(map[int]string)
	for status, what := range more {
		first := op.Responses[number(int64(max(op.DefaultStatus, http.StatusOK)))]
		if first != nil {
			op.Responses[number(int64(status))] = &huma.Response{Description: what, Content: first.Content}
		}
	}
}
