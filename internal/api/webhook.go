// Webhooks: a run started by somebody who knows the secret of a trigger.

package api

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
	"baton/internal/secret"
	"baton/internal/trigger"
)

// webhookBodyBytes bounds what a webhook is sent.
const webhookBodyBytes = 1 << 20

// secretPatience is how long the file of a secret may take.
const secretPatience = 5 * time.Second

type webhookIn struct {
	TriggerPath
	Signature     string `header:"X-Baton-Signature" doc:"sha256=HEX, the HMAC of the body"`
	HubSignature  string `header:"X-Hub-Signature-256" doc:"The same, as GitHub sends it"`
	Authorization string `header:"Authorization" doc:"Bearer SECRET, instead of a signature"`
	Key           string `header:"Idempotency-Key" maxLength:"255" doc:"The same key answers the first run"`
	Delivery      string `header:"X-GitHub-Delivery" maxLength:"255" doc:"The same, as GitHub sends it"`
	RawBody       []byte
	headers       map[string]string
}

// Resolve keeps the headers that parameters may be made of: what proves who sent them is not among them.
func (in *webhookIn) Resolve(ctx huma.Context) []error {
	in.headers = map[string]string{}
	ctx.EachHeader(func(name, value string) {
		switch name = strings.ToLower(name); name {
		case "authorization", "cookie", "x-baton-signature", "x-hub-signature", "x-hub-signature-256":
		default:
			in.headers[name] = value
		}
	})
	return nil
}

// WebhookAnswer names the run that a webhook started.
type WebhookAnswer struct {
	Instance string `json:"instance"`
	Existing bool   `json:"existing" doc:"The key was known: this is the run it made"`
}

func (s *Server) callWebhook(ctx context.Context, in *webhookIn) (*body[WebhookAnswer], error) {
	t, err := s.webhook(ctx, in)
	if err != nil {
		return nil, err
	}
	if !t.Enabled {
		return nil, flow.Errorf(flow.CodeConflict, "trigger", "trigger %s is disabled; `baton trigger enable %s %s` has it wait again", in.Trigger, in.Workflow, in.Trigger)
	}
	def, err := s.store.Workflow(ctx, in.Project, in.Workflow, 0)
	if err != nil {
		return nil, err
	}
	now := flow.At(time.Now())
	params, err := in.event(t, now).Params(t.Body.Params)
	if err != nil {
		return nil, flow.Errorf(flow.CodeBadRequest, "params", "%v", err)
	}
	if err := s.engine.Check(def, flow.Start{Params: params, DataTime: now, Trigger: flow.TriggerTrigger}); err != nil {
		return nil, err
	}
	start := flow.TriggerStart{
		ID: s.nextID(), Trigger: t.ID, Project: t.Project, Workflow: t.Workflow, State: flow.StartFired, Cause: "a request of " + cmp.Or(in.headers["user-agent"], "somebody"),
		Key: cmp.Or(in.Key, in.Delivery), Instance: s.nextID(), At: now,
	}
	id, existing, err := s.store.StartByEvent(ctx, start, flow.Command{
		ID: start.Instance, Project: t.Project, Workflow: t.Workflow, Priority: t.Priority, Zone: t.Zone, At: now,
		Start: trigger.StartOf(t.Body.Name, params, now),
	})
	if err != nil {
		return nil, err
	}
	s.masters.PokeCommands(id)
	return &body[WebhookAnswer]{WebhookAnswer{id.String(), existing}}, nil
}

// webhook is the trigger that a request is for. Whoever does not know its secret learns nothing: neither whether there is
// such a trigger, nor by how long the answer takes what of the secret is right.
func (s *Server) webhook(ctx context.Context, in *webhookIn) (flow.TriggerStanding, error) {
	t, err := s.store.TriggerNamed(ctx, in.Project, in.Workflow, in.Trigger)
	if err != nil && flow.CodeOf(err) != flow.CodeNotFound {
		return t, err
	}
	key := rand.Text() // which nobody knows
	if err == nil && t.Body.Webhook != nil {
		reading, cancel := context.WithTimeout(ctx, secretPatience)
		defer cancel()
		value, err := secret.Value(reading, &t.Body.Webhook.Secret, "the server")
		switch {
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelError, "a webhook is refused, for its secret cannot be read", slog.String("workflow", in.Workflow), slog.String("trigger", in.Trigger), slog.Any("error", err))
		case value == "":
			s.log.LogAttrs(ctx, slog.LevelError, "a webhook is refused, for its secret is empty", slog.String("workflow", in.Workflow), slog.String("trigger", in.Trigger))
		default:
			key = value
		}
	}
	if !in.proves(key) {
		return t, flow.Errorf(flow.CodeUnauthorized, "", "this is not the secret of a webhook here; send X-Baton-Signature: sha256=HEX, the HMAC-SHA-256 of the body, or Authorization: Bearer SECRET")
	}
	return t, nil
}

// proves tells whether a request shows that its sender knows a secret.
func (in *webhookIn) proves(key string) bool {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(in.RawBody)
	want := mac.Sum(nil)
	for _, said := range []string{in.Signature, in.HubSignature} {
		got, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(said), "sha256="))
		if err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	scheme, token, _ := strings.Cut(in.Authorization, " ")
	sent, held := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(key))
	return strings.EqualFold(scheme, bearerScheme) && hmac.Equal(sent[:], held[:])
}

// event is what a request is to the expressions of a trigger.
func (in *webhookIn) event(t flow.TriggerStanding, now flow.Time) trigger.Event {
	headers, _ := json.Marshal(in.headers) // texts
	e := trigger.Event{JSON: map[string]json.RawMessage{trigger.NameHeaders: headers}, DataTime: now, Zone: t.Zone, Project: t.ProjectName}
	e.Give(trigger.NameBody, in.RawBody, webhookBodyBytes)
	return e
}
