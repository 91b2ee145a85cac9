// Patience: what is out of reach is waited for. A process ends for a setting that nobody but a person
// can mend, and only at its start.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

const (
	// retryAfter is the pause between two tries at the start, and before a master begins anew.
	retryAfter = time.Second
	// retryTold is how often the log says what is waited for.
	retryTold = 5 * time.Second
)

// hopeless tells whether an error stays however often one tries.
func hopeless(err error) bool {
	if errors.Is(err, flow.ErrFenced) {
		return false
	}
	if refusedForGood(err) {
		return true
	}
	known, ok := errors.AsType[*flow.Error](err)
	return ok && known.Code != flow.CodeUnavailable && known.Code != flow.CodeInternal
}

// persist tries until it works, is hopeless or ctx is done.
func persist[T any](ctx context.Context, log *slog.Logger, s *starting, what string, try func() (T, error)) (T, error) {
	var told time.Time
	for {
		v, err := try()
		if err == nil {
			s.waits("", nil)
		}
		if err == nil || ctx.Err() != nil || hopeless(err) {
			return v, err
		}
		s.waits(what, err)
		if time.Since(told) >= retryTold {
			told = time.Now()
			log.LogAttrs(ctx, slog.LevelWarn, "not ready: waiting, and trying again every second", slog.String("for", what), slog.Any("error", err))
		}
		t := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
			t.Stop()
			return v, ctx.Err()
		case <-t.C:
		}
	}
}

// patient asks the store something for no longer than three leases: a connection may lead nowhere, and the next
// try takes another.
func patient[T any](ctx context.Context, lease time.Duration, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*lease)
	defer cancel()
	return ask(ctx)
}

// ignoreEnd takes the end of a context for no error.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return err
}

// starting answers for a role from its first moment on: alive, and not ready until it serves itself.
type starting struct {
	mu   sync.Mutex
	role http.Handler
	why  string
}

// waits says what for; nothing any more, when err is nil.
func (s *starting) waits(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why = ""; err != nil {
		s.why = what + ": " + err.Error()
	}
}

// check is an error while something is waited for.
func (s *starting) check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != "" {
		return errors.New("starting: " + s.why)
	}
	return nil
}

// serves hands over to the role.
func (s *starting) serves(role http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role = role
}

// ServeHTTP implements http.Handler.
func (s *starting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	role, why := s.role, s.why
	s.mu.Unlock()
	switch {
	case role != nil:
		role.ServeHTTP(w, r)
	case r.URL.Path == "/livez":
		say(w, "ok\n")
	case r.URL.Path == "/metrics":
	default:
		if why != "" {
			why = ": " + why
		}
		w.Header().Set("Retry-After", "1")
		if !strings.HasPrefix(r.URL.Path, apiPrefix) {
			w.WriteHeader(http.StatusServiceUnavailable)
			say(w, "starting%s\n", why)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		const status = http.StatusServiceUnavailable
		_ = json.NewEncoder(w).Encode(api.Problem{ // who asked may be gone
			Title: http.StatusText(status), Status: status, Code: flow.CodeUnavailable, Detail: "the server is starting" + why,
		})
	}
}
