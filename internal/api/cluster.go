// Alerts, failovers, tokens, the version: what concerns the cluster rather than a run.

package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// Alert is something a person should know.
type Alert struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Instance  *string   `json:"instance"`
	Task      *string   `json:"task"`
	Workflow  string    `json:"workflow"`
	Message   string    `json:"message"`
	CreatedAt flow.Time `json:"created_at" nullable:"false"`
}

type listAlertsIn struct {
	Paging
	Instance string `query:"instance" doc:"Of this run only"`
	Project  string `query:"project"`
	Workflow string `query:"workflow"`
}

func (s *Server) listAlerts(ctx context.Context, in *listAlertsIn) (*body[List[Alert]], error) {
	f := flow.AlertFilter{Project: in.Project, Workflow: in.Workflow, Limit: in.Limit}
	var err error
	if in.Instance != "" {
		if f.Instance, err = flow.ParseID(in.Instance); err != nil {
			return nil, err
		}
	}
	if f.Cursor, err = in.after(); err != nil {
		return nil, err
	}
	p, err := s.store.Alerts(ctx, f)
	return listOf(p, func(a flow.Alert) Alert {
		return Alert{
			ID: a.ID.String(), Kind: a.Kind, Instance: text(a.Instance.String()), Task: text(a.Task),
			Workflow: a.Workflow, Message: a.Message, CreatedAt: a.At,
		}
	}), err
}

// Failover is a node that was declared dead, and what became of its work.
type Failover struct {
	ID          string    `json:"id" doc:"Incarnation that died"`
	Role        string    `json:"role"`
	Name        string    `json:"name"`
	Witness     string    `json:"witness" doc:"Incarnation that declared it dead"`
	WitnessName string    `json:"witness_name"`
	Reason      string    `json:"reason"`
	Runs        int       `json:"runs" doc:"How many runs were handed on so far"`
	DiedAt      flow.Time `json:"died_at" nullable:"false" doc:"When it was declared dead"`
	DoneAt      flow.Time `json:"done_at" doc:"When everything was handed on; null: not yet"`
}

type listFailoversIn struct {
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most to list"`
}

func (s *Server) listFailovers(ctx context.Context, in *listFailoversIn) (*body[List[Failover]], error) {
	all, err := s.store.Failovers(ctx, in.Limit)
	return listOf(flow.Page[flow.Failover]{Items: all}, func(f flow.Failover) Failover {
		return Failover{
			ID: number(f.Incarnation), Role: f.Role, Name: f.Name, Witness: number(f.Witness), WitnessName: f.WitnessName,
			Reason: f.Reason, Runs: f.Instances, DiedAt: f.FencedAt, DoneAt: f.ReleasedAt,
		}
	}), err
}

// Token is a new token; it is shown this once.
type Token struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

type createTokenIn struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"128" doc:"Whose it is; verbs are recorded under it"`
	}
}

func (s *Server) createToken(ctx context.Context, in *createTokenIn) (*body[Token], error) {
	token, sum := NewToken()
	err := s.store.CreateToken(ctx, in.Body.Name, sum, flow.At(time.Now()))
	return &body[Token]{Token{in.Body.Name, token}}, err
}

// Version is what runs here.
type Version struct {
	Version string `json:"version"`
	API     string `json:"api"`
}

func (s *Server) getVersion(context.Context, *none) (*body[Version], error) {
	return &body[Version]{Version{Version: s.version, API: "v1"}}, nil
}

func (s *Server) getSchema(context.Context, *none) (*body[json.RawMessage], error) {
	return &body[json.RawMessage]{s.files.Schema()}, nil
}

func (s *Server) getOpenAPI(context.Context, *none) (*huma.StreamResponse, error) {
	raw, err := s.spec()
	if err != nil {
		return nil, err
	}
	return respond("application/json", raw), nil
}
