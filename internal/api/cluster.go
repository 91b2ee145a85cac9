// Alerts, nodes, settings, tokens, the version: what concerns the cluster rather than a run.

package api

import (
	"context"
	"encoding/json"
	"slices"
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

// Node is a running process of a role.
type Node struct {
	ID         string            `json:"id" doc:"Incarnation: a new start is a new one"`
	Name       string            `json:"name"`
	Role       string            `json:"role"`
	State      string            `json:"state" doc:"ready, busy, draining, suspect or lost"`
	PID        int               `json:"pid"`
	Groups     []string          `json:"groups"`
	Slots      int               `json:"slots"`
	Running    int               `json:"running"`
	Labels     map[string]string `json:"labels"`
	Version    string            `json:"version"`
	StartedAt  flow.Time         `json:"started_at" nullable:"false"`
	LeaseUntil flow.Time         `json:"lease_until"`
}

func nodeOf(n flow.Node) Node {
	out := Node{
		ID: number(n.Incarnation), Name: n.Name, Role: n.Role, State: n.State, PID: n.PID, Groups: n.Groups,
		Slots: n.Slots, Running: n.Running, Labels: n.Labels, Version: n.Version, StartedAt: n.StartedAt, LeaseUntil: n.LeaseUntil,
	}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	return out
}

type listNodesIn struct {
	Role string `query:"role" enum:"master,worker,api,standalone" doc:"Of this role only"`
}

func (s *Server) listNodes(ctx context.Context, in *listNodesIn) (*body[List[Node]], error) {
	role := in.Role
	if role == flow.RoleMaster {
		role = "" // a standalone process is a master too
	}
	all, err := s.store.Nodes(ctx, role)
	if in.Role == flow.RoleMaster {
		all = slices.DeleteFunc(all, func(n flow.Node) bool { return n.Role != flow.RoleMaster && n.Role != flow.RoleStandalone })
	}
	return listOf(flow.Page[flow.Node]{Items: all}, nodeOf), err
}

// Setting is a setting of the cluster.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Settings of the cluster. SettingRetention is how long ended runs are kept.
const (
	SettingLease     = "lease"
	SettingRetention = "retention"
)

var settings = []string{SettingLease, SettingRetention}

// SettingPath names a setting.
type SettingPath struct {
	Key string `path:"key"`
}

func (in SettingPath) check() error {
	if !slices.Contains(settings, in.Key) {
		return flow.Errorf(flow.CodeNotFound, "key", "there is no setting %q; there are %v", in.Key, settings)
	}
	return nil
}

func (s *Server) getSetting(ctx context.Context, in *SettingPath) (*body[Setting], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	value, err := s.store.Setting(ctx, in.Key)
	return &body[Setting]{Setting{in.Key, value}}, err
}

type setSettingIn struct {
	SettingPath
	Body struct {
		Value string `json:"value" maxLength:"256" doc:"A duration"`
	}
}

func (s *Server) setSetting(ctx context.Context, in *setSettingIn) (*body[Setting], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if _, err := flow.ParseDuration(in.Body.Value); err != nil {
		return nil, flow.Errorf(flow.CodeBadRequest, "value", "%s", err)
	}
	return &body[Setting]{Setting{in.Key, in.Body.Value}}, s.store.SetSetting(ctx, in.Key, in.Body.Value)
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
