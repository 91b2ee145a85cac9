// What the log of an attempt shows of an exchange. Secrets it never shows.

package http

import (
	"fmt"
	"io"
	"maps"
	nethttp "net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// private matches headers and query parameters that usually hold a secret.
var private = regexp.MustCompile(`(?i)auth|cookie|token|secret|passw|key|session|credential|signature`)

const masked = "***"

func logRequest(w io.Writer, s *settings) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", s.method, shownURL(s.url))
	for _, name := range slices.Sorted(maps.Keys(s.header)) {
		value := strings.Join(s.header[name], ", ")
		if s.hides(name) {
			value = masked
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	if len(s.body) > 0 {
		fmt.Fprintf(&b, "(a body of %s)\n", size(len(s.body)))
	}
	io.WriteString(w, b.String()) //nolint:errcheck // a log that cannot be written fails nothing
}

// hides tells whether the value of a header is not to be shown.
func (s *settings) hides(header string) bool {
	return slices.Contains(s.secrets, nethttp.CanonicalHeaderKey(header)) || private.MatchString(header)
}

// scrub masks secrets in what a server says, since some echo what they were sent.
func (s *settings) scrub(text string) string {
	for name, values := range s.header {
		if !s.hides(name) {
			continue
		}
		for _, value := range values {
			for part := range strings.FieldsSeq(value) { // "Bearer x": also x alone
				if len(part) >= minSecret {
					text = strings.ReplaceAll(text, part, masked)
				}
			}
		}
	}
	return text
}

// minSecret keeps scrub from masking every letter of a text.
const minSecret = 4

func logAnswer(w io.Writer, status string, bytes int, took time.Duration) {
	fmt.Fprintf(w, "answer: %s, %s in %v\n", status, size(bytes), took.Round(time.Millisecond)) //nolint:errcheck // as above
}

func logExcerpt(w io.Writer, text string) {
	if text != "" {
		fmt.Fprintln(w, text) //nolint:errcheck // as above
	}
}

// shownURL masks password and parameters that look like secrets.
func shownURL(u *url.URL) string {
	if u.RawQuery == "" {
		return u.Redacted()
	}
	shown := *u
	parts := strings.Split(u.RawQuery, "&")
	for i, part := range parts {
		if name, _, has := strings.Cut(part, "="); has && private.MatchString(name) {
			parts[i] = name + "=" + masked
		}
	}
	shown.RawQuery = strings.Join(parts, "&")
	return shown.Redacted()
}

func size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}
