// Schedules: when a workflow runs by itself, and what became of each of its times.

package flow

// Schedule says when a workflow runs by itself. Exactly one of Cron, Every and At is set. Its JSON form is what
// the store keeps and what revisions are compared by, so fields are only added, with omitempty.
type Schedule struct {
	Name         string       `json:"name"`
	Cron         string       `json:"cron,omitempty"`
	Dialect      string       `json:"dialect,omitempty"` // of Cron; "" is quartz
	Every        Duration     `json:"every,omitempty"`
	At           Time         `json:"at,omitempty"`
	Timezone     string       `json:"timezone,omitempty"` // IANA; never "" once it is read from a file
	DST          string       `json:"dst,omitempty"`      // "" is shift
	Calendar     string       `json:"calendar,omitempty"` // name of a calendar of the project
	Shift        string       `json:"shift,omitempty"`    // "" is skip
	Start        Time         `json:"start,omitempty"`    // the first moment that counts
	End          Time         `json:"end,omitempty"`      // the first that does not count any more
	Jitter       Duration     `json:"jitter,omitempty"`
	Missed       MissedPolicy `json:"missed,omitempty"`
	MissedWindow Duration     `json:"missed_window,omitempty"` // 0 is DefaultMissedWindow
	Params       []Pair       `json:"params,omitempty"`
	Disabled     bool         `json:"disabled,omitempty"` // at first: a verb changes it for good
}

// MissedPolicy says what becomes of times at which nobody was there to fire.
type MissedPolicy string

// Policies for missed fires; "" is last.
const (
	MissedNone MissedPolicy = "none" // they are left out
	MissedLast MissedPolicy = "last" // the latest is made up for, the others are left out
	MissedAll  MissedPolicy = "all"  // every one is made up for, in order
)

// DefaultMissedWindow is how old a missed fire may be that is made up for.
const DefaultMissedWindow = Duration(24 * 60 * 60 * 1e9)

// Calendar says which days work.
type Calendar struct {
	Project  string   `json:"project"`
	Name     string   `json:"name"`
	Timezone string   `json:"timezone,omitempty"` // "": that of the schedule
	Weekdays []string `json:"weekdays,omitempty"` // nil: monday to friday
	// NoWeekdays: no day of the week works, only Workdays do. An empty list cannot say it in JSON.
	NoWeekdays bool     `json:"no_weekdays,omitempty"`
	Holidays   []string `json:"holidays,omitempty"`
	Workdays   []string `json:"workdays,omitempty"`
}

// Timing is what is to be looked at next of one revision of a schedule. Of one that was changed while times of
// it were due the old revision remains until those are dealt with.
type Timing struct {
	Schedule ID
	Revision int64
	Project  ID
	Workflow ID
	Priority Priority // of the workflow's newest version
	Body     Schedule
	Calendar *Calendar // as the revision knows it; nil: none
	After    Time      // times up to here are dealt with
	Until    Time      // times after it are another revision's; 0: none are
	Halted   bool      // the schedule was disabled or removed: nothing of it is fired any more
	Next     Time      // when somebody has to look
}

// DueTimings is what is to be looked at now, and when there will be more.
type DueTimings struct {
	Now     Time // by the clock of the store, which decides what is due
	Timings []Timing
	Next    Time // when the next of the others is to be looked at; 0: never
}

// FireState says what became of a time of a schedule.
type FireState uint8

// States of a fire.
const (
	FireFired   FireState = 1 // a run was ordered
	FireSkipped FireState = 2 // left out: by the calendar, by a policy
	FireMissed  FireState = 3 // nobody fired it in its window
)

func (s FireState) String() string {
	switch s {
	case FireFired:
		return "fired"
	case FireSkipped:
		return "skipped"
	case FireMissed:
		return "missed"
	default:
		return "unknown"
	}
}

// Fire is a due time of a schedule and what became of it, unique by (Schedule, Nominal). One row may stand for
// Times fires from Nominal to Last that had one fate.
type Fire struct {
	ID       ID
	Schedule ID
	Project  ID
	Workflow ID
	Nominal  Time
	Last     Time
	Times    int
	State    FireState
	Reason   string
	Instance ID // the run; 0: none
	At       Time
}

// Firing is a decision about one timing. It counts only while nobody else has decided about it: Schedule,
// Revision and After are compared when it is written.
type Firing struct {
	Schedule ID
	Revision int64
	After    Time // as it was when the decision was made, as Until
	Until    Time
	// What it is from now on.
	NewAfter Time
	Nominal  Time // the next time; 0: none any more
	Next     Time // when somebody has to look at it
	Fires    []Fire
	Workflow ID
	Alert    *Alert    // of times that were missed; nil: none was
	Commands []Command // of Fires that were fired, by Instance; the version is the workflow's newest
}

// ScheduleRow is a schedule as people read it.
type ScheduleRow struct {
	ID         ID
	Project    string
	Workflow   string
	Schedule   Schedule
	Calendar   *Calendar // nil: it names none
	Revision   int64
	Enabled    bool
	Overridden bool // a verb said whether it is enabled
	Nominal    Time // the next time as it was found last; 0: not known, or none
	Last       Time // nominal time of the last fire; 0: none
}

// NamedFire is a fire with the names of what it belongs to.
type NamedFire struct {
	Fire
	ScheduleName string
	ProjectName  string
	WorkflowName string
}

// FireFilter narrows a list of fires. Zero fields do not narrow.
type FireFilter struct {
	Project  string
	Workflow string
	Schedule string
	Instance ID
	States   []FireState
	Limit    int
	Cursor   ID
}

// ParseFireState reads the name of a state.
func ParseFireState(word string) (FireState, error) {
	for s := FireFired; s <= FireMissed; s++ {
		if s.String() == word {
			return s, nil
		}
	}
	return 0, Errorf(CodeBadRequest, "state", "%q is no state of a fire; one of fired, skipped, missed", word)
}
