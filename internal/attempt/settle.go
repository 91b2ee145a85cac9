// The reconciliation table: owner and worker meet after a separation (a new master, a worker that
// was restarted, a broken connection) and settle each attempt.

package attempt

import "baton/internal/flow"

// Held is what a worker knows of an attempt.
type Held uint8

// What a worker may know. Absent: its hello is complete and does not name the attempt.
const (
	HeldAbsent  Held = 0
	HeldGranted Held = 1 // taken, not begun
	HeldRunning Held = 2
	HeldEnded   Held = 3 // ended, the result not acknowledged
)

// Wanted is what the owner's rows say of an attempt.
type Wanted uint8

// What the rows may say.
const (
	WantedNot     Wanted = 0 // no such token, superseded, or its row has ended
	WantedGranted Wanted = 1
	WantedStarted Wanted = 2
	WantedKilled  Wanted = 3 // live, with a kill intent
	WantedLate    Wanted = 4 // held for lost, but no successor was granted: a result still counts
)

// Action is what to do.
type Action uint8

// Actions. To the worker go Keep, Cancel, SendResult and Forget; Resend sends the grant or the
// kill again; Void and Lose change the row: the attempt never began, or nobody can tell how it
// ended.
const (
	Nothing    Action = 0
	Keep       Action = 1
	Cancel     Action = 2
	SendResult Action = 3
	Forget     Action = 4
	Resend     Action = 5
	Void       Action = 6
	Lose       Action = 7
)

var actionNames = [...]string{"nothing", "keep", "cancel", "send_result", "forget", "resend", "void", "lose"}

func (a Action) String() string { return actionNames[a] }

// settle is indexed by [wanted][held]; absent has a column of its own for "the session of the
// attempt is the one that says hello" (the grant may still be on its way: send it again) and
// "it is an earlier one" (what its journal does not have never began).
var settle = [5][5]Action{
	//               absent here  granted     running     ended       absent, earlier session
	WantedNot:     {Nothing, Cancel, Cancel, Forget, Nothing},
	WantedGranted: {Resend, Keep, Keep, SendResult, Void},
	WantedStarted: {Lose, Keep, Keep, SendResult, Lose},
	WantedKilled:  {Resend, Cancel, Cancel, SendResult, Lose},
	WantedLate:    {Nothing, Cancel, Cancel, SendResult, Nothing},
}

// Settle returns the cell for an attempt. sameSession tells whether the row's session is the one
// that said hello.
func Settle(w Wanted, h Held, sameSession bool) Action {
	if h == HeldAbsent && !sameSession {
		return settle[w][4]
	}
	return settle[w][h]
}

// WantedOf reads the rows' side from the current attempt of a task row whose token is asked for.
func WantedOf(row flow.TaskRow) Wanted {
	a := row.Attempt
	switch {
	case row.State.Ended() || !row.Valid:
		return WantedNot
	case a.State == flow.AttemptLost || a.State == flow.AttemptUnknown:
		return WantedLate
	case !a.State.Live():
		return WantedNot
	case row.Kill != flow.KillNone:
		return WantedKilled
	case a.StartedAt != 0:
		return WantedStarted
	default:
		return WantedGranted
	}
}
