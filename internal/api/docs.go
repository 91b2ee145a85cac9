// The documentation page: the OpenAPI document, drawn by a page of our own that needs no network.

package api

import (
	"embed"
	"net/http"

	"github.com/go-chi/chi/v5"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load its own script and style and the document, nothing else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) addDocs(mux *chi.Mux) {
	page := docsFile("docs/index.html", "text/html; charset=utf-8")
	mux.Get("/", page)
	mux.Get("/docs", page)
	mux.Get("/docs/docs.css", docsFile("docs/docs.css", "text/css; charset=utf-8"))
	mux.Get("/docs/docs.js", docsFile("docs/docs.js", "text/javascript; charset=utf-8"))
}

func docsFile(name, contentType string) http.HandlerFunc {
	raw, err := docsFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded: the program was built wrongly
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", docsPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(raw) // the reader is gone; there is nobody to tell
	}
}
