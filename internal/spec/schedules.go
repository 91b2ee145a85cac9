// schedules: of a workflow, and kind: Calendar.

package spec

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/cron"
	"baton/internal/flow"
	"baton/internal/timetable"
)

func cronField[V any](name, doc string, s shape[V], at func(*flow.Schedule) *V) key[flow.Schedule] {
	return field(name, doc, s, at)
}

var scheduleKeys = newTable("a schedule",
	cronField("name", "Name, unique in its workflow; its position where it is left out.", asName, func(s *flow.Schedule) *string { return &s.Name }),
	cronField("cron", "Cron expression; in the dialect quartz it has 6 or 7 fields: second minute hour day-of-month month day-of-week, and perhaps the year.", asText,
		func(s *flow.Schedule) *string { return &s.Cron }).alias("crontab", "expression", "schedule"),
	cronField("dialect", "How cron is read: quartz, or unix with 5 fields.", defaulting(oneOf(string(cron.Quartz), string(cron.Unix)), string(cron.Quartz)),
		func(s *flow.Schedule) *string { return &s.Dialect }),
	cronField("every", "A span that repeats, from start on, otherwise from the midnight of monday, 2001-01-01, in its zone.", asSpan(flow.Duration(time.Second)),
		func(s *flow.Schedule) *flow.Duration { return &s.Every }).alias("interval"),
	momentKey("at", "The one moment it fires at.", func(s *flow.Schedule) *flow.Time { return &s.At }),
	cronField("timezone", "IANA time zone; the workflow's where it is left out.", asTimezone, func(s *flow.Schedule) *string { return &s.Timezone }).alias("timeZone", "timezoneId", "tz", "zone"),
	cronField("calendar", "Name of a Calendar of the project: which days work.", asName, func(s *flow.Schedule) *string { return &s.Calendar }),
	cronField("shift", "What becomes of a day that rests: skip leaves it out, next and previous move it to a day that works.",
		defaulting(oneOf(string(cron.ShiftSkip), string(cron.ShiftNext), string(cron.ShiftPrevious)), string(cron.ShiftSkip)),
		func(s *flow.Schedule) *string { return &s.Shift }),
	cronField("dst", "Where clocks change: shift fires what a gap leaves out after it, skip does not, quartz does as Quartz.",
		defaulting(oneOf(string(cron.Shift), string(cron.Skip), string(cron.DSTQuartz)), string(cron.Shift)),
		func(s *flow.Schedule) *string { return &s.DST }),
	momentKey("start", "The first moment that counts.", func(s *flow.Schedule) *flow.Time { return &s.Start }).alias("startTime", "from"),
	momentKey("end", "The first moment that does not count any more.", func(s *flow.Schedule) *flow.Time { return &s.End }).alias("endTime", "until"),
	cronField("jitter", "Each time is acted on up to so much later, so that not everything begins at once.", asDuration, func(s *flow.Schedule) *flow.Duration { return &s.Jitter }),
	cronField("missed", "Of times at which nobody was there to fire: last makes up for the latest, all for every one, none for none.",
		defaulting(oneOf(flow.MissedLast, flow.MissedNone, flow.MissedAll), flow.MissedLast), func(s *flow.Schedule) *flow.MissedPolicy { return &s.Missed }).alias("misfire", "catchup"),
	cronField("missed_window", "How old a missed time may be that is made up for; what is up to a minute late is on time.", defaulting(asDuration, flow.DefaultMissedWindow),
		func(s *flow.Schedule) *flow.Duration { return &s.MissedWindow }),
	cronField("params", "Parameters of its runs.", asPairs, func(s *flow.Schedule) *[]flow.Pair { return &s.Params }).alias("parameters", "startParams"),
	enabledKey("Whether it fires, at first: `baton schedule enable` and `disable` change it for good.", func(s *flow.Schedule) *bool { return &s.Disabled }),
)

