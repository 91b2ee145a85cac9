// Commands, inbox, claims: what comes out of the store.

package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
)

// Limits of one read.
const (
	inboxAtOnce    = 500
	claimAtOnce    = 500
	takeOverAtOnce = 500
	ownedAtOnce    = 500
)

// slotPatience is how long a command is left to the master whose slot it is.
const slotPatience = 100 * time.Millisecond

// readCommands asks for commands unless a read is under way or enough are being taken.
func (c *Core) readCommands() {
	if !c.ready || c.lease.Incarnation == 0 || c.drains.me {
		return
	}
	if c.polls.commands {
		c.polls.moreCommands = true
		return
	}
	var taking []flow.ID
	for _, in := range c.taking {
		if c.insts[in.id] == in && in.command != 0 {
			taking = append(taking, in.id)
		}
	}
	c.taking = c.taking[:0]
	for _, id := range taking {
		c.taking = append(c.taking, c.insts[id])
	}
	taking = append(taking, c.poisoned.commands()...)
	room := c.pace.now - len(taking)
	if room <= 0 {
		c.polls.moreCommands = true
		return
	}
	turn := ReadCommands{Limit: room, Except: taking, Before: c.now.Add(-slotPatience)}
	turn.Slot, turn.Slots = c.slot()
	read, now := c.trialOf(turn)
	if !now {
		c.polls.moreCommands = true
		return
	}
	c.polls.commands, c.polls.asked = true, read.Limit
	c.emit(read)
}

// moreCommands reads what was wanted and could not be read then.
func (c *Core) moreCommands() {
	if c.polls.moreCommands && !c.polls.commands {
		c.polls.moreCommands = false
		c.readCommands()
	}
}

func (c *Core) commandsRead(e CommandsRead) {
	c.polls.commands = false
	c.tryCommands(e, c.polls.asked)
	if e.Err != nil {
		return
	}
	fresh := false
	for _, cmd := range e.Commands {
		if c.insts[cmd.ID] != nil || c.poisoned[cmd.ID] != nil {
			continue // in doubt: what became of it is being read
		}
		in := c.add(cmd.ID)
		in.command, in.epoch = cmd.ID, 1
		c.taking = append(c.taking, in)
		fresh = true
		for _, item := range cmd.Inbox { // what was said before it began goes before its tasks
			c.deliver(item)
		}
		if cmd.Takes >= flow.MaxTakes {
			c.poison(in, deadly("began this run"), nil)
			continue
		}
		c.withPlan(PlanKey{cmd.Workflow, cmd.Version}, func(p *engine.Plan, err error) { c.create(in, p, cmd, err) })
	}
	if fresh && len(e.Commands) == c.polls.asked || c.polls.moreCommands {
		c.polls.moreCommands = false
		c.readCommands()
	}
}

// create makes an instance of a command; the commit that stores it deletes the command.
func (c *Core) create(in *inst, p *engine.Plan, cmd flow.Command, err error) {
	if c.insts[in.id] != in {
		return
	}
	defer c.guard(in, "the engine refused the start")
	if err == nil {
		in.st, err = engine.New(p, cmd)
	}
	if err != nil {
		c.poison(in, err.Error(), nil)
		return
	}
	c.apply(in, pending{ev: engine.Begin{}})
	c.drain(in)
}

func (c *Core) readInbox() {
	if !c.ready {
		return
	}
	if c.polls.inbox {
		c.polls.moreInbox = true
		return
	}
	if len(c.insts) == 0 {
		return
	}
	c.polls.inbox = true
	c.polls.inboxRead++
	c.polls.reading = len(c.unread)
	except := make([]flow.ID, 0, len(c.seen))
	for id := range c.seen {
		except = append(except, id)
	}
	for _, ids := range c.skipped {
		except = append(except, ids...)
	}
	sortIDs(except)
	c.emit(ReadInbox{Limit: inboxAtOnce, Except: except})
}

func (c *Core) inboxRead(e InboxRead) {
	c.polls.inbox = false
	if e.Err != nil {
		return
	}
	for _, item := range e.Items {
		if !c.seen[item.ID] {
			c.deliver(item)
		}
	}
	if len(e.Items) == inboxAtOnce {
		c.readInbox()
		return
	}
	c.polls.inboxDone = c.polls.inboxRead
	c.loseDoomed()
	// Everything that waited for these when the read began has been delivered.
	known := c.unread[:c.polls.reading]
	c.unread = append([]*inst(nil), c.unread[c.polls.reading:]...)
	for _, in := range known {
		in.unread = false
		if c.insts[in.id] == in && in.st != nil {
			c.askFor(in)
		}
		switch {
		case c.insts[in.id] != in || in.st == nil:
		case !in.taken:
			c.letGo(in)
		case !in.inflight && !in.listed:
			// A claim changed the owner; a commit parks it again if there was nothing to do.
			in.st.Touch()
			c.list(in, false)
		}
	}
	if c.polls.moreInbox || len(c.unread) > 0 {
		c.polls.moreInbox = false
		c.readInbox()
	}
}

