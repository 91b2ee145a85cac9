package api_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

// listen opens a stream, waits until it misses nothing, and returns its events as they come; cancel
// hangs up.
func (w *world) listen(path string) (next func() (event, data string), cancel func()) {
	w.t.Helper()
	ctx, hangUp := context.WithCancel(w.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+w.token)
	reader, writer := io.Pipe()
	go func() {
		w.server.ServeHTTP(&stream{header: http.Header{}, PipeWriter: writer}, r)
		_ = writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	if !lines.Scan() || lines.Text() != ": connected" {
		w.t.Fatalf("the stream begins with %q", lines.Text())
	}
	return func() (event, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				event = value
			case "data":
				return event, value
			}
		}
		return "", ""
	}, func() { hangUp(); _ = reader.Close() }
}

func TestInstanceEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		r := w.take(w.start())
		next, cancel := w.listen("/api/v1/instances/" + r.row.ID.String() + "/events")
		defer cancel()
		if name, data := next(); name != "instance" || !strings.Contains(data, `"state":"running"`) {
			t.Fatalf("first %s %s", name, data)
		}
		synctest.Wait()
		w.masters.tell(api.Event{Instance: r.row.ID, Seq: 1, State: flow.InstanceRunning}) // is in the rows already
		r.end(flow.TaskSucceeded, flow.InstanceSucceeded, 0)
		if name, data := next(); name != "change" || !strings.Contains(data, `"seq":2`) || !strings.Contains(data, `"state":"succeeded"`) || !strings.Contains(data, `"name":"extract"`) {
			t.Errorf("then %s %s", name, data)
		}
		w.masters.tell(api.Event{Gap: true})
		if name, data := next(); name != "instance" || !strings.Contains(data, `"state":"succeeded"`) {
			t.Errorf("after the gap %s %s", name, data)
		}
	})
}

func TestAllEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		next, cancel := w.listen("/api/v1/events")
		defer cancel()
		go w.masters.tell(api.Event{Instance: 5, Seq: 3, State: flow.InstanceQueued})
		if name, data := next(); name != "change" || !strings.Contains(data, `"instance":"5"`) {
			t.Errorf("%s %s", name, data)
		}
		go w.masters.tell(api.Event{Gap: true})
		if name, _ := next(); name != "gap" {
			t.Errorf("%s", name)
		}
	})
}

func TestReadLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.take(w.start())
	w.masters.logs[r.tasks[0].Attempt.Token] = []string{"eins\n", "zw\xc3", "\xb6lf\n"}
	a := w.do(http.MethodGet, "/api/v1/instances/"+r.row.ID.String()+"/tasks/extract/log", "")
	if a.status != http.StatusOK || a.body != "eins\nzwölf\n" || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %q %s", a.status, a.body, a.header)
	}
	if a := w.do(http.MethodGet, "/api/v1/instances/"+r.row.ID.String()+"/tasks/extract/log?attempt=1", ""); a.status != http.StatusOK {
		t.Errorf("attempt 1: %d %s", a.status, a.body)
	}
}

// Followed, a log goes on with the next attempt, and a character is never cut in two.
func TestFollowLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		r := w.take(w.start())
		w.masters.logs[r.tasks[0].Attempt.Token] = []string{"zw\xc3", "\xb6lf\n"}
		next, cancel := w.listen("/api/v1/instances/" + r.row.ID.String() + "/tasks/extract/log?follow=true")
		defer cancel()
		for _, want := range [][2]string{{"attempt", `"attempt":1`}, {"log", `"text":"zw"`}, {"log", `{"offset":2,"next":7,"text":"ölf\n"}`}} {
			if name, data := next(); name != want[0] || !strings.Contains(data, want[1]) {
				t.Fatalf("got %s %s, want %v", name, data, want)
			}
		}
		r.retry("second\n")
		for _, want := range [][2]string{{"attempt", `"attempt":2`}, {"log", `"text":"second\n"`}} {
			if name, data := next(); name != want[0] || !strings.Contains(data, want[1]) {
				t.Fatalf("got %s %s, want %v", name, data, want)
			}
		}
		r.end(flow.TaskSucceeded, flow.InstanceSucceeded, 0)
		if name, data := next(); name != "end" || !strings.Contains(data, `"succeeded"`) {
			t.Errorf("end: %s %s", name, data)
		}
	})
}

// retry grants the next attempt of the first task, with a log.
func (r *run) retry(text string) {
	r.t.Helper()
	past := r.tasks[0].Attempt
	past.State, past.EndedAt, past.Cause = flow.AttemptFailed, flow.At(time.Now()), "exit:1"
	r.tasks[0].Attempt.Number++
	r.masters.mu.Lock()
	r.masters.logs[past.Token+1] = []string{text}
	r.masters.mu.Unlock()
	r.commit(flow.Change{
		Past: []flow.AttemptRow{past}, Grants: []flow.ID{r.tasks[0].ID},
		Tasks: []flow.TaskUpdate{{Row: r.tasks[0], Sources: flow.TaskMachine.Sources(flow.TaskRunning) | 1<<flow.TaskRunning}},
	})
	if r.tasks[0].Attempt.Token != past.Token+1 {
		r.t.Errorf("token %d after %d", r.tasks[0].Attempt.Token, past.Token)
	}
}

// A silent stream shows that it lives.
func TestStreamsBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/events", nil)
		r.Header.Set("Authorization", "Bearer "+w.token)
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if n := strings.Count(rec.Body.String(), ": alive"); n != 2 {
			t.Errorf("%d signs of life in 40 s: %q", n, rec.Body)
		}
	})
}

// The end of the server ends streams and waits at once, and what is under way is answered.
func TestServeEndsStreams(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.start()
	w.take(id)
	ctx, stop := context.WithCancel(t.Context())
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, l) }()

	open := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	events := open("/api/v1/events") //nolint:bodyclose // by the cleanup of open
	if _, err := bufio.NewReader(events.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if res := open("/readyz"); res.StatusCode != http.StatusOK { //nolint:bodyclose // by the cleanup of open
		t.Errorf("readyz: %s", res.Status)
	}
	stop()
	if _, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("events: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if a := w.ask(w.server, http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz while stopping: %d", a.status)
	}
}