// enabledKey is kept as its opposite: what is not written is enabled.
func enabledKey[T any](doc string, disabled func(*T) *bool) key[T] {
	return key[T]{
		name: "enabled", doc: doc,
		schema: func() object { return object{"type": "boolean", "default": true} },
		read: func(r *reader, v value, into *T) {
			if on, ok := asBoolean.read(r, v); ok {
				*disabled(into) = !on
			}
		},
		write: func(from *T) *yaml.Node {
			if !*disabled(from) {
				return nil
			}
			return plainNode("!!bool", "false")
		},
	}
}

// asMoment is RFC 3339. A local time has no meaning before its zone is known: r.schedule reads that.
func momentKey(name, doc string, at func(*flow.Schedule) *flow.Time) key[flow.Schedule] {
	return key[flow.Schedule]{
		name: name, doc: doc + " RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in its zone.",
		schema: asText.schema,
		read:   func(*reader, value, *flow.Schedule) {}, // when the zone is known
		write: func(s *flow.Schedule) *yaml.Node {
			if *at(s) == 0 {
				return nil
			}
			return textNode(at(s).String())
		},
	}
}

// schedulesKey is a list; a single schedule may stand without it.
var schedulesKey = key[workflow]{
	name: "schedules", doc: "When it runs by itself. Changing a schedule makes no version.",
	aka: []string{"schedule", "cron", "crontab", "timing"},
	schema: func() object {
		one := scheduleKeys.schema()
		return object{"anyOf": []any{one, object{"type": "array", "items": scheduleKeys.schema()}}}
	},
	read: func(r *reader, v value, w *workflow) {
		if v.isNull() {
			r.expected(v, "a list of schedules")
			return
		}
		for i, item := range v.items() {
			s := flow.Schedule{Name: strconv.Itoa(i + 1)}
			if scheduleKeys.read(r, item, &s) {
				w.Schedules = append(w.Schedules, s)
				w.schedules = append(w.schedules, item)
			}
		}
	},
	write: func(w *workflow) *yaml.Node {
		if len(w.Schedules) == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i, s := range w.Schedules {
			if s.Name == strconv.Itoa(i+1) {
				s.Name = ""
			}
			if s.Timezone == cmp.Or(w.Timezone, "UTC") {
				s.Timezone = ""
			}
			n.Content = append(n.Content, scheduleKeys.write(&s))
		}
		return n
	},
}

// maxSchedules of one workflow.
const maxSchedules = 1000

// checkSchedules looks at what the keys of schedules say of each other, and at their zones.
func (r *reader) checkSchedules(w *workflow) {
	if n := len(w.Schedules); n > maxSchedules {
		r.fail(w.at.at("schedules"), "a workflow has at most %d schedules, this one has %d", maxSchedules, n)
		return
	}
	names := map[string]bool{}
	for i := range w.Schedules {
		s, at := &w.Schedules[i], w.schedules[i]
		if names[s.Name] {
			r.fail(at.at("name"), "two schedules are called %s; give each a name of its own", shown(s.Name))
		}
		names[s.Name] = true
		s.Timezone = cmp.Or(s.Timezone, w.Timezone, "UTC")
		r.schedule(s, at)
	}
}

// schedule reads what needs the zone, and checks that the schedule says when it fires.
func (r *reader) schedule(s *flow.Schedule, at value) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return // reported where the zone stands
	}
	fine := r.moment(at, "at", zone, &s.At) && r.moment(at, "start", zone, &s.Start) && r.moment(at, "end", zone, &s.End)
	said := 0
	for _, k := range []string{"cron", "every", "at"} {
		if _, ok := at.get(k); ok {
			said++
		}
	}
	_, hasDialect := at.get("dialect")
	_, hasDST := at.get("dst")
	switch {
	case said != 1:
		r.fail(at, `a schedule has one of cron, every and at; such as cron: "0 0 2 * * ?" or every: 15m`)
	case s.Cron == "" && (hasDialect || hasDST):
		r.fail(at, "dialect and dst are of cron expressions: every and at have no use for them")
	case s.Shift != "" && s.Calendar == "":
		r.fail(at.at("shift"), "shift needs a calendar that says which days rest; add calendar: NAME")
	case s.Start != 0 && s.End != 0 && s.Start >= s.End:
		r.fail(at.at("end"), "the end %s is not after the start %s: it would never fire", s.End, s.Start)
	case fine && (s.Cron != "" || s.Every != 0 || s.At != 0): // else what is wrong with it was said
		r.fires(s, at)
	}
}

