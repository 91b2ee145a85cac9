// Triggers by what happens outside of Baton, for which a master looks out: files that arrive, notifications of a database.

package flow

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Notify is a notification of a PostgreSQL database.
type Notify struct {
	DataSource string       `json:"datasource"` // of the trigger's project
	Channel    string       `json:"channel"`    // as it is written in NOTIFY when it stands in quotes
	Missed     MissedPolicy `json:"missed,omitempty"`
}

// MissedOnce has one run start when somebody listens again after nobody did. The database keeps no notifications, so
// nobody knows whether there were any. With "", or MissedNone, the time is recorded, and no more.
const MissedOnce MissedPolicy = "once"

// Arrival is a file that comes to be where a pattern says, on the hosts of the masters, or an object in a bucket.
type Arrival struct {
	Path    string    `json:"path"`              // a pattern, which begins at the root or with BucketScheme
	Every   Duration  `json:"every,omitempty"`   // between two looks; 0 is DefaultLook
	Settled *Duration `json:"settled,omitempty"` // how long it has to be as it is; nil is DefaultSettled
}

// BucketScheme begins the path of an object: s3://bucket/key.
const BucketScheme = "s3://"

// Usual times of looks for files.
const (
	DefaultLook    = Duration(5 * time.Second)
	DefaultSettled = Duration(5 * time.Second)
)

// EveryOr is the time between two looks, or the usual one.
func (a Arrival) EveryOr() Duration { return cmp.Or(a.Every, DefaultLook) }

// SettledOr is how long a file has to be as it is, or the usual time.
func (a Arrival) SettledOr() Duration {
	if a.Settled == nil {
		return DefaultSettled
	}
	return *a.Settled
}

// Outside tells what of the outside a trigger waits for, "" for nothing. One that waits for something else begins anew:
// what was there before is no event.
func (t Trigger) Outside() string {
	switch {
	case t.File != nil:
		return "file " + t.File.Path
	case t.Notify != nil:
		return "notify " + t.Notify.DataSource + " " + t.Notify.Channel
	default:
		return ""
	}
}

// Outside is a trigger that waits for what happens outside, as who looks out for it knows it.
type Outside struct {
	TriggerStanding
	// Since is when it began to wait, by the clock of the store: what was there before is no event.
	Since Time
	// LookedAt is until when somebody is known to have looked; 0: nobody has yet.
	LookedAt   Time
	Problem    string      // why nobody can look
	DataSource *DataSource // of Notify; nil: its project has none of that name
}

// Outlook is what there is to look out for.
type Outlook struct {
	Now      Time      // by the clock of the store
	Mine     bool      // by who asked: by another that lives, or is to, when it is false
	Version  string    // another whenever Triggers are others
	Triggers []Outside // nil when they are as they were seen
}

// FileVersion is a file as it was written once. The same file written again is another one.
type FileVersion struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`      // nanoseconds since 1970
	Tag      string `json:"tag,omitempty"` // tells what is in it, "" where that is not known
}

// FoundFile is a file that a look has found.
type FoundFile struct {
	FileVersion
	CameAt Time // when it came to be there as it is: also of one that was moved there, whenever it was written
	// Coarse is how much earlier than it was CameAt may say that it came.
	Coarse time.Duration
	// Unfit is why no run can be told of it, such as a name that is no text; "": one can.
	Unfit string
}

// KnownFile is one that is no event any more: it was counted, or there before.
type KnownFile struct {
	FileVersion
	GoneAt Time // 0: it is there
}

// KnownFiles is a part of what is known for a trigger, in an order of the store's.
type KnownFiles struct {
	LookedAt Time // until when somebody is known to have looked for what it waits for now; 0: nobody has
	Files    []KnownFile
	Next     string // where there is more; "": nowhere
}

// OutsideDecision is what is decided about events of one trigger. It counts only if the trigger is as it was, and none
// of the fresh files is known. A start with a key that is known counts no more.
type OutsideDecision struct {
	Trigger  ID
	Revision int64
	Fresh    []FileVersion // that were not known
	Changed  []KnownFile   // that went, or came back as they were
	Forgot   []FileVersion
	LookedAt Time // of the first look, when all is known that was there before; else 0
	Starts   []TriggerStart
	Commands []Command // of the starts that were fired; the version is the workflow's newest
}

// Empty tells whether there is nothing to write.
func (d OutsideDecision) Empty() bool {
	return len(d.Fresh)+len(d.Changed)+len(d.Forgot)+len(d.Starts) == 0 && d.LookedAt == 0
}

// Looked tells how it stands with a look at the outside.
type Looked struct {
	Trigger ID
	Since   Time   // since when it waits for that: what it waited for before is not meant
	At      Time   // until when somebody looked; 0: as it was
	Problem string // why nobody can; "": somebody can
	Alert   string // what a person should know of it; "": nothing new
}

// Notice is a notification of a database.
type Notice struct {
	Key     string // tells it from every other one
	Channel string
	Payload string
	PID     uint32 // of the process of the database that sent it
	At      Time   // when it was heard
}

func (v FileVersion) String() string {
	name := v.Path
	if strings.ContainsFunc(name, unicode.IsControl) {
		name = strconv.Quote(name)
	}
	return fmt.Sprintf("%s (%d bytes)", name, v.Size)
}
