// Triggers that wait for what happens outside, and the runs that they start.

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const triggerEvent = "trigger"

// Workflows that triggers start: for each file, for each notification, and for those and each time in which nobody listened.
const (
	arrives = "arrives"
	hears   = "hears"
	makesUp = "makes-up"
)

func outsiders() []workflow {
	return []workflow{
		{arrives, map[string]step{"a": {}, "b": {needs: []string{"a"}}}},
		{hears, map[string]step{"a": {}}},
		{makesUp, map[string]step{"a": {}}},
	}
}

// openTriggers applies them and waits until somebody looks: what comes from then on counts.
func (r *run) openTriggers(ctx context.Context) error {
	for _, dir := range []string{r.inbox(), r.outbox()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if _, err := query[string](ctx, r, "CREATE DATABASE "+noticeBase); err != nil {
		return fmt.Errorf("make the database of the notifications: %w", err)
	}
	text, err := r.triggersFile()
	if err != nil {
		return err
	}
	if _, err := r.client.call(ctx, 0, http.MethodPost, "/api/v1/apply", map[string]any{"files": []map[string]string{{"name": "triggers.yaml", "content": text}}}, nil, ""); err != nil {
		return fmt.Errorf("apply the triggers: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if !poll(ctx, 100*time.Millisecond, func() bool {
		type trigger struct {
			LookedAt *time.Time `json:"looked_at"`
		}
		list, err := all[trigger](ctx, r.client, "/api/v1/triggers")
		return err == nil && len(list) == len(outsiders()) && !slices.ContainsFunc(list, func(t trigger) bool { return t.LookedAt == nil })
	}) {
		return errors.New("no master looks out for the triggers\n" + tail(r.node("m1").logFile()))
	}
	return nil
}

func (r *run) triggersFile() (string, error) {
	host, at, err := net.SplitHostPort(r.net.address("pg"))
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(at)
	if err != nil {
		return "", err
	}
	docs := []any{map[string]any{"kind": "DataSource", "name": noticeBase, "type": "postgres", "host": host, "port": port, "database": noticeBase, "user": "postgres"}}
	for _, w := range outsiders() {
		t, key := map[string]any{"name": "it"}, `${{ payload ?? "`+missedKey+`" }}`
		switch w.name {
		case arrives:
			t["file"], key = map[string]string{"path": r.inbox() + "/*.csv", "every": "1s", "settled": "0s"}, "${{ file.path }}"
		case makesUp:
			t["notify"] = map[string]string{"datasource": noticeBase, "channel": noticeChannel, "missed": "once"}
		default:
			t["notify"] = map[string]string{"datasource": noticeBase, "channel": noticeChannel}
		}
		t["params"] = map[string]string{"ledger": r.ledger, "nap": "0.05", "key": key}
		d := w.document()
		d["triggers"] = []any{t}
		docs = append(docs, d)
	}
	texts := make([]string, len(docs))
	for i, d := range docs {
		raw, err := json.Marshal(d)
		if err != nil {
			return "", err
		}
		texts[i] = string(raw)
	}
	return strings.Join(texts, "\n---\n"), nil
}

// event is what the API tells of one and of what became of it.
type event struct {
	State    string    `json:"state"`
	Cause    string    `json:"cause"`
	Reason   string    `json:"reason"`
	Instance string    `json:"instance"`
	At       time.Time `json:"created_at"`
}

// triggered is what became of the events of a workflow.
type triggered struct {
	workflow string
	events   []event
	runs     []instance
}

// unmatched: each event that fired has a run of its own, each that was skipped a reason and none, and no other run is there.
func (t triggered) unmatched(invariant string) (out []violation) {
	of := map[string]bool{}
	for _, in := range t.runs {
		of[in.ID] = in.Trigger == triggerEvent
	}
	for _, e := range t.events {
		if fired := e.State == "fired"; fired != of[e.Instance] || !fired && (e.Instance != "" || e.Reason == "") {
			out = append(out, violation{invariant, e.Instance, fmt.Sprintf("%s, %s: it is %s (%s), and its run %q is not there, or of another too", t.workflow, e.Cause, e.State, e.Reason, e.Instance)})
		}
		delete(of, e.Instance)
	}
	for id := range of {
		out = append(out, violation{invariant, id, fmt.Sprintf("run %s of workflow %s is of no event", id, t.workflow)})
	}
	return out
}

// readTriggered reads it of each workflow.
func (r *run) readTriggered(ctx context.Context) (out []triggered, err error) {
	for _, w := range outsiders() {
		t := triggered{workflow: w.name}
		if t.events, err = all[event](ctx, r.client, "/api/v1/starts?workflow="+w.name); err != nil {
			return nil, err
		}
		if t.runs, err = all[instance](ctx, r.client, "/api/v1/instances?workflow="+w.name); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// brokenTriggers is all that is wrong with what triggers started.
func (r *run) brokenTriggers(of []triggered) (out []violation) {
	for _, t := range of {
		if t.workflow == arrives {
			out = append(out, brokenFiles(r.moved, t)...)
		} else {
			out = append(out, brokenNotices(r.sent, t, t.workflow == makesUp)...)
		}
	}
	return out
}

// happened waits until each event has its run, for as long as that may take when nothing is broken any more: one that
// listens finds out that nothing comes, waits, and is let in again.
func (r *run) happened(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Lease+40*time.Second)
	defer cancel()
	poll(ctx, 300*time.Millisecond, func() bool {
		of, err := r.readTriggered(ctx)
		return err == nil && !slices.ContainsFunc(r.brokenTriggers(of), func(v violation) bool { return v.invariant != invGaps }) // those do not mend
	})
}

func (r *run) checkTriggers(ctx context.Context) error {
	of, err := r.readTriggered(ctx)
	if err != nil {
		return err
	}
	r.looked(invFiles, len(r.moved))
	r.looked(invNotices, len(r.sent))
	for _, t := range of {
		r.writeEvents(t)
		for _, e := range t.events {
			if _, is := e.gap(); is {
				r.looked(invGaps, 1)
			}
		}
	}
	for _, v := range r.brokenTriggers(of) {
		r.violate(v.invariant, v.instance, "%s", v.text)
	}
	return nil
}
