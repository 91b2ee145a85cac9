// The HTTP client of the commands. Answers keep their raw form, so that -o json prints what the
// server said, also what this program does not know yet.

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

const apiPrefix = "/api/v1"

type client struct {
	http *http.Client
	to   target
	data string // folder to start a server in, for messages

	patience patience
}

func newClient(c Config) *client {
	// No timeout for a whole request: logs are followed and runs waited for. A server that does not
	// answer at all is found by the dial and header timeouts.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	return &client{http: &http.Client{Transport: transport}, to: c.target(), data: c.Data}
}

// request is one question.
type request struct {
	method string
	path   string // below /api/v1, escaped
	query  url.Values
	body   any // JSON, or []byte as it is
	header map[string]string
}

// answer is what came back: decoded, and as it was.
type answer[T any] struct {
	Value T
	Raw   json.RawMessage
}

// ask sends a request and decodes its answer.
func ask[T any](ctx context.Context, c *client, r request) (answer[T], error) {
	var a answer[T]
	res, err := c.send(ctx, r)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a.Raw, err = io.ReadAll(res.Body)
	if err != nil {
		return a, c.unreachable(err)
	}
	if len(bytes.TrimSpace(a.Raw)) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(a.Raw, &a.Value); err != nil {
		return a, flow.Errorf(flow.CodeInternal, "", "the answer of %s is not Baton's: %v", c.to.url, err)
	}
	return a, nil
}

// send sends a request; an answer that is an error becomes one.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	body, contentType, err := encode(r.body)
	if err != nil {
		return nil, err
	}
	address := c.to.url + apiPrefix + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.to.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.to.token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		defer res.Body.Close()
		return nil, c.refusal(res)
	}
	return res, nil
}

func encode(body any) (io.Reader, string, error) {
	switch b := body.(type) {
	case nil:
		return nil, "", nil
	case []byte:
		return bytes.NewReader(b), "application/octet-stream", nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, "", fmt.Errorf("write request: %w", err)
	}
	return bytes.NewReader(raw), "application/json", nil
}

// refusal reads a problem.
func (c *client) refusal(res *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	var p api.Problem
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Code == "" {
		return flow.Errorf(flow.CodeInternal, "", "%s answered %s, which is not an answer of Baton; is this its address?", c.to.url, res.Status)
	}
	if len(p.Errors) > 0 {
		many := make(flow.Errors, len(p.Errors))
		for i := range p.Errors {
			many[i] = &p.Errors[i]
		}
		return many
	}
	if p.Code == flow.CodeUnauthorized && c.to.token == "" {
		// The server cannot know where this command looked for a token.
		p.Detail = fmt.Sprintf("no token: %s has no file `token`, and neither --token nor BATON_TOKEN is set; asked %s (%s). Beside a standalone server name its data folder with --data or BATON_DATA; of a cluster: export BATON_TOKEN=$(baton admin token create --store postgres://…)", c.data, c.to.url, c.to.from)
	}
	return &flow.Error{Code: p.Code, Message: p.Detail, Field: p.Field, File: p.File, Line: p.Line, Column: p.Column, Suggestion: p.Suggestion}
}

// unreachable tells which address was tried, why that one, and how to start a server there.
func (c *client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	hint := ""
	if strings.Contains(err.Error(), "HTTP response to HTTPS client") { // so net/http says
		hint = "\nIt speaks plain HTTP: write http:// in --server, or name a proxy that does TLS"
	}
	if c.local() && !c.to.said {
		hint = fmt.Sprintf("\nStart one with: baton standalone --data %s", c.data)
	}
	return flow.Errorf(flow.CodeUnavailable, "", "no server answers at %s (address from %s): %v%s", c.to.url, c.to.from, err, hint)
}

func (c *client) local() bool {
	u, err := url.Parse(c.to.url)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// path joins segments of a path, each escaped.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
