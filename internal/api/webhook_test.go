package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/flow"
)

const hookPath = "/api/v1/projects/default/workflows/hooked/triggers/"

// call sends a webhook, with no token, and returns the status and the body.
func (w *world) call(name, body string, headers map[string]string) (int, string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, hookPath+name, strings.NewReader(body))
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	out := httptest.NewRecorder()
	w.server.ServeHTTP(out, r)
	return out.Code, out.Body.String()
}

func signed(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Who knows the secret starts a run; nobody else learns anything.
func TestWebhook(t *testing.T) {
	t.Parallel()
	w := setup(t)
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.apply(`
name: hooked
triggers:
  - name: push
    webhook: {secret: {file: ` + file + `}}
    params: {commit: "${{ body.after }}", event: '${{ headers["x-github-event"] }}'}
  - {name: text, webhook: {secret: {file: ` + file + `}}, params: {said: "${{ body }}"}}
  - {name: lost, webhook: {secret: {file: /nowhere/hook}}}
  - {name: off, webhook: {secret: {file: ` + file + `}}, enabled: false}
  - {name: after, after: {all: [{workflow: other}]}}
tasks: {a: {run: echo}}
`)
	const body = `{"after": "abc${x}"}`
	good := map[string]string{"X-Baton-Signature": signed("s3cret", body), "X-GitHub-Event": "push"}
	params := func(answer string) map[string]string {
		t.Helper()
		var a struct{ Instance string }
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		id, err := flow.ParseID(a.Instance)
		if err != nil {
			t.Fatal(err)
		}
		run, err := w.db.Instance(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var start flow.Start
		if err := json.Unmarshal(run.Spec, &start); err != nil || start.Trigger != flow.TriggerTrigger {
			t.Fatalf("%s: %v", run.Spec, err)
		}
		return start.Params
	}
	status, answer := w.call("push", body, good)
	if p := params(answer); status != http.StatusAccepted || p["commit"] != "abc$${x}" || p["event"] != "push" {
		t.Errorf("%d %s: %v", status, answer, p)
	}
	status, answer = w.call("text", "plain words", map[string]string{"Authorization": "Bearer s3cret"})
	if p := params(answer); status != http.StatusAccepted || p["said"] != "plain words" {
		t.Errorf("%d %s: %v", status, answer, p)
	}
	refused := map[string]bool{}
	for name, headers := range map[string]map[string]string{
		"push": {"X-Baton-Signature": signed("other", body)}, "text": {}, "lost": {"Authorization": "Bearer "}, "none": good, "after": good,
	} {
		status, answer := w.call(name, body, headers)
		if status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		refused[answer] = true
	}
	if len(refused) != 1 {
		t.Errorf("the answers tell something apart: %v", refused)
	}
	if status, answer := w.call("off", body, good); status != http.StatusConflict || !strings.Contains(answer, "baton trigger enable hooked off") {
		t.Errorf("%d %s", status, answer)
	}
	delete(good, "X-GitHub-Event")
	if status, answer := w.call("push", body, good); status != http.StatusBadRequest || !strings.Contains(answer, `parameter \"event\"`) {
		t.Errorf("%d %s", status, answer)
	}
	if status, _ := w.call("text", strings.Repeat("x", 1<<20+1), map[string]string{"Authorization": "Bearer s3cret"}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: %d", status)
	}
}

// A repeat of a delivery is answered with the run that the first has started.
func TestWebhookRepeated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.apply("name: hooked\ntriggers: [{name: push, webhook: {secret: {file: " + file + "}}}]\ntasks: {a: {run: echo}}\n")
	seen := map[string]int{}
	for _, key := range []map[string]string{{"Idempotency-Key": "1"}, {"Idempotency-Key": "1"}, {"X-GitHub-Delivery": "2"}, {"X-GitHub-Delivery": "2"}, {}, {}} {
		key["X-Hub-Signature-256"] = signed("s3cret", "{}")
		status, answer := w.call("push", "{}", key)
		var a struct{ Instance string }
		if err := json.Unmarshal([]byte(answer), &a); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
		seen[a.Instance]++
	}
	if len(seen) != 4 {
		t.Errorf("%v", seen)
	}
	starts, err := w.db.Starts(t.Context(), flow.StartFilter{})
	if err != nil || len(starts.Items) != 4 {
		t.Errorf("%+v, %v", starts, err)
	}
}
