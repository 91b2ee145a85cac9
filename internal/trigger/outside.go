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
	// mostGone is how many that went are known at most; those that went first are forgotten first. A disk that is away takes
	// no more along.
	mostGone = 100_000
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

// Look says what is to be written about the files that a look has found, all that match. The first look of all takes those
// for known that were there before the trigger.
func (s *Sight) Look(files []flow.FoundFile, now flow.Time) *Findings {
	f := &Findings{sight: s, now: now, first: s.outside.LookedAt == 0}
	settled := now.Add(-s.outside.Body.File.SettledOr().Std())
	there := make(map[flow.FileVersion]bool, len(files))
	for _, file := range files {
		if there[file.FileVersion] {
			continue // found in two ways
		}
		there[file.FileVersion] = true
		gone, known := s.known[file.FileVersion]
		switch {
		case known && gone != 0:
			f.changed = append(f.changed, flow.KnownFile{FileVersion: file.FileVersion})
		case known:
		case f.first && file.CameAt < s.outside.Since.Add(-file.Coarse):
			f.before = append(f.before, file.FileVersion)
		default:
			if _, seen := s.settles[file.FileVersion]; !seen {
				s.settles[file.FileVersion] = now
			}
			if s.settles[file.FileVersion] <= settled {
				f.came = append(f.came, file)
			}
		}
	}
	f.old = len(f.before)
	maps.DeleteFunc(s.settles, func(v flow.FileVersion, _ flow.Time) bool { return !there[v] })
	f.absent(there)
	slices.SortFunc(f.came, func(x, y flow.FoundFile) int {
		return cmp.Or(cmp.Compare(x.CameAt, y.CameAt), cmp.Compare(x.Path, y.Path))
	})
	return f
}

// Findings are what one look has found that is new.
type Findings struct {
	sight   *Sight
	now     flow.Time
	first   bool
	old     int                // how many were there before
	before  []flow.FileVersion // that were there before the trigger
	changed []flow.KnownFile
	forgot  []flow.FileVersion
	came    []flow.FoundFile
}

// absent says which known files went, and which did so long ago, or are too many. Order is that of the paths, so that the
// same look says the same.
func (f *Findings) absent(there map[flow.FileVersion]bool) {
	var gone []flow.KnownFile
	for v, at := range f.sight.known {
		switch {
		case there[v]:
		case at == 0:
			f.changed = append(f.changed, flow.KnownFile{FileVersion: v, GoneAt: f.now})
		case f.now.Sub(at) > KeepGone:
			f.forgot = append(f.forgot, v)
		default:
			gone = append(gone, flow.KnownFile{FileVersion: v, GoneAt: at})
		}
	}
	if len(gone) > mostGone { // some more at once, so that it need not be done with each look
		slices.SortFunc(gone, func(x, y flow.KnownFile) int {
			return cmp.Or(cmp.Compare(x.GoneAt, y.GoneAt), byVersion(x.FileVersion, y.FileVersion))
		})
		for _, k := range gone[:len(gone)-mostGone+mostGone/10] {
			f.forgot = append(f.forgot, k.FileVersion)
		}
	}
	slices.SortFunc(f.changed, func(x, y flow.KnownFile) int { return byVersion(x.FileVersion, y.FileVersion) })
	slices.SortFunc(f.forgot, byVersion)
}

// Next is the next part that is to be written; false: there is none. It is for who has written the one before.
func (f *Findings) Next() (d flow.OutsideDecision, more bool) {
	o := f.sight.outside
	d = flow.OutsideDecision{Trigger: o.ID, Revision: o.Revision, Fresh: take(&f.before, changesAtOnce), Changed: take(&f.changed, changesAtOnce), Forgot: take(&f.forgot, changesAtOnce)}
	if f.first && len(f.before) > 0 {
		return d, true // an event counts when all is known that was there before
	}
	if f.first {
		f.first, d.LookedAt = false, f.now
		if f.old > 0 {
			skip(&d, o, "", fmt.Sprintf("%d files were there before", f.old), "what was there before the trigger began to wait is no event", f.now)
		}
	}
	for _, file := range take(&f.came, startsAtOnce) {
		d.Fresh = append(d.Fresh, file.FileVersion)
		if file.Unfit != "" {
			skip(&d, o, "", "file "+file.String(), file.Unfit, f.now)
			continue
		}
		start(&d, o, f.sight.event(file), "", "file "+file.String(), f.now)
	}
	return d, !d.Empty()
}

// take takes as many as there are, at most that many, off the front of a list.
func take[T any](list *[]T, most int) []T {
	n := min(len(*list), most)
	out := (*list)[:n:n]
	*list = (*list)[n:]
	return out
}

// skip adds why an event starts no run.
func skip(d *flow.OutsideDecision, o flow.Outside, key, cause, reason string, now flow.Time) {
	record := recordOf(o, key, cause, now)
	record.State, record.Reason = flow.StartSkipped, reason
	d.Starts = append(d.Starts, record)
}

// recordOf is what became of an event, a run for now.
func recordOf(o flow.Outside, key, cause string, now flow.Time) flow.TriggerStart {
	return flow.TriggerStart{Trigger: o.ID, Project: o.Project, Workflow: o.Workflow, State: flow.StartFired, Cause: cause, Key: key, At: now}
}

func byVersion(x, y flow.FileVersion) int {
	return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Modified, y.Modified), cmp.Compare(x.Size, y.Size), cmp.Compare(x.Tag, y.Tag))
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
	record := recordOf(o, key, cause, now)
	params, err := e.Params(o.Body.Params)
	if err != nil {
		record.State, record.Reason, record.Failed = flow.StartSkipped, err.Error(), true
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
		e.Give(NamePayload, []byte(n.Payload), len(n.Payload))
		start(&d, o, e, n.Key, fmt.Sprintf("notification of process %d: %s", n.PID, flow.Text(n.Payload, maxShown)), now)
	}
	return d, taken
}

// maxShown bounds the payload in a cause, in bytes.
const maxShown = 200

// missed records a gap, and has one run make up for it where the trigger says so.
func missed(d *flow.OutsideDecision, o flow.Outside, gap Gap, now flow.Time) {
	cause := fmt.Sprintf("perhaps nobody listened from %s to %s: %s", clockOf(gap.From), clockOf(gap.To), gap.Why)
	if o.Body.Notify.Missed == flow.MissedOnce {
		start(d, o, eventOf(o, gap.To, map[string]json.RawMessage{
			NameChannel: quoted(o.Body.Notify.Channel), NameMissed: json.RawMessage("true"), NamePayload: json.RawMessage("null"),
		}), gap.Key, cause, now)
		return
	}
	skip(d, o, gap.Key, cause, "what was sent meanwhile is lost, for PostgreSQL keeps no notifications; with missed: once a run makes up for it", now)
}

func clockOf(t flow.Time) string { return t.Std().UTC().Format("2006-01-02T15:04:05Z") }

func quoted(text string) json.RawMessage {
	raw, _ := json.Marshal(text) // a text: it cannot fail
	return raw
}
