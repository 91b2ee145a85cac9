// Questions to the server without a command: a process for each would be the load.

package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Client asks the API directly.
type Client struct {
	t     testing.TB
	url   func() string // a server that is started again has another one
	token string
}

// NewClient asks any server.
func NewClient(t testing.TB, url, token string) *Client {
	t.Helper()
	return &Client{t: t, url: func() string { return url }, token: token}
}

// Client returns a client of the server as it is, with the token that it wrote.
func (s *Server) Client(t testing.TB) *Client {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.Data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return &Client{t: t, url: func() string { return s.URL }, token: strings.TrimSpace(string(raw))}
}

// Call returns the status, 0 when the server did not answer.
func (c *Client) Call(method, path string, body, into any, key ...string) int {
	raw, err := json.Marshal(body)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url()+"/api/v1"+path, bytes.NewReader(raw))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	for _, k := range key {
		req.Header.Set("Idempotency-Key", k)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(answer, into); err != nil {
			c.t.Errorf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return res.StatusCode
}
