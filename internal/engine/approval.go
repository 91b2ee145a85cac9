// Approvals: a task that waits for a person.

package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
)

// approvalOptions are those of an approval.
type approvalOptions struct {
	Message   string     `json:"message"`
	Approvers []string   `json:"approvers"`
	Options   []string   `json:"options"`
	Form      param.Form `json:"form"`
	OnTimeout string     `json:"on_timeout"`
	Default   string     `json:"default"`
}

func (s *State) beginApproval(r int32, raw json.RawMessage, env Env, fx *Effects) {
	var o approvalOptions
	if err := json.Unmarshal(raw, &o); err != nil {
		s.failHosted(r, flow.ReasonOptions, err.Error(), env, fx)
		return
	}
	row := &s.Rows[r]
	row.Reason = s.approvalReason(row)
	s.alert(flow.AlertApproval, row.Name, fmt.Sprintf("task %s waits for a decision: %s", row.Name, o.Message), env)
}

// approvalReason says who is waited for, and how to answer.
func (s *State) approvalReason(row *flow.TaskRow) string {
	o, _ := optionsOf[approvalOptions](s, s.RowByID(row.ID))
	who := "a person"
	if len(o.Approvers) > 0 {
		who = strings.Join(o.Approvers, " or ")
	}
	choose := ""
	if len(o.Options) > 0 {
		choose = " --choose " + strings.Join(o.Options, "|")
	}
	return flow.Text(fmt.Sprintf("%s: %s decides with `baton task approve|reject %s %s%s`: %s", flow.ReasonApproval, who, s.Inst.ID, row.Name, choose, o.Message), flow.MaxReason)
}

// approvalVerb carries out a person's decision.
func (s *State) approvalVerb(r int32, v flow.Verb, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	if row.Type != flow.TypeApproval {
		return refuse("task %q is of type %s; only an approval is decided by hand", row.Name, row.Type)
	}
	approve := v.Name == flow.VerbTaskApprove
	switch {
	case row.State == flow.TaskSucceeded, row.State == flow.TaskFailed && row.Reason == flow.ReasonRejected:
		return s.decidedAlready(r, v)
	case row.State.Ended():
		return refuse("task %q has already ended: %s (%s)", row.Name, row.State, row.Reason)
	case row.State == flow.TaskPaused:
		return refuse("the run is %s; resume it first", s.Inst.State)
	case !row.Hosted():
		return refuse("task %q is %s; it asks for nothing yet", row.Name, row.State)
	}
	o, err := optionsOf[approvalOptions](s, r)
	if err != nil {
		return refuse("%s", err)
	}
	if !mayApprove(o.Approvers, v.By) {
		return refuse("%s may not decide about task %q; %s may", cmp.Or(v.By, "somebody without a name"), row.Name, strings.Join(o.Approvers, ", "))
	}
	if !approve {
		if why := s.badOutputs(decision("rejected", v, v.Fields)); why != "" {
			return refuse("task %q cannot keep this answer: %s", row.Name, why)
		}
		s.reject(r, v, env, fx)
		return ""
	}
	if v.Choice = cmp.Or(v.Choice, o.Default); len(o.Options) > 0 && v.Choice == "" {
		return refuse("choose one of %s", strings.Join(o.Options, ", "))
	}
	if v.Choice != "" && !slices.Contains(o.Options, v.Choice) {
		return refuse("%q is no choice; one of %s", v.Choice, cmp.Or(strings.Join(o.Options, ", "), "none"))
	}
	fields, err := o.Form.Fill(v.Fields)
	if err != nil {
		return refuse("%s", err)
	}
	if why := s.badOutputs(decision("approved", v, fields)); why != "" {
		return refuse("task %q cannot keep this answer: %s", row.Name, why)
	}
	s.approve(r, v, fields, env, fx)
	return ""
}

// decidedAlready carries out a decision about what was decided: the same one again is no error, another one is.
func (s *State) decidedAlready(r int32, v flow.Verb) refusal {
	row := &s.Rows[r]
	was, err := DecodeTexts(row.Outputs)
	if err != nil || was["decision"] == "" { // a dry run decides nothing
		return refuse("task %q has already ended: %s", row.Name, row.State)
	}
	word, fields := "rejected", v.Fields
	if v.Name == flow.VerbTaskApprove {
		word = "approved"
		if o, err := optionsOf[approvalOptions](s, r); err == nil {
			v.Choice = cmp.Or(v.Choice, o.Default)
			if filled, err := o.Form.Fill(v.Fields); err == nil {
				fields = filled
			}
		}
	}
	v.By, v.Comment = was["by"], was["comment"] // whoever says it, and however
	if is, err := DecodeTexts(decision(word, v, fields)); err == nil && maps.Equal(is, was) {
		return ""
	}
	how := ""
	if was["choice"] != "" {
		how = fmt.Sprintf(" with choice %q", was["choice"])
	}
	return refuse("task %q was already %s by %s%s, and that is not what this decision says; what is decided stays", row.Name, was["decision"], cmp.Or(was["by"], "hand"), how)
}

// mayApprove tells whether somebody is among the approvers. Roles come with users; until then who has a token is
// an administrator, who may decide everything.
func mayApprove(approvers []string, by string) bool {
	for _, a := range approvers {
		if user, named := strings.CutPrefix(a, "user:"); !named || user == by {
			return true
		}
	}
	return len(approvers) == 0
}

// approve ends an approval well, with what was said as outputs.
func (s *State) approve(r int32, v flow.Verb, fields map[string]string, env Env, fx *Effects) {
	s.succeedHosted(r, decision("approved", v, fields), env, fx)
}

func (s *State) reject(r int32, v flow.Verb, env Env, fx *Effects) {
	s.giveOutputs(r, decision("rejected", v, v.Fields))
	why := "by " + cmp.Or(v.By, "hand")
	if v.Comment != "" {
		why += ": " + v.Comment
	}
	s.failHosted(r, flow.ReasonRejected, why, env, fx)
}

func decision(word string, v flow.Verb, fields map[string]string) []byte {
	out := map[string]string{"decision": word, "choice": v.Choice, "by": v.By, "comment": v.Comment}
	for k, value := range fields {
		if _, ours := out[k]; !ours {
			out[k] = value
		}
	}
	raw, _ := json.Marshal(out) // texts: it cannot fail
	return raw
}

// approvalTimeout decides in the place of a person who did not, when the task says how.
func (s *State) approvalTimeout(r int32, env Env, fx *Effects) bool {
	o, err := optionsOf[approvalOptions](s, r)
	if err != nil {
		return false
	}
	v := flow.Verb{By: "timeout", Choice: o.Default}
	switch o.OnTimeout {
	case "approve":
		fields, err := o.Form.Fill(nil)
		if err != nil {
			return false
		}
		s.approve(r, v, fields, env, fx)
	case "reject":
		s.reject(r, v, env, fx)
	default:
		return false
	}
	return true
}
