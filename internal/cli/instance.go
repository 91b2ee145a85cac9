// One run, as people see it.

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"baton/internal/api"
	"baton/internal/flow"
)

// printInstance shows a run and its tasks.
func (a *app) printInstance(got answer[api.Instance]) error {
	return a.print(got.Raw, []string{got.Value.ID}, func(w io.Writer) error {
		if err := a.writeHead(w, got.Value); err != nil {
			return err
		}
		if len(got.Value.Tasks) == 0 {
			return nil
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		return a.taskView().write(w, got.Value.Tasks, a.look())
	})
}

// writeHead says in two or three lines what a run is and how it stands.
func (a *app) writeHead(w io.Writer, i api.Instance) error {
	p := a.paint()
	lines := []string{fmt.Sprintf("%s  %s v%d  %s", p.bold(i.ID), placeOf(i.Project, i.Workflow), i.Version, p.state(string(i.State)))}
	if i.Reason != nil {
		lines[0] += "  " + *i.Reason
	}
	if i.EndedBy != nil {
		lines = append(lines, "  "+*i.EndedBy)
	}
	second := []string{"submitted " + clock(i.SubmittedAt)}
	if i.StartedAt != 0 {
		second = append(second, "took "+took(i.StartedAt, i.EndedAt))
	}
	if !sameMoment(i) {
		second = append(second, "data time "+i.DataTime.String())
	}
	if i.Owner != nil {
		second = append(second, "driven by "+*i.Owner)
	}
	if i.RunTimes > 1 {
		second = append(second, fmt.Sprintf("run %d times", i.RunTimes))
	}
	if i.DryRun {
		second = append(second, "dry run")
	}
	if i.Existing {
		second = append(second, "the run that this key made before")
	}
	lines = append(lines, p.dim(strings.Join(second, ", ")))
	if a.config.Output == formatWide && len(i.Params) > 0 {
		lines = append(lines, p.dim("params: "+pairs(i.Params)))
	}
	if len(i.Outputs) > 0 {
		lines = append(lines, p.dim("outputs: "+shorten(rawPairs(i.Outputs), 90)))
	}
	var given strings.Builder
	writeGiven(&given, p, i.Given)
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n"+given.String())
	return err
}

// sameMoment tells whether the data time says nothing that the submission does not.
func sameMoment(i api.Instance) bool { return i.DataTime == i.SubmittedAt }

func rawPairs(m map[string]json.RawMessage) string {
	texts := make(map[string]string, len(m))
	for k, raw := range m {
		texts[k] = string(raw)
		var s string
		if json.Unmarshal(raw, &s) == nil {
			texts[k] = s
		}
	}
	return pairs(texts)
}

// writeEnd is the last line of a run that was waited for.
func (a *app) writeEnd(w io.Writer, i api.Instance) error {
	p := a.paint()
	line := fmt.Sprintf("%s  %s v%d  %s", p.bold(i.ID), placeOf(i.Project, i.Workflow), i.Version, p.state(string(i.State)))
	if i.Reason != nil {
		line += " (" + *i.Reason + ")"
	}
	if i.StartedAt != 0 {
		line += "  in " + took(i.StartedAt, i.EndedAt)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	if i.EndedBy != nil { // its tasks were killed for it: their logs do not say why
		_, err := fmt.Fprintln(w, p.dim(*i.EndedBy))
		return err
	}
	for _, t := range i.Tasks {
		if t.Valid && (t.State == "failed" || t.State == "killed") {
			where := "logs"
			if t.StartedAt == 0 || flow.Hosted(t.Type) { // no process of it ever began
				where = "explain"
			}
			if _, err := fmt.Fprintln(w, p.dim(fmt.Sprintf("why: baton %s %s %s", where, i.ID, quote(t.Name)))); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// quote makes a name safe to paste into a shell.
func quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`$&|;<>()*?[]#~!\\", r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
