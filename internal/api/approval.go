// Approvals: what is asked, and whether there is anybody to decide.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// Asked is what an approval asks of a person.
type Asked struct {
	Options []string    `json:"options" doc:"What may be chosen"`
	Default *string     `json:"default" doc:"The option that is chosen when nothing else is"`
	Form    []FormField `json:"form" doc:"Fields to fill in, by name"`
}

// FormField is a field of a form.
type FormField struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Default     *string  `json:"default" doc:"null: it has none"`
	Required    bool     `json:"required"`
	Enum        []string `json:"enum,omitempty" doc:"What it may be"`
	Description string   `json:"description,omitempty"`
}

// missingApprovers warns of approvers who have no token.
func (s *Server) missingApprovers(ctx context.Context, docs []flow.Document) []string {
	var warnings []string
	for _, d := range docs {
		for _, asked := range s.files.Approvals(d) {
			missing, err := s.strangers(ctx, asked)
			if err != nil {
				return warnings // it is applied, whatever can be said of it
			}
			if len(missing) > 0 {
				warnings = append(warnings, fmt.Sprintf("task %s of workflow %s names approvers who cannot answer: %s", asked.Task, d.Workflow.Name, noToken(missing)))
			}
		}
	}
	return warnings
}

// strangers are the users that an approval names and that have no token.
func (s *Server) strangers(ctx context.Context, asked flow.Approval) ([]string, error) {
	users := asked.Users()
	if len(users) == 0 {
		return nil, nil
	}
	names, err := s.store.TokenNames(ctx)
	return slices.DeleteFunc(users, func(user string) bool { return slices.Contains(names, user) }), err
}

func noToken(users []string) string {
	return fmt.Sprintf("no token is for %s; `baton admin token create --for %s` makes one", strings.Join(users, ", "), users[0])
}

// asks puts what an approval asks beside a task that is one, and says so when nobody can decide.
func (s *Server) asks(ctx context.Context, def flow.Definition, t *TaskExplanation) error {
	all := s.files.Approvals(flow.Document{Workflow: &def.Workflow})
	i := slices.IndexFunc(all, func(a flow.Approval) bool { return a.Task == t.Name })
	if i < 0 {
		return nil
	}
	asked := all[i]
	t.Asks = &Asked{Options: append([]string{}, asked.Options...), Default: text(asked.Default), Form: []FormField{}}
	for _, f := range asked.Form {
		t.Asks.Form = append(t.Asks.Form, FormField(f))
	}
	if t.State == nil || *t.State != flow.TaskRunning.String() || t.Reason == nil {
		return nil
	}
	missing, err := s.strangers(ctx, asked)
	if len(missing) > 0 && len(missing) == len(asked.Approvers) {
		t.Reason = text(*t.Reason + " (" + noToken(missing) + ")")
	}
	return err
}
