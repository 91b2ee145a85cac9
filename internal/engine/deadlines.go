// Deadlines: times of day by which a run must have begun or ended.

package engine

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // which zones exist must not depend on the host

	"baton/internal/cron"
	"baton/internal/flow"
)

// deadline is one of a workflow, compiled.
type deadline struct {
	start bool   // by which it must have begun; otherwise ended
	text  string // as the file says it, with the zone
	at    *cron.Schedule
	stop  bool
}

// ParseTimeOfDay reads HH:MM or HH:MM:SS as the daily schedule that fires then.
func ParseTimeOfDay(text string, zone *time.Location) (*cron.Schedule, error) {
	if hour, minute, second, ok := flow.ParseTimeOfDay(text); ok {
		return cron.Parse(fmt.Sprintf("%d %d %d * * ?", second, minute, hour), cron.Options{Zone: zone})
	}
	return nil, flow.Errorf(flow.CodeBadRequest, "", "%q is no time of day; write HH:MM or HH:MM:SS, such as 06:00", text)
}

func (p *Plan) compileDeadlines() error {
	name := p.Def.Workflow.Timezone
	if name == "" {
		name = "UTC"
	}
	for _, d := range p.Def.Workflow.Deadlines {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return fmt.Errorf("deadlines: %w", err)
		}
		for _, by := range []struct {
			start bool
			text  string
		}{{true, d.StartedBy}, {false, d.FinishedBy}} {
			if by.text == "" {
				continue
			}
			at, err := ParseTimeOfDay(by.text, zone)
			if err != nil {
				return fmt.Errorf("deadlines: %w", err)
			}
			p.deadlines = append(p.deadlines, deadline{by.start, by.text + " (" + name + ")", at, d.Action == flow.DeadlineStop})
		}
	}
	return nil
}

// moment is when a deadline is: its first time of day after the run was due. A run that a schedule fired was due
// at that time, any other when it was submitted.
func (s *State) moment(d *deadline) flow.Time {
	due := s.Inst.SubmittedAt
	if s.Inst.Trigger == flow.TriggerSchedule {
		due = s.Inst.DataTime
	}
	at, _ := d.at.Next(due.Std())
	return flow.At(at)
}

// missed tells whether a run that has not ended did not do by a moment what it had to.
func (s *State) missed(d *deadline, at flow.Time) bool {
	return !d.start || s.Inst.StartedAt == 0 || s.Inst.StartedAt > at
}

// nextDeadline is the first one that may still be missed, 0 for none.
func (s *State) nextDeadline() flow.Time {
	var next flow.Time
	if s.Inst.State.Ended() || s.Inst.State == flow.InstanceQuarantined {
		return 0
	}
	for i := range s.Plan.deadlines {
		d := &s.Plan.deadlines[i]
		if at := s.moment(d); at > s.Inst.ToldUntil && (!d.start || s.Inst.StartedAt == 0) {
			next = flow.Earliest(next, at)
		}
	}
	return next
}

// deadlinesDue tells people of those that were missed, and stops the run if one says so.
func (s *State) deadlinesDue(env Env, fx *Effects) {
	stop := ""
	told := s.Inst.ToldUntil
	for i := range s.Plan.deadlines {
		d := &s.Plan.deadlines[i]
		at := s.moment(d)
		if at > env.Now || at <= s.Inst.ToldUntil || s.Inst.State.Ended() {
			continue
		}
		told = max(told, at)
		if !s.missed(d, at) {
			continue
		}
		what := "has not ended"
		if d.start {
			what = "has not begun"
		}
		s.alert(flow.AlertDeadline, "", fmt.Sprintf("run %d of %s %s by %s; %s", s.Inst.ID, s.Plan.Def.Name, what, d.text, s.Inst.Reason), env)
		if d.stop && stop == "" {
			stop = fmt.Sprintf("%s: it %s by %s; ", flow.ReasonDeadline, what, d.text)
		}
	}
	if told == s.Inst.ToldUntil {
		return
	}
	s.Inst.ToldUntil = told
	s.change.touched = true
	if stop != "" && s.Inst.State != flow.InstanceStopping {
		s.Inst.Reason = stop // until it has ended: it says who stopped it
		s.stop(flow.Verb{Name: flow.VerbStop}, env, fx)
	}
}

// byDeadline is how the reason of a run begins that a deadline stopped, "" if none did.
func (s *State) byDeadline() string {
	if !strings.HasPrefix(s.Inst.Reason, flow.ReasonDeadline+": ") {
		return ""
	}
	why, _, _ := strings.Cut(s.Inst.Reason, "; ")
	return why + "; "
}

// stopReason is why a run was stopped: by a person, or by a deadline.
func (s *State) stopReason() string {
	if s.byDeadline() != "" {
		return flow.ReasonDeadline
	}
	return flow.ReasonStopped
}
