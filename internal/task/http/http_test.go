package http

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"baton/internal/flow"
	"baton/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server and a task type that calls it.
type world struct {
	kind   *Type
	server *httptest.Server
	env    map[string]string
	log    logBuffer

	mu   sync.Mutex
	seen []*nethttp.Request // with the body read into its form of text
	body []string
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func setup(t *testing.T, handler nethttp.HandlerFunc) *world {
	t.Helper()
	w := &world{kind: New()}
	w.server = httptest.NewServer(w.recorder(handler))
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.kind.Close()
	w.server.Close()
}

func (w *world) recorder(handler nethttp.HandlerFunc) nethttp.Handler {
	return nethttp.HandlerFunc(func(rw nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.seen = append(w.seen, r)
		w.body = append(w.body, string(b))
		w.mu.Unlock()
		handler(rw, r)
	})
}

func (w *world) attempt(t *testing.T, options map[string]any) *task.Attempt {
	t.Helper()
	if u, ok := options["url"].(string); !ok || strings.HasPrefix(u, "/") {
		options["url"] = w.server.URL + u
	}
	raw, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	if errs := append(schema.Check(raw), w.kind.Check(raw)...); len(errs) > 0 {
		t.Fatalf("check: %v", flow.Errors(errs))
	}
	return &task.Attempt{Token: 4711, Instance: 12, Number: 2, Options: raw, Env: w.env, Log: &w.log}
}

func (w *world) run(t *testing.T, options map[string]any) (map[string]string, error) {
	t.Helper()
	out, err := w.kind.Run(t.Context(), w.attempt(t, options))
	texts := map[string]string{}
	for k, v := range out {
		texts[k] = string(v)
	}
	return texts, err
}

func causeOf(err error) string {
	var f *task.Failure
	if !errors.As(err, &f) {
		return fmt.Sprintf("no failure: %v", err)
	}
	return f.Cause
}

func answers(status int, contentType, body string) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options map[string]any
		line    string // method, URL, content type
		body    string
	}{
		"get":                  {map[string]any{"url": "/a?x=1"}, "GET /a?x=1 ", ""},
		"lower case method":    {map[string]any{"method": "delete", "url": "/a"}, "DELETE /a ", ""},
		"query":                {map[string]any{"url": "/a?x=1", "query": map[string]any{"day": "1 & 2", "n": 5}}, "GET /a?x=1&day=1+%26+2&n=5 ", ""},
		"text":                 {map[string]any{"method": "POST", "url": "/", "body": "hello"}, "POST / text/plain; charset=utf-8", "hello"},
		"text that is JSON":    {map[string]any{"method": "POST", "url": "/", "body": ` {"a": 1}`}, "POST / application/json", ` {"a": 1}`},
		"map":                  {map[string]any{"method": "PUT", "url": "/", "body": map[string]any{"a": []any{1, "x"}}}, "PUT / application/json", `{"a":[1,"x"]}`},
		"list":                 {map[string]any{"method": "PUT", "url": "/", "body": []any{1}}, "PUT / application/json", `[1]`},
		"number":               {map[string]any{"method": "PUT", "url": "/", "body": 5}, "PUT / application/json", `5`},
		"nothing":              {map[string]any{"method": "POST", "url": "/", "body": nil}, "POST / ", ""},
		"a content type given": {map[string]any{"method": "POST", "url": "/", "body": "<a/>", "headers": map[string]any{"content-type": "text/xml"}}, "POST / text/xml", "<a/>"},
		"form": {
			map[string]any{"method": "POST", "url": "/", "body": map[string]any{"a": "1 & 2", "b": true}, "headers": map[string]any{"Content-Type": "application/x-www-form-urlencoded"}},
			"POST / application/x-www-form-urlencoded", "a=1+%26+2&b=true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, answers(200, "", ""))
			if _, err := w.run(t, c.options); err != nil {
				t.Fatal(err)
			}
			r := w.seen[0]
			if got := r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type"); got != c.line || w.body[0] != c.body {
				t.Errorf("got %s, body %q", got, w.body[0])
			}
			got := []string{r.Header.Get("Baton-Fence"), r.Header.Get("Baton-Instance"), r.Header.Get("Baton-Attempt"), r.Header.Get("User-Agent")}
			if diff := cmp.Diff([]string{"4711", "12", "2", "baton"}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostHeader(t *testing.T) {
	t.Parallel()
	w := setup(t, answers(200, "", ""))
	if _, err := w.run(t, map[string]any{"headers": map[string]any{"host": "shop.example", "Baton-Fence": "1"}}); err != nil {
		t.Fatal(err)
	}
	if r := w.seen[0]; r.Host != "shop.example" || r.Header.Get("Baton-Fence") != "4711" {
		t.Errorf("host %s, fence %s", r.Host, r.Header.Get("Baton-Fence"))
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	const document = `{"id": 9007199254740993, "n": 5, "f": 0.1, "big": 123456789012345678901234567890, "t": "é\u0000", "none": null, "l": [{"x": 9007199254740993}], "ok": true}`
	w := setup(t, answers(201, "application/json; charset=utf-8", document))
	out, err := w.run(t, map[string]any{
		"success": "status == 201 && body.n > 4 && headers['content-type'] == headers['Content-Type']",
		"outputs": map[string]any{
			"status": "status", "id": "body.id", "n": "body.n + 1", "f": "body.f", "big": "body.big", "t": "body.t", "none": "body.none", "missing": "body.missing",
			"x": "body.l[0].x", "all": "body.l", "ok": "body.ok", "kind": `headers["content-type"]`, "count": "len(body.l)",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"status": "201", "id": `"9007199254740993"`, "n": "6", "f": "0.1", "big": `"123456789012345678901234567890"`, "t": `"é` + "\uFFFD" + `"`, "none": "null", "missing": "null",
		"x": `"9007199254740993"`, "all": `[{"x":"9007199254740993"}]`, "ok": "true", "kind": `"application/json; charset=utf-8"`, "count": "1",
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		kind, body string
		options    map[string]any
		cause      string // "" success
		says       string
	}{
		"ok":                       {200, "", "", map[string]any{}, "", ""},
		"not found":                {404, "text/plain", "no such order\n 7", map[string]any{}, "http:404", "answered 404 Not Found: no such order 7"},
		"unavailable":              {503, "", "", map[string]any{}, "http:503", "answered 503 Service Unavailable"},
		"an own rule":              {404, "", "", map[string]any{"success": "status in [200, 404]"}, "", ""},
		"a rule over the body":     {200, "application/json", `{"state": "failed"}`, map[string]any{"success": "body.state == 'done'"}, "http:200", "does not satisfy success: body.state == 'done'"},
		"JSON called text":         {200, "text/html", `{"state": "done"}`, map[string]any{"success": "body.state == 'done'"}, "", ""},
		"text":                     {200, "text/plain", "all done", map[string]any{"success": "body contains 'done'"}, "", ""},
		"garbage called JSON":      {200, "application/json", "<html>", map[string]any{"success": "body == '<html>'"}, "", ""},
		"a rule that cannot be":    {200, "text/plain", "x", map[string]any{"success": "body.state == 'done'"}, "http:200", "success: expression body.state == 'done': "},
		"a rule that is no answer": {200, "text/plain", "x", map[string]any{"success": "status"}, "http:expression", "not true or false"},
		"an output that cannot be": {200, "text/plain", "x", map[string]any{"outputs": map[string]any{"id": "body.a.b"}}, "http:expression", "outputs.id: "},
		"too much output":          {200, "text/plain", strings.Repeat("x", 70_000), map[string]any{"outputs": map[string]any{"all": "body"}}, "outputs", "64 KiB"},
		"not too much to read":     {200, "text/plain", strings.Repeat("x", maxBody), map[string]any{}, "", ""},
		"too much to read":         {200, "text/plain", strings.Repeat("x", maxBody+1), map[string]any{}, "http:too_large", "more than 8 MiB"},
		"bytes":                    {500, "application/octet-stream", "\x00\xff\x01", map[string]any{}, "http:500", "500 Internal Server Error"},
		"two documents":            {200, "application/json", "{} {}", map[string]any{"success": "body == '{} {}'"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, answers(c.status, c.kind, c.body))
			_, err := w.run(t, c.options)
			if c.cause == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || causeOf(err) != c.cause || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %s: %v", causeOf(err), err)
			}
		})
	}
}

// A small answer that grows without end when unpacked must not fill the memory.
func TestBomb(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 10 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		z.Close()
	})
	if _, err := w.run(t, map[string]any{}); causeOf(err) != "http:too_large" {
		t.Errorf("got %v", err)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
			c.Close()
		}
	}()
	w := setup(t, answers(200, "", ""))
	_, err = w.run(t, map[string]any{"url": "http://someone:hunter2@" + l.Addr().String() + "/x"})
	l.Close()
	<-done
	if causeOf(err) != "http:connect" || strings.Contains(err.Error()+w.log.String(), "hunter2") {
		t.Errorf("got %v\n%s", err, &w.log)
	}
	if _, err := w.run(t, map[string]any{"url": "http://" + l.Addr().String()}); causeOf(err) != "http:connect" {
		t.Errorf("nobody there: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.WriteString(w, "secret="+r.Header.Get("X-Api"))
	}))
	t.Cleanup(other.Close)
	w := setup(t, func(rw nethttp.ResponseWriter, r *nethttp.Request) {
		switch r.URL.Path {
		case "/loop":
			nethttp.Redirect(rw, r, "/loop", nethttp.StatusFound)
		case "/away":
			nethttp.Redirect(rw, r, other.URL, nethttp.StatusTemporaryRedirect)
		case "/near":
			nethttp.Redirect(rw, r, "/end", nethttp.StatusTemporaryRedirect)
		default:
			io.WriteString(rw, r.Method+" secret="+r.Header.Get("X-Api"))
		}
	})
	w.env = map[string]string{"TOKEN": "hunter2"}
	run := func(path string, follow any) (map[string]string, error) {
		return w.run(t, map[string]any{
			"method": "POST", "body": "x", "url": path, "follow_redirects": follow, "secret_headers": map[string]any{"x-api": "env.TOKEN"},
			"outputs": map[string]any{"body": "body", "status": "status", "to": `headers["location"]`},
		})
	}
	if out, err := run("/near", true); err != nil || out["body"] != `"POST secret=hunter2"` {
		t.Errorf("near: %v, %v", out, err)
	}
	if out, err := run("/away", true); err != nil || out["body"] != `"secret="` {
		t.Errorf("away: the secret went along: %v, %v", out, err)
	}
	if out, err := run("/near", "false"); err != nil || out["status"] != "307" || out["to"] != `"/end"` {
		t.Errorf("not followed: %v, %v", out, err)
	}
	if _, err := run("/loop", true); causeOf(err) != "http:redirect" {
		t.Errorf("loop: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	w := &world{kind: New()}
	w.server = httptest.NewUnstartedServer(w.recorder(answers(200, "", "fine")))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the first handshake
	w.server.StartTLS()
	t.Cleanup(w.close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.run(t, map[string]any{}); causeOf(err) != "http:tls" || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("unknown certificate: %v", err)
	}
	if _, err := w.run(t, map[string]any{"insecure": true}); err != nil {
		t.Errorf("insecure: %v", err)
	}
	if _, err := w.run(t, map[string]any{"ca_file": ca}); err != nil {
		t.Errorf("with its ca: %v", err)
	}
	if err := os.WriteFile(ca, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.run(t, map[string]any{"ca_file": ca}); causeOf(err) != "http:tls" {
		t.Errorf("a ca file without a certificate: %v", err)
	}
	if _, err := w.run(t, map[string]any{"ca_file": "/no/such/file"}); causeOf(err) != "http:tls" {
		t.Errorf("no ca file: %v", err)
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}, 8), make(chan struct{})
	w := setup(t, func(rw nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/body" { // the head comes, the body hangs
			io.WriteString(rw, "begin")
			rw.(nethttp.Flusher).Flush()
		}
		arrived <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(leave) })
	for _, path := range []string{"/head", "/body"} {
		if _, err := w.run(t, map[string]any{"url": path, "timeout": "50ms"}); causeOf(err) != "http:timeout" || !strings.Contains(err.Error(), "within 50ms") {
			t.Errorf("%s: %v", path, err)
		}
		<-arrived
		ctx, cancel := context.WithCancelCause(t.Context())
		killed := errors.New("killed by hand")
		go func() {
			<-arrived
			cancel(killed)
		}()
		if _, err := w.kind.Run(ctx, w.attempt(t, map[string]any{"url": path, "timeout": "0s"})); !errors.Is(err, killed) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	w := setup(t, func(rw nethttp.ResponseWriter, r *nethttp.Request) { // it echoes what it got
		rw.WriteHeader(nethttp.StatusForbidden)
		fmt.Fprintf(rw, "not you, %s %s", r.Header.Get("Authorization"), r.Header.Get("X-Odd"))
	})
	w.env = map[string]string{"TOKEN": "hunter2"}
	_, err := w.run(t, map[string]any{
		"url":            strings.Replace(w.server.URL, "http://", "http://user:hunter2@", 1) + "/x?access_token=hunter2&day=5",
		"headers":        map[string]any{"Cookie": "hunter2", "X-Api-Key": "hunter2", "Accept": "text/plain"},
		"secret_headers": map[string]any{"Authorization": `"Bearer " + env.TOKEN`, "X-Odd": "env.TOKEN"},
	})
	if causeOf(err) != "http:403" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	shown := w.log.String()
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "Accept: text/plain\n") || !strings.Contains(shown, "access_token=***&day=5") || !strings.Contains(shown, "answer: 403 Forbidden, ") {
		t.Error(shown)
	}
	if got := w.seen[0].Header.Get("Authorization"); got != "Bearer hunter2" {
		t.Errorf("sent %q", got)
	}
	if _, err := w.run(t, map[string]any{"secret_headers": map[string]any{"Authorization": "env.MISSING"}}); causeOf(err) != "http:expression" || !strings.Contains(err.Error(), "is the environment variable set") {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	w := setup(t, answers(200, "", "x"))
	for range 3 {
		if _, err := w.run(t, map[string]any{}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := w.seen[0].RemoteAddr, w.seen[2].RemoteAddr; a != b {
		t.Errorf("connections from %s and %s", a, b)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for options, field := range map[string]string{
		`{"url": "http://x/${day}"}`:                                        "",
		`{"url": "${base}/x", "method": "${m}", "timeout": "${t}"}`:         "",
		`{"url": "http://x", "follow_redirects": "false", "timeout": "1h"}`: "",
		`{}`:                        "url",
		`{"url": ""}`:               "url",
		`{"url": "ftp://x"}`:        "url",
		`{"url": "x.example/y"}`:    "url",
		`{"url": "http:///y"}`:      "url",
		`{"url": "http://u:p w@x"}`: "url",
		`{"url": "http://x", "method": "GO AWAY"}`:                     "method",
		`{"url": "http://x", "success": "status <"}`:                   "success",
		`{"url": "http://x", "success": "code < 400"}`:                 "success",
		`{"url": "http://x", "success": "all(body, all(body, true))"}`: "success",
		`{"url": "http://x", "outputs": {"a": "body.a", "b": "b"}}`:    "outputs.b",
		`{"url": "http://x", "secret_headers": {"A": "body"}}`:         "secret_headers.A",
		`{"url": "http://x", "headers": {"A": ["b"]}}`:                 "headers.A",
		`{"url": "http://x", "timeout": 5}`:                            "timeout",
		`{"url": "http://x", "insecure": "maybe"}`:                     "insecure",
		`{"url": "http://x", "header": {}}`:                            "header",
	} {
		kind := New()
		errs := append(schema.Check(json.RawMessage(options)), kind.Check(json.RawMessage(options))...)
		switch {
		case field == "" && len(errs) > 0:
			t.Errorf("%s: %v", options, flow.Errors(errs))
		case field != "" && (len(errs) != 1 || errs[0].Field != field):
			t.Errorf("%s: got %v, want one error about %s", options, flow.Errors(errs), field)
		}
	}
}
