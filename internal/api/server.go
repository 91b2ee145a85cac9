// The HTTP server around the routes: health, documentation, limits, graceful end.

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"baton/internal/flow"
)

// Config is what a Server is made of.
type Config struct {
	Store     Store
	Masters   Masters
	Engine    Engine
	Documents Documents
	NextID    func() flow.ID              // ids for commands and inbox items
	Ready     func(context.Context) error // beside the store's Ping; nil: always
	Metrics   func(io.Writer) error       // of the other roles of this process, text format; nil: none
	Version   string                      // of the program
	Log       *slog.Logger
}

// Server answers /api/v1 and what stands beside it. Safe for concurrent use.
type Server struct {
	store   Store
	masters Masters
	engine  Engine
	files   Documents
	nextID  func() flow.ID
	ready   func(context.Context) error
	others  func(io.Writer) error
	version string
	log     *slog.Logger

	api     huma.API
	spec    func() ([]byte, error) // the OpenAPI document
	handler http.Handler
	metrics *metrics
	untaken untaken
	// closing ends streams and long waits when the server is to stop; other requests are finished.
	closing context.Context //nolint:containedctx // it is the server's own end, not a request's
	close   context.CancelFunc
}

const (
	prefix = "/api/v1"
	// shutdownGrace is how long requests under way may take once the server is to stop.
	shutdownGrace = 5 * time.Second
	// bodyTimeout bounds how slowly a body may come in: 8 MiB over a poor line.
	bodyTimeout       = 2 * time.Minute
	headerTimeout     = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	defaultBodyBytes  = 1 << 20
	documentBodyBytes = 2*flow.MaxFile + 1<<20 // JSON may double the size of a text
)

// New makes a server; nothing runs until Serve.
func New(c Config) *Server {
	settle()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		store: c.Store, masters: c.Masters, engine: c.Engine, files: c.Documents, nextID: c.NextID,
		ready: c.Ready, others: c.Metrics, version: c.Version, log: c.Log, metrics: newMetrics(),
	}
	s.closing, s.close = context.WithCancel(context.Background())

	mux := chi.NewMux()
	mux.Use(s.observe, s.recover)
	mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		respondProblem(w, problemOf(flow.Errorf(flow.CodeNotFound, "", "there is no %s %s; %s/openapi.json lists what there is", r.Method, r.URL.Path, prefix)))
	})
	mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		p := problemOf(flow.Errorf(flow.CodeBadRequest, "", "%s does not take %s", r.URL.Path, r.Method))
		p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
		respondProblem(w, p)
	})
	s.addHealth(mux)
	s.addDocs(mux)
	s.api = humachi.New(mux, document())
	aliases(s.api.OpenAPI().Components.Schemas)
	for _, r := range s.routes() {
		r.add(s, r)
	}
	s.spec = sync.OnceValues(s.document)
	s.handler = mux
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers requests until ctx is done; then it ends streams and waits, lets the requests
// under way finish, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// No WriteTimeout: it would cut logs and events that are followed. Streams set a deadline for
		// each of their writes.
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	s.close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // the grace is over; what still runs is cut
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// until is the context of a stream or a long wait: it also ends when the server is to stop.
func (s *Server) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// recover turns a panic of one request into a 500 of that request.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { //nolint:contextcheck // the answer is written whatever became of the request
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // the sentinel is compared as net/http does
				panic(v)
			}
			s.log.ErrorContext(r.Context(), "request panicked", slog.String("path", r.URL.Path), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			respondProblem(w, problemOf(flow.Errorf(flow.CodeInternal, "", "internal error; the server's log says more")))
		}()
		next.ServeHTTP(w, r)
	})
}

func respondProblem(w http.ResponseWriter, p *Problem) {
	writeProblem(w.Header().Set, w.WriteHeader, w, p)
}

func writeProblem(header func(string, string), status func(int), w io.Writer, p *Problem) {
	header("Content-Type", p.ContentType(""))
	status(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client is gone; there is nobody to tell
}
