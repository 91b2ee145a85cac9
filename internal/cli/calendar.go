// baton calendar convert: an iCalendar file as a calendar document, without a server.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"baton/internal/cron"
	"baton/internal/flow"
	"baton/internal/ical"
)

func (a *app) calendarCommand() *cobra.Command {
	return group("calendar", "Calendars of days that work and rest", a.calendarConvert())
}

// calendarDocument is a document of kind Calendar; its keys are those of a file.
type calendarDocument struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Timezone string   `json:"timezone,omitempty"`
	Weekdays []string `json:"weekdays,omitempty"`
	Holidays []string `json:"holidays"`
	Workdays []string `json:"workdays"`

	names map[string]string // of the dates
}

type conversion struct {
	file, name, zone string
	weekdays         []string
	from, to         int
}

func (a *app) calendarConvert() *cobra.Command {
	var q conversion
	c := &cobra.Command{
		Use:   "convert FILE.ics --name NAME",
		Short: "Make a calendar of an iCalendar file; needs no server",
		Long: `Prints a document of kind Calendar: the days of the file's events are holidays, and those of events whose name or
categories say so (班, 上班, "workday", "working day") are workdays. A comment names each date. FILE - is standard input.`,
		Example: `  baton calendar convert holidays.ics --name cn-workdays --timezone Asia/Shanghai --from 2026 --to 2027
  curl -s https://example.com/holidays.ics | baton calendar convert - --name uk --weekdays mon,tue,wed,thu,fri > uk.yaml`,
		Args: arguments("FILE"),
	}
	c.Flags().StringVar(&q.name, "name", "", "name of the calendar")
	c.Flags().StringVar(&q.zone, "timezone", "", "IANA zone whose days are meant (default: that of each schedule)")
	c.Flags().StringSliceVar(&q.weekdays, "weekdays", nil, "days of the week that work, such as sun,mon,tue (default mon to fri)")
	c.Flags().IntVar(&q.from, "from", 0, "first year")
	c.Flags().IntVar(&q.to, "to", 0, "last year; needed when an event repeats without an end")
	c.RunE = action(func(_ context.Context, args []string) error {
		q.file = args[0]
		got, err := a.convert(q)
		if err != nil {
			return err
		}
		raw, err := marshal(got)
		if err != nil {
			return err
		}
		return a.print(raw, []string{got.Name}, got.people)
	})
	return c
}

func (a *app) convert(q conversion) (calendarDocument, error) {
	out := calendarDocument{
		Kind: "Calendar", Name: q.name, Timezone: q.zone, Weekdays: q.weekdays,
		Holidays: []string{}, Workdays: []string{}, names: map[string]string{},
	}
	if q.name == "" {
		return out, usagef("calendar convert needs a name for the calendar: --name NAME")
	}
	if e := flow.CheckName(q.name); e != nil {
		return out, usagef("--name: %w", e)
	}
	for _, year := range []int{q.from, q.to} {
		if year != 0 && (year < cron.MinYear || year > cron.MaxYear) {
			return out, usagef("year %d: --from and --to are from %d to %d", year, cron.MinYear, cron.MaxYear)
		}
	}
	if q.to != 0 && q.from > q.to {
		return out, usagef("--from %d is after --to %d", q.from, q.to)
	}
	var zone *time.Location
	if q.zone != "" {
		var err error
		if zone, err = zoneNamed("timezone", &q.zone); err != nil {
			return out, err
		}
	}
	raw, err := a.calendarFile(q.file)
	if err != nil {
		return out, err
	}
	dates, err := ical.Dates(raw, ical.Options{From: q.from, To: q.to, Zone: zone})
	if e, ok := errors.AsType[*flow.Error](err); ok {
		e.File = q.file
		return out, e
	} else if err != nil {
		return out, fmt.Errorf("%s: %w", q.file, err)
	}
	if len(dates) == 0 {
		return out, &flow.Error{Code: flow.CodeInvalidFile, File: q.file, Message: "no event has a day in these years"}
	}
	for _, d := range dates {
		out.names[d.Day] = d.Name
		if d.Works {
			out.Workdays = append(out.Workdays, d.Day)
		} else {
			out.Holidays = append(out.Holidays, d.Day)
		}
	}
	_, err = cron.NewCalendar(cron.CalendarOptions{Zone: zone, Weekdays: q.weekdays, Holidays: out.Holidays, Workdays: out.Workdays})
	if e, ok := errors.AsType[*cron.Error](err); ok {
		return out, cronError(e, flow.Code(e.Code), e.Field)
	}
	return out, err
}

func (a *app) calendarFile(name string) ([]byte, error) {
	in := a.Stdin
	if name != stdinName {
		f, err := os.Open(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, ical.MaxBytes+1)) // one more is refused by its reader
	if err != nil {
		return nil, usagef("read %s: %w", name, err)
	}
	return raw, nil
}

// people get the document as they would write it: each date beside what it is.
func (d calendarDocument) people(w io.Writer) error {
	name, err := yaml.Marshal(d.Name)
	if err != nil {
		return fmt.Errorf("print yaml: %w", err)
	}
	say(w, "kind: Calendar\nname: %s", name)
	if d.Timezone != "" {
		say(w, "timezone: %s\n", d.Timezone)
	}
	if d.Weekdays != nil {
		say(w, "weekdays: [%s]\n", strings.Join(d.Weekdays, ", "))
	}
	d.list(w, "holidays", d.Holidays)
	d.list(w, "workdays", d.Workdays)
	return nil
}

func (d calendarDocument) list(w io.Writer, key string, days []string) {
	if len(days) == 0 {
		return
	}
	say(w, "%s:\n", key)
	for _, day := range days {
		line := "  - " + day
		if name := d.names[day]; name != "" {
			line += " # " + printable(name)
		}
		say(w, "%s\n", line)
	}
}

// printable leaves out what would end a comment or move a cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
