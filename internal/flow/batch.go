// One group commit: changes of many instances that are written together or, each instance for
// itself, not at all.

package flow

// Batch is what a master commits in one statement. An instance whose gate does not hold (it has
// another owner or another Seq, or its command is gone) is left out with everything that belongs
// to it; the others are written.
type Batch struct {
	Owner   int64 // incarnation that commits
	Epoch   int64 // its fence; a fenced incarnation writes nothing
	Changes []Change
	// Followed: some row follows something. Then who follows what ends with this batch is told by it.
	Followed bool
}

// Change is all that one commit does to one instance. Rows are written whole.
type Change struct {
	// Instance is the row as it will be, Seq included. Its gate: the stored row has this id, Owner
	// = Batch.Owner and Seq = Instance.Seq-1.
	Instance Instance
	// Ended: the run comes to its end with it, and was not there before.
	Ended bool
	// Command, if set, is consumed: the instance is new, and the gate is that the command was
	// still there.
	Command ID
	// NewTasks are inserted, Tasks updated. A row with Grant in both is given a token from the
	// sequence.
	NewTasks []TaskRow
	Tasks    []TaskUpdate
	// Past are attempts that a new one on the same row superseded.
	Past []AttemptRow
	// Inbox items are deleted, Outcomes kept.
	Inbox    []ID
	Outcomes []Outcome
	Alerts   []Alert
	// Commands begin other runs, News go into the inboxes of others; what is for a run that does not exist any
	// more is left out.
	Commands []Command
	News     []InboxItem
	// Follows are what rows of the instance are told of from now on, each once; Unfollow are rows that are to be
	// told of nothing any more.
	Follows  []Follow
	Unfollow []ID
	// Claims ask for slots of pools; Unclaims are those that are done with, granted or not.
	Claims   []Claim
	Unclaims []Claim
	// Keyed: the TurnKey of an instance that exists is written too, which a new one has from the start.
	Keyed bool
	// Grants lists the ids of task rows (new or updated) whose Attempt gets its token in this
	// commit. The order is that of CommitResult.Tokens.
	Grants []ID
}

// TaskUpdate is a changed row and the states it may come from (bit set of TaskState). A row in
// another state is a broken invariant: the instance's change is refused as poison.
type TaskUpdate struct {
	Row     TaskRow
	Sources uint32
}

// CommitResult tells what became of each change of a batch.
type CommitResult struct {
	Changes []ChangeResult // by index of Batch.Changes
	Told    bool           // somebody who follows what ended has an item in the inbox
	Marked  []ID           // triggers that waited for what ended
}

// ChangeResult tells what became of one change.
type ChangeResult struct {
	Fate   Fate
	Err    error   // of Poison
	Tokens []int64 // by index of Change.Grants, when Committed
}

// Fate of a change.
type Fate uint8

// Fates. Gone: somebody else owns or has taken it; forget it. Poison: this change alone breaks
// the commit, however often it is tried.
const (
	Committed Fate = 1
	Gone      Fate = 2
	Poison    Fate = 3
)
