// What the API counts about itself, in Prometheus' text format.

package api

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// seconds are the upper bounds of the duration histogram.
var seconds = [...]float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5}

type metrics struct {
	mu     sync.Mutex
	routes map[routeKey]*routeCount
}

type routeKey struct {
	method, path string
	status       int
}

type routeCount struct {
	count   uint64
	sum     float64
	buckets [len(seconds)]uint64
}

func newMetrics() *metrics { return &metrics{routes: map[routeKey]*routeCount{}} }

func (m *metrics) add(k routeKey, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.routes[k]
	if c == nil {
		c = &routeCount{}
		m.routes[k] = c
	}
	c.count++
	c.sum += took.Seconds()
	for i, bound := range seconds {
		if took.Seconds() <= bound {
			c.buckets[i]++
		}
	}
}

// observe counts each request by its route, never by its path: paths hold ids.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(seen, r)
		took := time.Since(begun)
		path := chi.RouteContext(r.Context()).RoutePattern()
		if path == "" {
			path = "other"
		}
		s.metrics.add(routeKey{r.Method, path, seen.Status()}, took)
		s.log.DebugContext(r.Context(), "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", seen.Status()), slog.Duration("took", took))
	})
}

func (s *Server) writeMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var b strings.Builder
	s.metrics.write(&b)
	if s.others != nil {
		if err := s.others(&b); err != nil {
			s.log.WarnContext(r.Context(), "metrics are incomplete", slog.Any("error", err))
		}
	}
	_, _ = io.WriteString(w, b.String()) // the scraper is gone; there is nobody to tell
}

func (m *metrics) write(w *strings.Builder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]routeKey, 0, len(m.routes))
	for k := range m.routes {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b routeKey) int {
		if c := strings.Compare(a.path+a.method, b.path+b.method); c != 0 {
			return c
		}
		return a.status - b.status
	})
	const name = "baton_http_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s Requests by route; streams count from first to last byte.\n# TYPE %s histogram\n", name, name)
	for _, k := range keys {
		c := m.routes[k]
		labels := fmt.Sprintf("method=%q,route=%q,status=\"%d\"", k.method, k.path, k.status)
		for i, bound := range seconds {
			fmt.Fprintf(w, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, bound, c.buckets[i])
		}
		fmt.Fprintf(w, "%s_bucket{%s,le=\"+Inf\"} %d\n%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, c.count, name, labels, c.sum, name, labels, c.count)
	}
}
