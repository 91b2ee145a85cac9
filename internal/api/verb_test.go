package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

// settleNext makes the master carry out, or refuse, the next order as soon as it is poked.
func (r *run) settleNext(applied bool, reason string, state flow.InstanceState) {
	r.masters.mu.Lock()
	defer r.masters.mu.Unlock()
	r.masters.onPoke = func() {
		items, err := r.db.Master().Inbox(r.t.Context(), r.lease.Incarnation, 10, nil)
		if err != nil || len(items) != 1 {
			r.t.Errorf("inbox: %v, %v", items, err)
			return
		}
		r.row.State = state
		go r.commit(flow.Change{Inbox: []flow.ID{items[0].ID}, Outcomes: []flow.Outcome{{
			Inbox: items[0].ID, Instance: r.row.ID, Verb: flow.VerbPause, Applied: applied, Reason: reason, By: "tester", At: flow.At(time.Now()),
		}}})
	}
}

func TestVerbApplied(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.take(w.start())
	r.settleNext(true, "", flow.InstancePausing)
	var got api.Ordered
	a := w.do(http.MethodPost, "/api/v1/instances/"+r.row.ID.String()+"/pause", "")
	w.decode(a, &got)
	if a.status != http.StatusOK || got.Outcome != "applied" || got.Instance.State != "pausing" {
		t.Errorf("%d %s", a.status, a.body)
	}
	var outcomes api.List[api.Outcome]
	w.get("/api/v1/instances/"+r.row.ID.String()+"/outcomes", &outcomes)
	if len(outcomes.Items) != 1 || !outcomes.Items[0].Applied || *outcomes.Items[0].By != "tester" {
		t.Errorf("outcomes: %+v", outcomes.Items)
	}
}

func TestVerbRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.take(w.start())
	r.settleNext(false, "the task runs already", flow.InstanceRunning)
	a := w.do(http.MethodPost, "/api/v1/instances/"+r.row.ID.String()+"/tasks/extract/start", "")
	if a.status != http.StatusConflict || !strings.Contains(a.body, "the task runs already") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Nobody carries it out: after two seconds the caller learns that it is durable, and why it is not
// more.
func TestVerbAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		r := w.take(w.start())
		begun := time.Now()
		var got api.Ordered
		a := w.do(http.MethodPost, "/api/v1/instances/"+r.row.ID.String()+"/stop?compensate=true", "")
		w.decode(a, &got)
		if took := time.Since(begun); a.status != http.StatusAccepted || got.Outcome != "accepted" || took != 2*time.Second {
			t.Errorf("%d after %s: %s", a.status, took, a.body)
		}
		items, err := w.db.Master().Inbox(t.Context(), w.lease.Incarnation, 10, nil)
		if err != nil || len(items) != 1 || !strings.Contains(string(items[0].Payload), `"compensate":true`) || !strings.Contains(string(items[0].Payload), `"by":"tester"`) {
			t.Errorf("inbox: %+v, %v", items, err)
		}
		// Until it is carried out it is shown.
		var run api.Instance
		var e api.Explanation
		w.get("/api/v1/instances/"+r.row.ID.String(), &run)
		w.get("/api/v1/instances/"+r.row.ID.String()+"/explain", &e)
		if len(run.Given) != 1 || run.Given[0].Verb != flow.VerbStop || *run.Given[0].By != "tester" || len(e.Given) != 1 || e.Given[0].ID != run.Given[0].ID {
			t.Errorf("given: %+v, %+v", run.Given, e.Given)
		}
	})
}

func TestWaitAnswersWhenTheRunIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		r := w.take(w.start())
		path := "/api/v1/instances/" + r.row.ID.String() + "/wait"

		var late api.Waited
		begun := time.Now()
		w.get(path+"?timeout=3s", &late)
		if late.Reached || late.Instance.State != "running" || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s: %+v", time.Since(begun), late)
		}

		time.AfterFunc(700*time.Millisecond, func() { r.end(flow.TaskSucceeded, flow.InstanceSucceeded, 0) })
		var got api.Waited
		begun = time.Now()
		w.get(path, &got)
		if took := time.Since(begun); !got.Reached || got.Instance.State != "succeeded" || took != 700*time.Millisecond {
			t.Errorf("after %s: %+v", took, got)
		}
	})
}

// A state that the run only passes through counts.
func TestWaitSeesAStateInPassing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		r := w.take(w.start())
		resumed := make(chan struct{}) // the answer may come between the two commits
		time.AfterFunc(time.Second, func() {
			defer close(resumed)
			r.row.State = flow.InstancePausing
			r.commit(flow.Change{})
			r.row.State = flow.InstanceRunning
			r.commit(flow.Change{})
		})
		var got api.Waited
		w.get("/api/v1/instances/"+r.row.ID.String()+"/wait?state=pausing", &got)
		if !got.Reached {
			t.Errorf("%+v", got)
		}
		<-resumed
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(ordersYAML)
	start := func(body string) (api.Instance, int) {
		var i api.Instance
		a := w.do(http.MethodPost, "/api/v1/instances", body, "Idempotency-Key", "k1")
		if a.status < http.StatusBadRequest {
			w.decode(a, &i)
		}
		return i, a.status
	}
	first, status := start(`{"workflow": "orders", "params": {"region": "us"}}`)
	if status != http.StatusCreated || first.Existing {
		t.Fatalf("first: %d %+v", status, first)
	}
	w.apply(strings.Replace(ordersYAML, "Loads", "Loads all", 1)) // a new version changes nothing about the key
	again, status := start(`{"workflow": "orders", "params": {"region": "us"}}`)
	if status != http.StatusOK || !again.Existing || again.ID != first.ID || again.Version != 1 {
		t.Errorf("again: %d %+v", status, again)
	}
	if _, status := start(`{"workflow": "orders", "params": {"region": "eu"}}`); status != http.StatusConflict {
		t.Errorf("other parameters: %d", status)
	}
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var want []string
	for range 5 {
		want = append([]string{w.start().String()}, want...)
	}
	var got []string
	for cursor := ""; ; {
		var page api.List[api.Summary]
		w.get("/api/v1/instances?limit=2&cursor="+cursor, &page)
		for _, i := range page.Items {
			got = append(got, i.ID)
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}

	w.apply("name: a\ntasks: {t: {run: x}}\n---\nname: b\ntasks: {t: {run: x}}\n")
	var first, rest api.List[api.Workflow]
	w.get("/api/v1/workflows?limit=2", &first)
	w.get("/api/v1/workflows?limit=2&cursor="+*first.Next, &rest)
	if len(first.Items) != 2 || len(rest.Items) != 1 || rest.Items[0].Name != "orders" || rest.Next != nil {
		t.Errorf("workflows: %+v, then %+v", first, rest)
	}
}
