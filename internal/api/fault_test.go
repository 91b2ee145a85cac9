package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/store"
)

// broken is a store whose disk is full.
type broken struct{ api.Store }

var errDisk = errors.New("disk I/O error: /var/lib/secret")

func (broken) Submit(context.Context, flow.Command, string) (flow.ID, bool, error) {
	return 0, false, errDisk
}
func (broken) Ping(context.Context) error { return errDisk }
func (broken) Instances(context.Context, flow.RunFilter) (flow.Page[flow.Run], error) {
	panic("a defect")
}

// What is inside stays inside: the caller gets a code, the log the rest.
func TestInternalErrorsAreHidden(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(ordersYAML)
	w.server = w.serve(broken{w.db})
	for _, a := range []answer{
		w.do(http.MethodPost, "/api/v1/instances", `{"workflow": "orders"}`),
		w.do(http.MethodGet, "/api/v1/instances", ""),
	} {
		if a.status != http.StatusInternalServerError || strings.Contains(a.body, "secret") || !strings.Contains(a.body, `"code":"internal"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := w.ask(w.server, http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", a.status)
	}
	if a := w.ask(w.server, http.MethodGet, "/livez", ""); a.status != http.StatusOK {
		t.Errorf("livez: %d", a.status)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	big := strings.Repeat("x", flow.MaxResource+1)
	if a := w.do(http.MethodPut, "/api/v1/blobs/"+zeroSum, big); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, `"code":"too_large"`) {
		t.Errorf("blob: %d %.200s", a.status, a.body)
	}
	if a := w.do(http.MethodPost, "/api/v1/instances", `{"workflow": "`+strings.Repeat("x", 2<<20)+`"}`); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("start: %d %.200s", a.status, a.body)
	}
}

// Names hold any text, also what a URL would take for itself.
func TestNamesInPaths(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply("name: 每日 订单?\nproject: a&b\ntasks: {'50%': {run: x}}\n")
	var got api.Workflow
	w.get("/api/v1/projects/a&b/workflows/%E6%AF%8F%E6%97%A5%20%E8%AE%A2%E5%8D%95%3F", &got)
	if got.Name != "每日 订单?" {
		t.Errorf("%+v", got)
	}
}

func TestDocsNeedNoNetwork(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, path := range []string{"/", "/docs", "/docs/docs.css", "/docs/docs.js"} {
		a := w.ask(w.server, http.MethodGet, path, "")
		if a.status != http.StatusOK || len(a.body) < 500 || a.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d, %d bytes", path, a.status, len(a.body))
		}
		for _, far := range []string{"src=\"http", "href=\"http", "url(", "@import"} {
			if strings.Contains(a.body, far) {
				t.Errorf("%s loads something from elsewhere: %s", path, far)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.do(http.MethodGet, "/api/v1/instances/99", "")
	a := w.ask(w.server, http.MethodGet, "/metrics", "")
	want := `baton_http_request_duration_seconds_count{method="GET",route="/api/v1/instances/{instance}",status="404"} 1`
	if a.status != http.StatusOK || !strings.Contains(a.body, want) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Old runs go, young and live ones stay.
func TestHousekeeping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2025
		w := setup(t)
		old := w.take(w.start())
		old.end(flow.TaskSucceeded, flow.InstanceSucceeded, 0)
		live := w.take(w.start())
		time.Sleep(48 * time.Hour)
		young := w.take(w.start())
		young.end(flow.TaskSucceeded, flow.InstanceSucceeded, 0)
		w.do(http.MethodPut, "/api/v1/settings/retention", `{"value": "1d"}`)

		ctx, cancel := context.WithCancel(t.Context())
		h := &api.Housekeeper{Store: w.db}
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		time.Sleep(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for id, status := range map[flow.ID]int{old.row.ID: 404, live.row.ID: 200, young.row.ID: 200} {
			if a := w.do(http.MethodGet, "/api/v1/instances/"+id.String(), ""); a.status != status {
				t.Errorf("run %s: %d, want %d", id, a.status, status)
			}
		}
	})
}

// When no master takes a run for a minute, people are told, once.
func TestAlertOfRunsThatNobodyTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2025
		w := setup(t)
		first := w.start()
		w.start()
		ctx, cancel := context.WithCancel(t.Context())
		h := &api.Housekeeper{Store: w.db, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		alerts := func(after time.Duration, want int) (got api.List[api.Alert]) {
			t.Helper()
			for end := time.Now().Add(after); time.Now().Before(end); time.Sleep(time.Second) {
				_, _ = w.db.Master().Heartbeat(t.Context(), []flow.Node{{Incarnation: w.lease.Incarnation, Name: "m1", State: flow.NodeReady}})
			}
			synctest.Wait()
			if w.get("/api/v1/alerts", &got); len(got.Items) != want {
				t.Fatalf("%d alerts, want %d: %+v", len(got.Items), want, got.Items)
			}
			return got
		}
		alerts(3*time.Minute, 0) // its master takes work: nobody need do anything
		if a := w.do(http.MethodPost, "/api/v1/nodes/m1/drain", ""); a.status != http.StatusOK {
			t.Fatal(a.body)
		}
		got := alerts(3*time.Minute, 1)
		a := got.Items[0]
		if a.Kind != flow.AlertNoMaster || a.Instance == nil || *a.Instance != first.String() || !strings.HasPrefix(a.Message, "masters_drained: ") {
			t.Errorf("%+v", a)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

var _ api.Store = (*store.DB)(nil)