// fires refuses a schedule that cannot be, or has no time at all.
func (r *reader) fires(s *flow.Schedule, at value) {
	t, err := timetable.New(*s, nil)
	if err != nil {
		e, _ := errors.AsType[*flow.Error](err)
		place := at
		if e.Field != "" {
			place = at.at(e.Field)
		}
		r.fail(place, "%s", e.Message).Suggestion = e.Suggestion
		return
	}
	if len(t.Preview(flow.At(time.Unix(0, 0).Add(-time.Second)), 1)) == 0 {
		r.fail(at, "it never fires: no such day exists, or none between its bounds")
	}
}

// moment reads a time of a schedule that is there.
func (r *reader) moment(at value, name string, zone *time.Location, into *flow.Time) bool {
	v, ok := at.get(name)
	if !ok {
		return true
	}
	text, ok := r.text(v, "a time such as 2026-03-01T02:00:00Z or 2026-03-01 02:00:00")
	if !ok {
		return false
	}
	if t, ok := flow.ParseMoment(text, zone); ok {
		*into = flow.At(t)
		return true
	}
	r.fail(v, `%s is no time; write 2026-03-01T02:00:00Z, 2026-03-01 or "2026-03-01 02:00:00"`, shown(text))
	return false
}

var calendarKeys = newTable("a calendar",
	kindKey[flow.Calendar](kindCalendar),
	field("project", "Project it belongs to.", asName, func(c *flow.Calendar) *string { return &c.Project }),
	field("name", "Name that schedules give in `calendar`.", asName, func(c *flow.Calendar) *string { return &c.Name }).must(),
	field("timezone", "IANA time zone whose days are meant; that of the schedule where it is left out.", asTimezone, func(c *flow.Calendar) *string { return &c.Timezone }).alias("tz"),
	key[flow.Calendar]{
		name: "weekdays", doc: "Days of the week that work, mon to sun; monday to friday where it is left out. An empty list: none.",
		aka:    []string{"workweek"},
		schema: listOf(asText).schema,
		read: func(r *reader, v value, c *flow.Calendar) {
			if days, ok := listOf(asText).read(r, v); ok {
				c.Weekdays, c.NoWeekdays = days, len(days) == 0
			}
		},
		write: func(c *flow.Calendar) *yaml.Node {
			if c.NoWeekdays {
				return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			}
			return listOf(asText).write(c.Weekdays)
		},
	},
	field("holidays", "Dates that rest, such as 2026-10-01.", listOf(asText), func(c *flow.Calendar) *[]string { return &c.Holidays }).alias("exclude", "rest"),
	field("workdays", "Dates that work although their day of the week rests.", listOf(asText), func(c *flow.Calendar) *[]string { return &c.Workdays }).alias("include"),
)

func (r *reader) calendar(doc value, project string) *flow.Calendar {
	var c flow.Calendar
	if !calendarKeys.read(r, doc, &c) {
		return &c
	}
	c.Project = cmp.Or(c.Project, project)
	if _, err := timetable.CalendarOf(c); err != nil {
		e, _ := errors.AsType[*flow.Error](err)
		place := doc
		if e.Field != "" {
			place = doc.at(e.Field)
		}
		r.fail(place, "%s", e.Message).Suggestion = e.Suggestion
	}
	return &c
}
