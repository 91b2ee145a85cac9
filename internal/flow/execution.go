// How many runs of a workflow go on at a time, and whose turn it is.

package flow

// Execution says how many runs of a workflow go on at a time, and what becomes of one more. The zero value is any
// number of them.
type Execution struct {
	Limit int  `json:"limit,omitempty"` // 0: none
	Over  Over `json:"over,omitempty"`
}

// Over says what becomes of a run when as many go on as may.
type Over string

// What becomes of a run that is one too many; "" is wait.
const (
	OverWait       Over = "wait"        // it waits until one before it has ended, in order of submission
	OverDiscard    Over = "discard"     // it ends at once: stopped, discarded
	OverStopOldest Over = "stop_oldest" // the oldest are stopped, and it begins when they have ended
)

// Admission is the payload of an InboxAdmission: the turn of a queued run has come, or never will.
type Admission struct {
	Discard bool   `json:"discard,omitempty"`
	Why     string `json:"why,omitempty"` // a sentence, of one that is discarded
}

// Admitted tells what giving turns came to.
type Admitted struct {
	Given int  // orders in inboxes
	Again []ID // workflows that could not be decided about, or of which there is more to decide
	Next  ID   // of a look at all: there may be more workflows after this one; 0: there are none
}
