// Package http sends one HTTP request and judges the answer.
//
// It decides what goes out, when an answer is a success and which outputs it gives. It must not
// know other task types or stores, and must not retry: that is the task's `retry`.
package http

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

// Type is the task type. It keeps connections open between attempts, so a process has one.
type Type struct {
	transports *transports
}

// New returns the task type. Nothing is opened before the first request.
func New() *Type { return &Type{transports: newTransports()} }

// Close ends the connections that are idle.
func (t *Type) Close() { t.transports.closeIdle() }

const defaultSuccess = "status < 400"

var schema = task.Schema{
	Description: "Sends an HTTP request. The headers Baton-Fence, Baton-Instance and Baton-Attempt tell the receiver which try of which run it is; a receiver that remembers the greatest fence can refuse an attempt that was given up.",
	Options: []task.Option{
		{Name: "method", Kind: task.Text, Default: nethttp.MethodGet, Description: "GET, POST, PUT, PATCH, DELETE, …"},
		{Name: "url", Kind: task.Text, Required: true, Description: "Where to, beginning with http:// or https://."},
		{Name: "query", Kind: task.TextMap, Description: "Parameters appended to the URL, encoded as they need to be."},
		{Name: "headers", Kind: task.TextMap, Description: "Headers of the request."},
		{
			Name: "secret_headers", Kind: task.ExpressionMap,
			Description: "Headers made from the task's environment, for secrets: with `env: {TOKEN: {secret: api}}`, {Authorization: '\"Bearer \" + env.TOKEN'}. They are never logged and never follow a redirect to another host.",
		},
		{
			Name: "body", Kind: task.AnyValue,
			Description: "What to send: a text as it is; a map or list as JSON, or as a form when Content-Type says application/x-www-form-urlencoded.",
		},
		{
			Name: "success", Kind: task.Expression, Default: defaultSuccess,
			Description: "When the answer is a success: an expression over status, headers and body, such as status == 200 && body.state == 'done'.",
		},
		{
			Name: "outputs", Kind: task.ExpressionMap,
			Description: "Outputs taken from the answer: names and expressions over status, headers and body, such as {id: body.items[0].id}.",
		},
		{
			Name: "timeout", Kind: task.DurationOption, Default: "1m",
			Description: "How long the whole exchange may take, redirects included; 0s for no bound but the task's own timeout.",
		},
		{Name: "follow_redirects", Kind: task.Boolean, Default: "true", Description: "Whether to follow redirects, ten at most."},
		{Name: "insecure", Kind: task.Boolean, Default: "false", Description: "Accept any TLS certificate. For tests: anyone on the way can then read and change everything."},
		{Name: "ca_file", Kind: task.Text, Description: "Path of a PEM file on the worker with the certificates to trust besides the system's."},
	},
}

// Name returns "http".
func (*Type) Name() string { return "http" }

// Schema describes the options.
func (*Type) Schema() task.Schema { return schema }

// Check finds bad URLs, methods and expressions.
func (*Type) Check(options json.RawMessage) []*flow.Error {
	o := schema.Read(options)
	var errs []*flow.Error
	if o.Text("url") != "" && !o.Templated("url") {
		if _, err := parseURL(o.Text("url")); err != nil {
			errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "url", "%v", err))
		}
	}
	if !o.Templated("method") && !isToken(o.Text("method")) {
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "method", "%q is not an HTTP method", o.Text("method")))
	}
	if _, err := compile(o.Text("success"), answerNames{}); err != nil {
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "success", "%v", err))
	}
	errs = append(errs, checkExpressions(o, "outputs", answerNames{})...)
	return append(errs, checkExpressions(o, "secret_headers", secretNames{})...)
}

func checkExpressions(o *task.Options, option string, names any) []*flow.Error {
	var errs []*flow.Error
	texts := o.TextMap(option)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if _, err := compile(texts[name], names); err != nil {
			errs = append(errs, flow.Errorf(flow.CodeInvalidFile, option+"."+name, "%v", err))
		}
	}
	return errs
}

// Run sends the request and judges the answer.
func (t *Type) Run(ctx context.Context, a *task.Attempt) (task.Outputs, error) {
	s, err := readSettings(a)
	if err != nil {
		return nil, err
	}
	transport, err := t.transports.get(s.insecure, s.caFile)
	if err != nil {
		return nil, err
	}
	answer, err := s.exchange(ctx, transport, a.Log)
	if err != nil {
		return nil, err
	}
	return s.judge(answer, a.Log)
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the URL cannot be read: %w", withoutURL(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the URL must begin with http:// or https://, found %q", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("the URL names no host: %q", u.Redacted())
	}
	return u, nil
}

// isToken tells whether s may name a method.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}
