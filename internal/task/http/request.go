// What goes out: the request made from the options of an attempt.

package http

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"baton/internal/task"
)

// settings are the options of one attempt, read and ready.
type settings struct {
	method  string
	url     *url.URL
	header  nethttp.Header
	secrets []string // names of the headers that hold one
	body    []byte

	success string
	outputs map[string]string

	timeout  time.Duration
	follow   bool
	insecure bool
	caFile   string
}

func readSettings(a *task.Attempt) (*settings, error) {
	o := schema.Read(a.Options)
	s := &settings{
		method:   strings.ToUpper(o.Text("method")),
		header:   nethttp.Header{},
		success:  o.Text("success"),
		outputs:  o.TextMap("outputs"),
		timeout:  o.Duration("timeout"),
		follow:   o.Bool("follow_redirects"),
		insecure: o.Bool("insecure"),
		caFile:   o.Text("ca_file"),
	}
	for name, value := range o.TextMap("headers") {
		s.header.Set(name, value)
	}
	query, secrets := o.TextMap("query"), o.TextMap("secret_headers")
	address, body := o.Text("url"), o.Raw("body")
	if err := o.Err(); err != nil {
		return nil, err
	}
	var err error
	if s.url, err = parseURL(address); err != nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: err.Error()}
	}
	if !isToken(s.method) {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: strconv.Quote(s.method) + " is not an HTTP method"}
	}
	s.appendQuery(query)
	if err := s.addSecrets(secrets, a.Env); err != nil {
		return nil, err
	}
	if err := s.setBody(body); err != nil {
		return nil, err
	}
	s.header.Set("Baton-Fence", strconv.FormatInt(a.Token, 10))
	s.header.Set("Baton-Instance", a.Instance.String())
	s.header.Set("Baton-Attempt", strconv.Itoa(int(a.Number)))
	if s.header.Get("User-Agent") == "" {
		s.header.Set("User-Agent", "baton")
	}
	return s, nil
}

// appendQuery leaves what the URL already has as it was written.
func (s *settings) appendQuery(query map[string]string) {
	if len(query) == 0 {
		return
	}
	values := url.Values{}
	for name, value := range query {
		values.Set(name, value)
	}
	if s.url.RawQuery != "" {
		s.url.RawQuery += "&"
	}
	s.url.RawQuery += values.Encode()
}

func (s *settings) addSecrets(expressions, env map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		value, err := evaluate(expressions[name], secretNames{Env: env})
		if err != nil {
			return &task.Failure{Cause: causeExpression, Message: "secret_headers." + name, Err: err}
		}
		text, ok := value.(string)
		if !ok || text == "" {
			return &task.Failure{Cause: causeExpression, Message: "secret_headers." + name + ": the expression gives no text; is the environment variable set in the task's `env`?"}
		}
		s.header.Set(name, text)
		s.secrets = append(s.secrets, nethttp.CanonicalHeaderKey(name))
	}
	return nil
}

const formType = "application/x-www-form-urlencoded"

// setBody encodes the body and says what it is, unless the headers do.
func (s *settings) setBody(raw json.RawMessage) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil
	}
	contentType := "application/json"
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return &task.Failure{Cause: task.CauseOptions, Message: "body", Err: err}
		}
		s.body = []byte(text)
		if !looksLikeJSON(s.body) {
			contentType = "text/plain; charset=utf-8"
		}
	case '{':
		if strings.HasPrefix(s.header.Get("Content-Type"), formType) {
			return s.setForm(raw)
		}
		s.body = raw
	default:
		s.body = raw
	}
	if s.header.Get("Content-Type") == "" && len(s.body) > 0 {
		s.header.Set("Content-Type", contentType)
	}
	return nil
}

func (s *settings) setForm(raw json.RawMessage) error {
	fields := task.Schema{Options: []task.Option{{Name: "body", Kind: task.TextMap}}}.Read(append(append([]byte(`{"body":`), raw...), '}'))
	form := url.Values{}
	for name, value := range fields.TextMap("body") {
		form.Set(name, value)
	}
	s.body = []byte(form.Encode())
	return fields.Err()
}

// looksLikeJSON tells whether b is a JSON object or list, whatever it is called.
func looksLikeJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b)
}

func (s *settings) request(ctx context.Context) (*nethttp.Request, error) {
	var body io.Reader
	if len(s.body) > 0 {
		body = bytes.NewReader(s.body)
	}
	r, err := nethttp.NewRequestWithContext(ctx, s.method, s.url.String(), body)
	if err != nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: "request", Err: withoutURL(err)}
	}
	r.Header = s.header.Clone()
	if host := r.Header.Get("Host"); host != "" { // the library takes it only here
		r.Host = host
	}
	return r, nil
}
