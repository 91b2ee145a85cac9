// Nodes: who is there, and who is to take nothing new.

package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// Node is a running process of a role.
type Node struct {
	ID         string            `json:"id" doc:"Incarnation: a new start is a new one"`
	Name       string            `json:"name"`
	Role       string            `json:"role"`
	State      string            `json:"state" doc:"ready, busy, draining, suspect or lost"`
	Address    string            `json:"address" doc:"host:port that other nodes reach it at, empty if none does"`
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
		ID: number(n.Incarnation), Name: n.Name, Role: n.Role, State: n.State, Address: n.Address, PID: n.PID, Groups: n.Groups,
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
		all = slices.DeleteFunc(all, func(n flow.Node) bool { return !drives(n) })
	}
	return listOf(flow.Page[flow.Node]{Items: all}, nodeOf), err
}

func drives(n flow.Node) bool { return n.Role == flow.RoleMaster || n.Role == flow.RoleStandalone }

// NodePath names a node.
type NodePath struct {
	Node string `path:"node" doc:"Id or name"`
}

// find returns all nodes, and the one that is meant: the newest that lives of those with the id or
// name, if all of these are one that was started again.
func (s *Server) find(ctx context.Context, wanted string) (all []flow.Node, found flow.Node, err error) {
	if all, err = s.store.Nodes(ctx, ""); err != nil {
		return nil, found, err
	}
	var live, lost []flow.Node
	for _, n := range all {
		switch {
		case number(n.Incarnation) == wanted:
			return all, n, nil
		case n.Name != wanted:
		case n.State == flow.NodeLost:
			lost = append(lost, n)
		default:
			live = append(live, n)
		}
	}
	meant := live
	if len(meant) == 0 {
		meant = lost
	}
	if len(meant) == 0 {
		return nil, found, flow.Errorf(flow.CodeNotFound, "node", "there is no node %q; `baton get masters` and `baton get workers` list them", wanted)
	}
	var candidates []string
	same := true
	for _, n := range meant {
		at := ""
		if n.Address != "" {
			at = " at " + n.Address
		}
		candidates = append(candidates, fmt.Sprintf("%d (%s%s)", n.Incarnation, n.Role, at))
		same = same && n.DrainKey() == meant[0].DrainKey() && !twins(n, meant[0])
	}
	if !same {
		slices.Sort(candidates)
		return nil, found, flow.Errorf(flow.CodeConflict, "node", "%d nodes are called %q: %s; say which by its id", len(meant), wanted, strings.Join(candidates, ", "))
	}
	return all, slices.MaxFunc(meant, func(a, b flow.Node) int { return cmp.Compare(a.Incarnation, b.Incarnation) }), nil
}

// twins tells whether two nodes live beside each other under one name, and nothing but their incarnations tells
// them apart. One that was started again has its home or its address still.
func twins(a, b flow.Node) bool {
	return a.Incarnation != b.Incarnation && a.State != flow.NodeLost && b.State != flow.NodeLost &&
		a.Home == "" && a.DrainKey() == b.DrainKey() && a.Address != b.Address
}

// twinsOf are the twins of a node.
func twinsOf(all []flow.Node, n flow.Node) []flow.Node {
	return slices.DeleteFunc(slices.Clone(all), func(o flow.Node) bool { return !twins(n, o) })
}

// Drained is a node that was told to take nothing new, or to take work again.
type Drained struct {
	Node    Node    `json:"node"`
	Holding int     `json:"holding" doc:"What it has in hand: runs of a master, attempts of a worker"`
	Warning *string `json:"warning" doc:"What waits because of it, null for nothing"`
}

func (s *Server) getNode(ctx context.Context, in *NodePath) (*body[Drained], error) {
	_, n, err := s.find(ctx, in.Node)
	if err != nil {
		return nil, err
	}
	return s.drained(ctx, n, "")
}

func (s *Server) drained(ctx context.Context, n flow.Node, warning string) (*body[Drained], error) {
	holding, err := s.store.Holding(ctx, n.Incarnation)
	return &body[Drained]{Drained{nodeOf(n), holding, text(warning)}}, err
}

func (s *Server) drainNode(ctx context.Context, in *NodePath) (*body[Drained], error) {
	all, n, err := s.find(ctx, in.Node)
	if err != nil {
		return nil, err
	}
	if !drives(n) && n.Role != flow.RoleWorker {
		return nil, flow.Errorf(flow.CodeBadRequest, "node", "%s is of role %s, which holds nothing; take it out of its balancer and stop it", n.Name, n.Role)
	}
	key, warnings := n.DrainKey(), []string(nil)
	if twin := twinsOf(all, n); len(twin) > 0 {
		key = flow.DrainOf(n.Incarnation)
		warnings = append(warnings, fmt.Sprintf("%d nodes are called %q: this one is drained until it is started again; give each a `name` of its own", len(twin)+1, n.Name))
	}
	if err := s.store.Drain(ctx, key, caller(ctx), flow.At(time.Now())); err != nil {
		return nil, err
	}
	s.masters.PokeLook()
	if n.State != flow.NodeLost {
		n.State = flow.NodeDraining
	}
	if waits := missed(all, n, key); waits != "" {
		warnings = append(warnings, waits)
	}
	return s.drained(ctx, n, strings.Join(warnings, "; "))
}

func (s *Server) undrainNode(ctx context.Context, in *NodePath) (*body[Drained], error) {
	all, n, err := s.find(ctx, in.Node)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{n.DrainKey(), flow.DrainOf(n.Incarnation)} {
		if err := s.store.Undrain(ctx, key); err != nil {
			return nil, err
		}
	}
	s.masters.PokeLook()
	if n.State == flow.NodeDraining {
		n.State = flow.NodeReady
	}
	warning, err := s.undrainedToo(ctx, twinsOf(all, n))
	if err != nil {
		return nil, err
	}
	return s.drained(ctx, n, warning)
}

// undrainedToo says which twins of a node take work again with it, because the drain was of their name.
func (s *Server) undrainedToo(ctx context.Context, before []flow.Node) (string, error) {
	if len(before) == 0 {
		return "", nil
	}
	all, err := s.store.Nodes(ctx, before[0].Role)
	var too []string
	for _, n := range all {
		if n.State != flow.NodeDraining && slices.ContainsFunc(before, func(b flow.Node) bool { return b.Incarnation == n.Incarnation && b.State == flow.NodeDraining }) {
			too = append(too, number(n.Incarnation))
		}
	}
	if err != nil || len(too) == 0 {
		return "", err
	}
	return "the drain was of all that are called so: " + strings.Join(too, ", ") + " takes work again too", nil
}

// missed says what nobody else does while a node takes nothing new, by a drain of this key; "" if somebody does.
func missed(all []flow.Node, gone flow.Node, key string) string {
	masters := 0
	served := map[string]bool{}
	for _, n := range all {
		if n.State == flow.NodeLost || n.State == flow.NodeDraining || n.DrainKey() == key || n.Incarnation == gone.Incarnation {
			continue
		}
		if drives(n) {
			masters++
		}
		if n.Role == flow.RoleWorker {
			for _, g := range n.Groups {
				served[g] = true
			}
		}
	}
	if drives(gone) {
		if masters == 0 {
			return "no other master takes work: new runs wait until one does, and what " + gone.Name + " drives stays there"
		}
		return ""
	}
	var groups []string
	for _, g := range gone.Groups {
		if !served[g] {
			groups = append(groups, g)
		}
	}
	if len(groups) == 0 {
		return ""
	}
	return "no other worker takes tasks of group " + strings.Join(groups, ", ") + ": they wait"
}
