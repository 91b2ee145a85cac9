// The decisions about what happens outside: files that a look has found, notifications that were heard, and times in
// which nobody listened.

package trigger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"baton/internal/flow"
)

const (
	// startsAtOnce bounds the runs that one decision orders, changesAtOnce what it says of files beside them.
	startsAtOnce  = 50
	changesAtOnce = 5_000
	// KeepGone is how long a file that went is known: one that comes back just as it was is no event, such as those of a
	// disk that was not mounted for a while.
	KeepGone = 30 * 24 * time.Hour
)

// Sight is what is known of the files of one trigger. What a look decides is known only once it is written: see Wrote. A
// Sight is not safe for concurrent use.
type Sight struct {
	outside flow.Outside
	known   map[flow.FileVersion]flow.Time // when it went; 0: it is there
	settles map[flow.FileVersion]flow.Time // since when it was seen to be as it is
}

// NewSight begins with what was written before.
func NewSight(o flow.Outside, known []flow.KnownFile) *Sight {
	s := &Sight{outside: o, known: make(map[flow.FileVersion]flow.Time, len(known)), settles: map[flow.FileVersion]flow.Time{}}
	for _, k := range known {
		s.known[k.FileVersion] = k.GoneAt
	}
	return s
}

// Look says what is to be written about the files that a look has found, all that match. With more there is more to say
// of the same files once that is written. The first look of all takes those for known that were there before the trigger.
func (s *Sight) Look(found []flow.FoundFile, now flow.Time) (d flow.OutsideDecision, more bool) {
	d = flow.OutsideDecision{Trigger: s.outside.ID, Revision: s.outside.Revision}
	first := s.outside.LookedAt == 0
	settled := now.Add(-s.outside.Body.File.SettledOr().Std())
	there := make(map[flow.FileVersion]bool, len(found))
	var came []flow.FoundFile
	for _, f := range found {
		there[f.FileVersion] = true
		gone, known := s.known[f.FileVersion]
		switch {
		case known && gone != 0:
			d.Changed = append(d.Changed, flow.KnownFile{FileVersion: f.FileVersion})
		case known:
		case first && f.CameAt < s.outside.Since.Add(-f.Coarse):
			d.Fresh = append(d.Fresh, f.FileVersion)
		default:
			if _, seen := s.settles[f.FileVersion]; !seen {
				s.settles[f.FileVersion] = now
			}
			if s.settles[f.FileVersion] <= settled {
				came = append(came, f)
			}
		}
	}
	maps.DeleteFunc(s.settles, func(v flow.FileVersion, _ flow.Time) bool { return !there[v] })
	s.absent(&d, there, now)
	more = cut(&d.Fresh, changesAtOnce) || cut(&d.Changed, changesAtOnce) || cut(&d.Forgot, changesAtOnce)
	if first && !more {
		d.LookedAt = now
	}
	if first && d.LookedAt == 0 {
		return d, true // an event counts when all is known that was there before
	}
	slices.SortFunc(came, func(x, y flow.FoundFile) int {
		return cmp.Or(cmp.Compare(x.CameAt, y.CameAt), cmp.Compare(x.Path, y.Path))
	})
	more = cut(&came, startsAtOnce) || more
	for _, f := range came {
		d.Fresh = append(d.Fresh, f.FileVersion)
		start(&d, s.outside, s.event(f), "", "file "+f.String(), now)
	}
	return d, more
}

// absent says which known files went, and which did so long ago. Order is that of the paths, so that the same look says
// the same.
func (s *Sight) absent(d *flow.OutsideDecision, there map[flow.FileVersion]bool, now flow.Time) {
	for v, gone := range s.known {
		switch {
		case there[v]:
		case gone == 0:
			d.Changed = append(d.Changed, flow.KnownFile{FileVersion: v, GoneAt: now})
		case now.Sub(gone) > KeepGone:
			d.Forgot = append(d.Forgot, v)
		}
	}
	slices.SortFunc(d.Changed, func(x, y flow.KnownFile) int { return byVersion(x.FileVersion, y.FileVersion) })
	slices.SortFunc(d.Forgot, byVersion)
}

func byVersion(x, y flow.FileVersion) int {
	return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Modified, y.Modified), cmp.Compare(x.Size, y.Size))
}

// cut shortens a list, and tells whether it was longer.
func cut[T any](list *[]T, most int) bool {
	if len(*list) <= most {
		return false
	}
	*list = (*list)[:most]
	return true
}

