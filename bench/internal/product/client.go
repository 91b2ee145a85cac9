// The API, as far as the bench asks it.

package product

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const prefix = "/api/v1"

func (s *Server) do(ctx context.Context, method, path string, body, into any) (err error) {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+prefix+path, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, raw)
	}
	if p, ok := into.(*[]byte); ok {
		*p = raw
		return nil
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (s *Server) get(ctx context.Context, path string, into any) error {
	return s.do(ctx, http.MethodGet, path, nil, into)
}

// Get reads an answer whole.
func (s *Server) Get(ctx context.Context, path string) ([]byte, error) {
	var raw []byte
	return raw, s.get(ctx, path, &raw)
}

// Set changes a setting of the cluster.
func (s *Server) Set(ctx context.Context, key, value string) error {
	return s.do(ctx, http.MethodPut, "/settings/"+key, map[string]string{"value": value}, nil)
}

// Apply makes the workflows.
func (s *Server) Apply(ctx context.Context, project string, flows ...Flow) error {
	files := make([]map[string]string, len(flows))
	for i, f := range flows {
		files[i] = map[string]string{"name": f.Name + ".yaml", "content": f.YAML()}
	}
	return s.do(ctx, http.MethodPost, "/apply", map[string]any{"files": files, "project": project}, nil)
}

// start starts a run and returns its id.
func (s *Server) start(ctx context.Context, workflow string) (string, error) {
	var run struct{ ID string }
	err := s.do(ctx, http.MethodPost, "/instances", map[string]string{"workflow": workflow}, &run)
	return run.ID, err
}

const patience = 2 * time.Minute

// Run starts a run and waits until it has succeeded.
func (s *Server) Run(ctx context.Context, workflow string) (string, error) {
	id, err := s.start(ctx, workflow)
	if err != nil {
		return id, err
	}
	return id, s.succeeded(ctx, workflow, id)
}

// succeeded waits for the end of a run; another end is an error.
func (s *Server) succeeded(ctx context.Context, workflow, id string) error {
	var answer struct {
		Reached  bool
		Instance struct{ State, Reason string }
	}
	if err := s.get(ctx, fmt.Sprintf("/instances/%s/wait?timeout=%s", id, patience), &answer); err != nil {
		return err
	}
	if answer.Instance.State != "succeeded" {
		return fmt.Errorf("run %s of %s is %s after %s: %s", id, workflow, answer.Instance.State, patience, answer.Instance.Reason)
	}
	return nil
}

// Log is what a task printed.
func (s *Server) Log(ctx context.Context, run, task string) (string, error) {
	raw, err := s.Get(ctx, fmt.Sprintf("/instances/%s/tasks/%s/log", run, task))
	return string(raw), err
}
