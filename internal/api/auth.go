// Who asks, and whether they may.

package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// Permission is what a route asks of its caller. Today every token is an administrator's and
// holds them all; the names are there so that roles change no route.
type Permission string

// Permissions. Public routes ask for none; those by a secret ask for one of their own, which their handler checks.
const (
	Public          Permission = "public"
	BySecret        Permission = "secret"
	ProjectRead     Permission = "project:read"
	WorkflowRead    Permission = "workflow:read"
	WorkflowWrite   Permission = "workflow:write"
	InstanceRead    Permission = "instance:read"
	InstanceStart   Permission = "instance:start"
	InstanceOperate Permission = "instance:operate"
	LogRead         Permission = "log:read"
	AlertRead       Permission = "alert:read"
	NodeRead        Permission = "node:read"
	NodeOperate     Permission = "node:operate"
	DataSourceRead  Permission = "datasource:read"
	EnvironmentRead Permission = "environment:read"
	ScheduleRead    Permission = "schedule:read"
	ScheduleOperate Permission = "schedule:operate"
	PoolRead        Permission = "pool:read"
	PoolOperate     Permission = "pool:operate"
	SettingRead     Permission = "setting:read"
	SettingWrite    Permission = "setting:write"
	TokenWrite      Permission = "token:write"
)

const (
	tokenPrefix      = "baton_"
	tokenBytes       = 24
	bearerScheme     = "bearer"
	unauthorizedHint = "send an administrator's token: --token, BATON_TOKEN, or --data with the folder of the server, whose file `token` holds one"
)

// NewToken makes a token for an administrator, as it is shown once, and the sum that is stored.
func NewToken() (token, sum string) {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
	return token, TokenSum(token)
}

// TokenSum is the SHA-256 by which a token is known.
func TokenSum(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

type callerKey struct{}

// caller is the name of the token that the request came with.
func caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// guard lets a request through to a route when its token may.
func (s *Server) guard(need Permission) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if need == Public || need == BySecret {
			next(ctx)
			return
		}
		name, err := s.identify(ctx.Context(), ctx.Header("Authorization"))
		if err != nil {
			s.refuse(ctx, err)
			return
		}
		next(huma.WithValue(ctx, callerKey{}, name))
	}
}

func (s *Server) identify(ctx context.Context, header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, bearerScheme) || token == "" {
		return "", flow.Errorf(flow.CodeUnauthorized, "", "who are you? %s", unauthorizedHint)
	}
	name, err := s.store.TokenName(ctx, TokenSum(token))
	if flow.CodeOf(err) == flow.CodeNotFound {
		return "", flow.Errorf(flow.CodeUnauthorized, "", "this token is not known here; %s", unauthorizedHint)
	}
	return name, err
}

// withChallenge adds to an answer that asks who the caller is how to say it.
func withChallenge(p *Problem) error {
	if p.Status != http.StatusUnauthorized {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"WWW-Authenticate": {"Bearer"}})
}

// refuse answers for a middleware, which cannot return an error.
func (s *Server) refuse(ctx huma.Context, err error) {
	p := problem(err, s.log, ctx.Operation().OperationID)
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	writeProblem(ctx.SetHeader, ctx.SetStatus, ctx.BodyWriter(), p)
}