// Wrote takes a decision for known.
func (s *Sight) Wrote(d flow.OutsideDecision) {
	for _, v := range d.Fresh {
		s.known[v] = 0
		delete(s.settles, v)
	}
	for _, k := range d.Changed {
		s.known[k.FileVersion] = k.GoneAt
	}
	for _, v := range d.Forgot {
		delete(s.known, v)
	}
	s.outside.LookedAt = max(s.outside.LookedAt, d.LookedAt)
}

// arrived is a file as expressions see it.
type arrived struct {
	Path     string    `json:"path"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified flow.Time `json:"modified_at"`
}

// event is a file. The run is for the time at which it came, however late it was found.
func (s *Sight) event(f flow.FoundFile) Event {
	raw, _ := json.Marshal(arrived{f.Path, path.Base(f.Path), f.Size, flow.Time(f.Modified / 1000)}) // texts and numbers: it cannot fail
	return eventOf(s.outside, f.CameAt, map[string]json.RawMessage{NameFile: raw})
}

func eventOf(o flow.Outside, at flow.Time, values map[string]json.RawMessage) Event {
	return Event{Zone: o.Zone, Project: o.ProjectName, DataTime: at, JSON: values}
}

// start adds what becomes of one event: a run, or why there is none. The store gives the ids.
func start(d *flow.OutsideDecision, o flow.Outside, e Event, key, cause string, now flow.Time) {
	record := flow.TriggerStart{Trigger: o.ID, Project: o.Project, Workflow: o.Workflow, State: flow.StartFired, Cause: cause, Key: key, At: now}
	params, err := e.Params(o.Body.Params)
	if err != nil {
		record.State, record.Reason = flow.StartSkipped, err.Error()
		d.Starts = append(d.Starts, record)
		return
	}
	d.Starts = append(d.Starts, record)
	d.Commands = append(d.Commands, flow.Command{
		Project: o.Project, Workflow: o.Workflow, Priority: o.Priority, Zone: o.Zone, At: now, Start: StartOf(o.Body.Name, params, e.DataTime),
	})
}

// Gap is a time in which nobody listened.
type Gap struct {
	Key      string // tells it from every other one
	From, To flow.Time
	Why      string
}

// Hear says what is to be written about a time in which nobody listened, if there was one, and the notifications after
// it. With fewer notifications taken than there are, the rest is to be asked about once that is written.
func Hear(o flow.Outside, gap *Gap, notices []flow.Notice, now flow.Time) (d flow.OutsideDecision, taken int) {
	d = flow.OutsideDecision{Trigger: o.ID, Revision: o.Revision}
	if gap != nil {
		missed(&d, o, *gap, now)
	}
	taken = min(len(notices), startsAtOnce)
	for _, n := range notices[:taken] {
		e := eventOf(o, n.At, map[string]json.RawMessage{NameChannel: quoted(n.Channel), NameMissed: json.RawMessage("false")})
		if json.Valid([]byte(n.Payload)) {
			e.JSON[NamePayload] = json.RawMessage(n.Payload)
		} else {
			e.Texts = map[string]string{NamePayload: n.Payload}
		}
		start(&d, o, e, n.Key, fmt.Sprintf("notification of process %d: %s", n.PID, flow.Text(n.Payload, maxShown)), now)
	}
	return d, taken
}

// maxShown bounds the payload in a cause, in bytes.
const maxShown = 200

// missed records a gap, and has one run make up for it where the trigger says so.
func missed(d *flow.OutsideDecision, o flow.Outside, gap Gap, now flow.Time) {
	cause := fmt.Sprintf("nobody listened from %s to %s: %s", clockOf(gap.From), clockOf(gap.To), gap.Why)
	if o.Body.Notify.Missed == flow.MissedOnce {
		start(d, o, eventOf(o, gap.To, map[string]json.RawMessage{
			NameChannel: quoted(o.Body.Notify.Channel), NameMissed: json.RawMessage("true"), NamePayload: json.RawMessage("null"),
		}), gap.Key, cause, now)
		return
	}
	d.Starts = append(d.Starts, flow.TriggerStart{
		Trigger: o.ID, Project: o.Project, Workflow: o.Workflow, State: flow.StartSkipped, Cause: cause, Key: gap.Key, At: now,
		Reason: "what was sent meanwhile is lost, for PostgreSQL keeps no notifications; with missed: once a run makes up for it",
	})
}

func clockOf(t flow.Time) string { return t.Std().UTC().Format("2006-01-02T15:04:05Z") }

func quoted(text string) json.RawMessage {
	raw, _ := json.Marshal(text) // a text: it cannot fail
	return raw
}