// deliver brings an inbox item to its instance, which this master owns or it waits.
func (c *Core) deliver(item flow.InboxItem) {
	p := pending{inbox: item.ID}
	switch item.Kind {
	case flow.InboxVerb:
		var v flow.Verb
		if err := json.Unmarshal(item.Payload, &v); err != nil {
			v = flow.Verb{Name: "unreadable"}
		}
		p.ev = engine.VerbGiven{Inbox: item.ID, Verb: v}
	case flow.InboxResult:
		r := payloadOf[handedResult](item)
		p.ev = engine.Ended{Task: r.Task, Result: r.Result}
	case flow.InboxAdmission:
		var a flow.Admission
		if err := json.Unmarshal(item.Payload, &a); err != nil {
			a = flow.Admission{Discard: true, Why: "the order to begin cannot be read"}
		}
		p.ev = engine.Admitted{Inbox: item.ID, Admission: a}
	case flow.InboxSlots:
		p.ev = engine.SlotsGiven{GivenSlots: payloadOf[flow.GivenSlots](item)}
	case flow.InboxChild:
		p.ev = engine.ChildTold{ChildNews: payloadOf[flow.ChildNews](item)}
	case flow.InboxEvent:
		p.ev = engine.EventHeard{EventNews: payloadOf[flow.EventNews](item)}
	case flow.InboxUpstream:
		p.ev = engine.UpstreamTold{UpstreamNews: payloadOf[flow.UpstreamNews](item)}
	default:
		c.skip(item) // of a newer version; its masters consume it
		return
	}
	if c.insts[item.Instance] == nil {
		if c.poisoned[item.Instance] == nil {
			c.doubtOwned() // it is mine, says the store
		}
		c.skip(item)
		return
	}
	c.seen[item.ID] = true
	c.route(item.Instance, p)
}

// payloadOf is what an item says; one that cannot be read is for no row.
func payloadOf[T any](item flow.InboxItem) T {
	var v, none T
	if json.Unmarshal(item.Payload, &v) != nil {
		return none
	}
	return v
}

// skip leaves an item alone, and keeps it from filling every page that is read, until its instance is
// taken again.
func (c *Core) skip(item flow.InboxItem) {
	c.skipped[item.Instance] = append(c.skipped[item.Instance], item.ID)
}

// handedResult is the payload of an InboxResult.
type handedResult struct {
	Task   flow.ID     `json:"task"`
	Result flow.Result `json:"result"`
}

// handOver makes a result durable for whoever owns its instance.
func (c *Core) handOver(conn int64, instance flow.ID, e engine.Ended) {
	payload, err := json.Marshal(handedResult{e.Task, e.Result})
	if err != nil {
		return // outputs were checked to be JSON; the worker sends it again
	}
	c.emit(HandOver{Conn: conn, Token: e.Result.Token, Item: flow.InboxItem{
		ID: c.ids.Next(c.now), Instance: instance, Kind: flow.InboxResult,
		Dedup: fmt.Sprintf("result:%d", e.Result.Token), Payload: payload, At: c.now,
	}})
}

func (c *Core) handedOver(e HandedOver) {
	var known *flow.Error
	if e.Err != nil && (!errors.As(e.Err, &known) || known.Code != flow.CodeNotFound) {
		return // the worker sends it again
	}
	// Durable, or its run was deleted long ago: either way the worker may forget it.
	c.ack(e.Conn, e.Token)
	c.claim()
}

// claim asks for parked instances that are due.
func (c *Core) claim() {
	if !c.ready || c.relieved(0) {
		return
	}
	if c.polls.claim || c.trials.alone {
		c.polls.moreC = true
		return
	}
	c.polls.claim = true
	c.emit(Claim{Limit: claimAtOnce})
}

func (c *Core) claimed(e Claimed) {
	c.polls.claim = false
	c.load(e.IDs) // mine, also when what was asked after them failed
	if e.Err != nil {
		c.doubtOwned()
		return
	}
	c.polls.parked = e.Next
	if len(e.IDs) == claimAtOnce || c.polls.moreC {
		c.polls.moreC = false
		c.claim()
	}
}

func (c *Core) takeOver(dead int64) {
	c.takeovers++
	c.emit(TakeOver{Dead: dead, Limit: trialSizes[0]})
}

func (c *Core) tookOver(e TookOver) {
	if e.Takes > 0 {
		c.trials.asking = false
	}
	c.tryInstances(e.IDs)
	c.load(e.IDs)
	switch {
	case e.Err != nil:
		c.takeovers--
		c.again = append(c.again, e.Dead)
		c.doubtOwned()
	case e.Left < 0:
		c.takeovers--
		c.inherited(e.Dead)
	case e.Left == 0:
		c.emit(TakeOver{Dead: e.Dead, Limit: trialSizes[0]})
	default:
		c.trials.suspects = append(c.trials.suspects, suspects{e.Dead, e.Left})
	}
	c.becomeReady()
}

// ownedEvery is how often a master asks which instances are its own in the store. Each of them is
// in memory, unless the answer of a claim was lost.
const ownedEvery = time.Minute

// doubtOwned has the store asked soon: a claim or a takeover may have been carried out although
// nobody heard of it.
func (c *Core) doubtOwned() { c.polls.owned = flow.Earliest(c.polls.owned, c.now.Add(c.cfg.Poll)) }

func (c *Core) readOwned(after flow.ID) {
	c.polls.owning = true
	if after == 0 { // otherwise another read may be wanted already, after this one
		c.polls.owned = c.now.Add(ownedEvery)
		clear(c.skipped) // of what is not mine any more, too
	}
	c.emit(ReadOwned{After: after, Limit: ownedAtOnce})
}

func (c *Core) ownedRead(e OwnedRead) {
	c.polls.owning = false
	if e.Err != nil {
		c.doubtOwned()
		return
	}
	var lost []flow.ID
	for _, id := range e.IDs {
		if c.insts[id] == nil && c.poisoned[id] == nil {
			lost = append(lost, id)
		}
	}
	c.load(lost)
	switch {
	case len(e.IDs) == ownedAtOnce:
		c.readOwned(e.IDs[len(e.IDs)-1])
	case c.polls.owned <= c.now: // more was given meanwhile
		c.readOwned(0)
	}
}
