// What a standalone server keeps in its data folder: who it is, who may ask, where it is; and
// what it says when it is ready.

package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/worker"
)

// homeOf reads the identity of the folder, made at the first start.
func homeOf(dir string) (string, error) {
	path := filepath.Join(dir, "home")
	if id := firstLine(path); id != "" {
		return id, nil
	}
	id := rand.Text()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// tokens is where tokens are kept.
type tokens interface {
	TokenName(ctx context.Context, sum string) (string, error)
	CreateToken(ctx context.Context, name, sum string, now flow.Time) error
}

// firstToken makes sure that the folder's token opens the store: a new folder gets a token, a new
// store learns the folder's.
func firstToken(ctx context.Context, db tokens, dir string) error {
	path := filepath.Join(dir, tokenFile)
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read token: %w", err)
	}
	token := firstLine(path)
	if len(raw) == 0 {
		token, _ = api.NewToken()
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			return fmt.Errorf("write token: %w", err)
		}
	}
	_, err = db.TokenName(ctx, api.TokenSum(token))
	if flow.CodeOf(err) != flow.CodeNotFound {
		return err
	}
	return db.CreateToken(ctx, "administrator", api.TokenSum(token), flow.At(time.Now()))
}

// welcome says that the server is ready: to a person how to begin, to a log where it is.
func welcome(w io.Writer, log *slog.Logger, cfg Config, url, admin string) {
	log.Info("ready", slog.String("url", url), slog.String("admin", admin), slog.String("data", cfg.Data), slog.String("version", programVersion()))
	if !isTerminal(w) {
		return
	}
	data := ""
	if cfg.given["data"] {
		data = " --data " + quote(cfg.Data)
	}
	say(w, `
  Baton %s is ready

    API and its documentation   %s
    administrator's token       %s
    health and profiles         %s

    baton apply -f FILE%s && baton run NAME --wait%s

`, programVersion(), url, filepath.Join(cfg.Data, tokenFile), admin, data, data)
}

// serveAdmin serves what operators and their machines ask: health, metrics, profiles.
func serveAdmin(ctx context.Context, l net.Listener, server http.Handler) error {
	mux := http.NewServeMux()
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		mux.Handle("GET "+path, server)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	admin := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = admin.Close() })
	defer stop()
	if err := admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// health answers /livez, /readyz and /metrics of a role without an HTTP interface of its own: it is ready
// when every check passes.
func health(metrics func(context.Context, io.Writer) error, checks ...func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		for _, check := range checks {
			if err := check(ctx); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				say(w, "%v\n", err)
				return
			}
		}
		say(w, "ok\n")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if err := metrics(ctx, w); err != nil {
			say(w, "# incomplete: %v\n", err)
		}
	})
	return mux
}

// serveEarly answers on a role's port before the role can; end makes room for it.
func serveEarly(l net.Listener, s *starting) (end func()) {
	early := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = early.Serve(l) }() // it ends with its listener
	return func() { _ = early.Close() }
}

// serveWorkerAdmin serves health and metrics of a worker. Its tasks are worth more than a port: without it
// the worker works all the same.
func serveWorkerAdmin(ctx context.Context, cfg Config, w *worker.Worker, begin *starting, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	l, err := listen(ctx, "admin-listen", cfg.AdminListen)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelWarn, "health and metrics are not served", slog.Any("error", err))
		return cancel
	}
	log.LogAttrs(ctx, slog.LevelInfo, "health and metrics", slog.String("admin", reachable(l.Addr())))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := serveAdmin(ctx, l, health(workerMetrics(w), begin.check, connected(w))); err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "health and metrics are not served any more", slog.Any("error", err))
		}
	}()
	return func() { cancel(); <-ended }
}
