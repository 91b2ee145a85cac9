// Core: the reactor.

package master

import (
	"fmt"
	"math/rand/v2"
	"time"

	"baton/internal/dispatch"
	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
)

// Config of a core. Zero fields take the defaults of DefaultConfig.
type Config struct {
	Lanes      int           // commits under way at the same time; instances are split by id
	BatchRows  int           // most task rows of one commit
	Commands   int           // most commands being taken at the same time
	Poll       time.Duration // the net under the pokes
	Lazy       time.Duration // how long "started" may wait for a commit to ride along with
	Linger     time.Duration // an instance due within this stays owned instead of being parked
	KillResend time.Duration
	Lease      time.Duration
	DrainKey   string // of this master: flow.Node.DrainKey
	Name       string // of this master, for people
	// OverloadMemory is the share of memory from which on fewer commands are taken; 1 or more: none.
	OverloadMemory float64
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Lanes: 1, BatchRows: 500, Commands: 500, Poll: time.Second, Lazy: 50 * time.Millisecond,
		Linger: 30 * time.Second, KillResend: time.Second, Lease: 10 * time.Second, OverloadMemory: 0.95,
	}
}

// Core drives the instances this master owns. It belongs to one goroutine.
type Core struct {
	cfg   Config
	types *task.Set
	lease flow.Lease
	ids   *flow.IDSource
	now   flow.Time

	insts     map[flow.ID]*inst // all that this master owns
	lanes     []lane
	plans     map[PlanKey]*plan
	pool      *dispatch.Pool
	conns     map[int64]*conn
	wants     bool // more places were asked for of some worker
	sessions  map[int64]*conn
	away      []absence // sessions that hold something and are not connected
	wakes     wakeHeap
	kills     []kill // intents that are not confirmed yet
	fleet     fleet
	own       ownLease
	drains    drains
	elsewhere elsewhere
	fires     fires
	turns     turns
	backfills backfills
	pools     pools
	triggers  triggers
	outside   bool // some trigger waits for what happens outside
	pace      pace
	busy      bool   // it said so
	doomed    []doom // losses that wait for the inbox

	began        flow.Time // when it was registered
	ready        bool      // what was left by earlier incarnations is loaded
	takeovers    int       // under way
	loading      int
	polls        polls
	seen         map[flow.ID]bool      // inbox items under way
	skipped      map[flow.ID][]flow.ID // by instance: inbox items that nothing can be done with now
	poisoned     poisoned
	trials       trials
	hellos       []greeting // that came before ready
	arrivals     int        // of hellos, and of instances that were loaded
	retry        []flow.ID  // to be loaded again with the next poll
	reread       []PlanKey  // definitions likewise
	lookups      lookups    // what runs ask
	followed     bool       // some row follows what others do
	again        []int64    // takeovers likewise
	unregistered []int64    // registrations of connections, with the next beat
	unread       []*inst    // loaded, their inbox not read yet
	taking       []*inst    // whose command is not consumed yet
	framed       []*conn    // that get a frame in this step
	out          []Effect
	failed       bool
}

// polls says which reads are under way and which are wanted.
type polls struct {
	next                           flow.Time
	commands, inbox, claim, poll   bool // under way
	pollAgain                      bool // what is under way may have looked too early
	moreCommands, moreInbox, moreC bool // wanted again
	parked                         flow.Time
	beat                           flow.Time
	inboxRead, inboxDone           int // numbers of the read of the inbox that began last, and that ended last
	reading                        int // of unread, how many the read under way covers
	pokes                          int
	owned                          flow.Time // when to ask what is mine in the store
	owning                         bool      // that read is under way
	asked                          int       // of commands, by the read under way
}

// NewCore returns a core that waits for Started.
func NewCore(cfg Config, types *task.Set) *Core {
	pool := dispatch.NewPool()
	pool.Functions = func(name string) bool {
		t, _ := types.Get(name)
		if _, process := t.(task.Process); process {
			return false
		}
		_, function := t.(task.Function)
		return function
	}
	return &Core{
		cfg: cfg, types: types,
		insts: make(map[flow.ID]*inst), lanes: make([]lane, max(cfg.Lanes, 1)), plans: make(map[PlanKey]*plan),
		fleet: newFleet(cfg.Lease), pool: pool, conns: make(map[int64]*conn), sessions: make(map[int64]*conn), seen: make(map[flow.ID]bool),
		poisoned: make(poisoned), skipped: make(map[flow.ID][]flow.ID),
		trials: trials{on: make(map[flow.ID]bool)}, pace: newPace(cfg.Commands, cfg.OverloadMemory),
	}
}

