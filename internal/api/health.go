// Is this process alive, is it ready, and what does it count.

package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

const readyTimeout = 2 * time.Second

func (s *Server) addHealth(mux *chi.Mux) {
	mux.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.Get("/readyz", s.readyz)
	mux.Get("/metrics", s.writeMetrics)
}

// readyz says no first while the server stops, so that a balancer looks elsewhere.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if s.closing.Err() != nil {
		plain(w, http.StatusServiceUnavailable, "stopping\n")
		return
	}
	if err := s.store.Ping(ctx); err != nil {
		plain(w, http.StatusServiceUnavailable, fmt.Sprintf("store: %v\n", err))
		return
	}
	if s.ready != nil {
		if err := s.ready(ctx); err != nil {
			plain(w, http.StatusServiceUnavailable, fmt.Sprintf("%v\n", err))
			return
		}
	}
	plain(w, http.StatusOK, "ok\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the prober is gone; there is nobody to tell
}
