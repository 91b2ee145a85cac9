// The API as a user's program calls it: through any api process, again when one does not answer.

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

type client struct {
	apis  []string
	token string
	http  *http.Client
}

func newClient(apis []string, token string, dial func(ctx context.Context, address string) (net.Conn, error)) *client {
	return &client{apis: apis, token: token, http: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return dial(ctx, address)
		},
		MaxIdleConnsPerHost: 64,
	}}}
}

// instance, task, attempt, outcome, worker: what the checker reads of the API's objects.
type instance struct {
	ID          string            `json:"id"`
	Workflow    string            `json:"workflow"`
	State       string            `json:"state"`
	Reason      string            `json:"reason"`
	Key         string            `json:"key"`
	Owner       string            `json:"owner"`
	DataTime    time.Time         `json:"data_time"`
	Trigger     string            `json:"trigger"`
	RunTimes    int               `json:"run_times"`
	Existing    bool              `json:"existing"`
	SubmittedAt time.Time         `json:"submitted_at"`
	StartedAt   *time.Time        `json:"started_at"`
	EndedAt     *time.Time        `json:"ended_at"`
	Params      map[string]string `json:"params"`
	Tasks       []task            `json:"tasks"`
	Parent      *struct {
		Instance string `json:"instance"`
	} `json:"parent"`
}

type task struct {
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	Type        string                     `json:"type"`
	Child       string                     `json:"child"` // the run that it began
	State       string                     `json:"state"`
	Reason      string                     `json:"reason"`
	Valid       bool                       `json:"valid"`
	Held        bool                       `json:"held"`
	RunTimes    int                        `json:"run_times"`
	Attempt     int                        `json:"attempt"`
	Token       int64                      `json:"token"`
	StartedAt   *time.Time                 `json:"started_at"`
	EndedAt     *time.Time                 `json:"ended_at"`
	NextCheckAt *time.Time                 `json:"next_check_at"`
	Outputs     map[string]json.RawMessage `json:"outputs"`
}

type attempt struct {
	TaskInstance string     `json:"task_instance"`
	Task         string     `json:"task"`
	Attempt      int        `json:"attempt"`
	Infra        int        `json:"infra"`
	Token        int64      `json:"token"`
	State        string     `json:"state"`
	Confirmed    bool       `json:"confirmed"`
	Cause        string     `json:"cause"`
	Class        string     `json:"class"`
	Worker       string     `json:"worker"`
	GrantedAt    time.Time  `json:"granted_at"`
	StartedAt    *time.Time `json:"started_at"`
	EndedAt      *time.Time `json:"ended_at"`
	Refused      bool       `json:"refused"`
}

type outcome struct {
	Verb    string    `json:"verb"`
	Applied bool      `json:"applied"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

type worker struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	State   string `json:"state"`
	Running int    `json:"running"`
}

type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// refusal is an answer that another try does not change.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// call asks one api. A refusal says that it was understood and not done; any other error that
// nobody knows.
func (c *client) call(ctx context.Context, api int, method, path string, body, into any, key string) (status int, err error) {
	var text io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		text = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.apis[api%len(c.apis)]+path, text)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return res.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, raw)
	case res.StatusCode >= 300:
		return res.StatusCode, &refusal{res.StatusCode, string(raw)}
	}
	if s, ok := into.(*string); ok {
		*s = string(raw)
		return res.StatusCode, nil
	}
	if into != nil {
		err = json.Unmarshal(raw, into)
	}
	return res.StatusCode, err
}

// get asks until some api answers.
func (c *client) get(ctx context.Context, path string, into any) error {
	for api := 0; ; api++ {
		_, err := c.call(ctx, api, http.MethodGet, path, nil, into, "")
		var no *refusal
		if err == nil || errors.As(err, &no) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// all reads a list to its end.
func all[T any](ctx context.Context, c *client, path string) ([]T, error) {
	var out []T
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for cursor := ""; ; {
		var page list[T]
		next := path + join + "limit=500"
		if cursor != "" {
			next += "&cursor=" + cursor
		}
		if err := c.get(ctx, next, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if cursor = page.Next; cursor == "" {
			return out, nil
		}
	}
}

// workers counts those that are there.
func (c *client) workers(ctx context.Context) int {
	n := 0
	for _, w := range c.nodes(ctx) {
		if w.Role == roleWorker && (w.State == "ready" || w.State == "busy") {
			n++
		}
	}
	return n
}

func (c *client) nodes(ctx context.Context) []worker {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var page list[worker]
	if err := c.get(ctx, "/api/v1/nodes", &page); err != nil {
		return nil
	}
	return page.Items
}