// Step handles events in order and returns what is to be done. Changes of all events of a step that
// belong to one lane are committed together.
func (c *Core) Step(now flow.Time, events ...Event) []Effect {
	c.now = max(c.now, now) // a clock set back stands still here
	c.out = nil
	for _, cn := range c.framed {
		cn.frame = nil
	}
	c.framed = c.framed[:0]
	for _, ev := range events {
		if c.failed {
			break // nothing after the end counts, and the end must be told
		}
		c.handle(ev)
	}
	if c.lease.Incarnation != 0 && !c.failed {
		c.keepPace()
		c.lookAtSchedules()
		c.giveTurns()
		c.advanceBackfills()
		c.giveSlots()
		c.lookAtTriggers()
		c.considerPeers()
		c.beatDue()
		c.flush()
		c.giveAway()
		c.askForRoom()
		c.try()
		c.emit(WakeAt{c.nextTick()})
	}
	return c.out
}

func (c *Core) emit(e Effect) { c.out = append(c.out, e) }

func (c *Core) handle(ev Event) {
	switch e := ev.(type) {
	case Started:
		c.start(e)
	case Tick:
		c.tick()
	case LookedUp:
		c.lookedUp(e)
	case Poked:
		if e.Commands {
			c.readCommands()
		}
		if e.Inbox {
			c.polls.pokes++
			c.readInbox()
			c.claim()
		}
		if e.Handed {
			c.lookForMine()
		}
		if e.Drains {
			c.pools.looked = 0 // one may be larger now
			c.pollNow()
		}
	case Viewed:
		c.viewed(e)
	case Linked:
		c.fleet.linked(e.Incarnation, e.Up)
		c.readPeers()
	case PeersRead:
		c.peersRead(e)
	case Probed:
		c.probed(e)
	case Condemned:
		c.condemned(e)
	case HandedOut:
		c.handedOut(e)
	case GivenAway:
		c.givenAway(e)
	case Beaten:
		c.beaten(e)
	case SessionEnded:
		c.sessionEnded(e)
	case Polled:
		c.polled(e)
	case CommandsRead:
		c.commandsRead(e)
	case InboxRead:
		c.inboxRead(e)
	case Claimed:
		c.claimed(e)
	case OwnedRead:
		c.ownedRead(e)
	case TookOver:
		c.tookOver(e)
	case LoadedRows:
		c.loaded(e)
	case DefinitionRead:
		c.definitionRead(e)
	case Committed:
		c.committed(e)
	case Quarantined:
		c.quarantined(e)
	case GroupsRead:
		c.groupsRead(e)
	case Admitted:
		c.admitted(e)
	case BackfillsAdvanced:
		c.backfillsAdvanced(e)
	case SlotsGiven:
		c.slotsGiven(e)
	case MarksRead:
		c.marksRead(e)
	case Triggered:
		c.triggered(e)
	case DueRead:
		c.dueRead(e)
	case Fired:
		c.fired(e)
	case HandedOver:
		c.handedOver(e)
	case Frame:
		c.frame(e)
	case Outrun:
		// It may be a hello from long ago that lay in a buffer; or its worker counts from too low, and says
		// another one.
		c.send(e.Conn, func(f *rpc.FromMaster) { f.Welcome = &rpc.Welcome{Outrun: e.Hello} })
		delete(c.conns, e.Conn)
	case Registered:
		c.registered(e)
	case SessionLeft:
		c.left(e)
	case Closed:
		c.closed(e)
	case Unsendable:
		c.unsendable(e)
	default:
		panic(fmt.Sprintf("master: no handling of event %T", ev))
	}
}

func (c *Core) start(e Started) {
	c.lease, c.began = e.Lease, c.now
	if e.Lease.Length > 0 {
		c.cfg.Lease = e.Lease.Length
		c.fleet.lease = e.Lease.Length
	}
	c.pool.Draw = rand.New(rand.NewPCG(uint64(e.Lease.Incarnation), 0)).IntN
	c.own.renewed = c.now
	c.drains.keys = e.Lease.Draining
	c.drains.me = c.amDrained(e.Lease.Draining)
	c.fleet.answered(true, c.now)
	c.readPeers()
	c.ids = flow.NewIDSource(e.Lease.Number, e.Lease.MaxID)
	if e.Lease.Crashed {
		c.trials.commands = &commandTrials{upTo: e.Lease.MaxID, tried: make(map[flow.ID]bool)}
	}
	for _, dead := range e.Lease.Dead {
		c.fleet.stand(dead).fencing = true // taken over from here, not by what the store shows of it
		c.takeOver(dead)
	}
	c.polls.next = c.now
	c.polls.owned = c.now.Add(ownedEvery)
	c.polls.beat = c.now
	c.becomeReady()
}

// becomeReady lets workers in once everything that earlier incarnations left is known: only then
// can be told what of theirs is still wanted.
func (c *Core) becomeReady() {
	if c.ready || c.takeovers+c.loading+len(c.retry)+len(c.again) > 0 {
		return
	}
	c.ready = true
	for _, h := range c.hellos {
		c.hello(h)
	}
	c.hellos = nil
	c.readCommands()
	c.readInbox()
	c.claim()
}

func (c *Core) env() engine.Env {
	return engine.Env{Now: c.now, NextID: func() flow.ID { return c.ids.Next(c.now) }, OwnID: c.idOfMine}
}
