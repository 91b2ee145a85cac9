// Settling: what workers hold, and what the rows say of it.

package master

import (
	"fmt"

	"baton/internal/attempt"
	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// askFor asks the workers for what an instance left running that was another master's: they hear
// this one from now on, and say what they have. It comes after the read of the inbox, where
// results lie that the dead master did not live to take.
func (c *Core) askFor(in *inst) {
	for r := range in.st.Rows {
		row := &in.st.Rows[r]
		if !row.Placed() || !row.Attempt.State.Live() || row.Attempt.StartedAt == 0 || row.Attempt.Token == 0 {
			continue
		}
		if cn := c.sessions[row.Attempt.Session]; cn != nil {
			c.ask(cn, in, row)
		}
	}
}

// ask asks a worker for an attempt.
func (c *Core) ask(cn *conn, in *inst, row *flow.TaskRow) {
	c.send(cn.id, func(f *rpc.FromMaster) {
		f.Asks = append(f.Asks, &rpc.Ask{Token: row.Attempt.Token, Instance: int64(in.id), Task: int64(row.ID), Epoch: in.epoch})
	})
}

// told settles what a worker says in answer to an ask.
func (c *Core) told(cn *conn, h *rpc.Held) {
	in := c.insts[flow.ID(h.Instance)]
	if in == nil || in.st == nil {
		return
	}
	r := in.st.RowByID(flow.ID(h.Task))
	if r < 0 || in.st.Rows[r].Attempt.Token != h.Token || in.st.Rows[r].Attempt.Session != cn.session {
		return
	}
	if h.State == rpc.HeldState_HELD_STATE_DONE {
		// Its result is in the inbox; or a master took it that was the owner for none but itself.
		c.lose(in.id, engine.Lost{Task: in.st.Rows[r].ID, Token: h.Token, Reason: fmt.Sprintf(
			"worker %s says that a master has the result, and the store does not have it", cn.node.Name)})
		return
	}
	known := h
	if h.State == rpc.HeldState_HELD_STATE_UNSPECIFIED {
		known = nil
	}
	c.settle(cn, in, &in.st.Rows[r], known, func(token int64, a rpc.SettleAction) {
		c.send(cn.id, func(f *rpc.FromMaster) { f.Settles = append(f.Settles, &rpc.Settle{Token: token, Action: a}) })
	})
}

// settle answers one attempt by the table in attempt.
func (c *Core) settle(cn *conn, in *inst, row *flow.TaskRow, h *rpc.Held, say func(int64, rpc.SettleAction)) {
	if row.Attempt.Token == 0 {
		return // it is being granted: the order goes out when that is durable
	}
	state := attempt.HeldAbsent
	if h != nil {
		state = attempt.Held(h.State)
	}
	same := row.Attempt.Session == cn.session
	token, task, instance, typ := row.Attempt.Token, row.ID, in.id, row.Type
	answer := func(a rpc.SettleAction) { say(token, a) }
	switch attempt.Settle(attempt.WantedOf(*row), state, same) {
	case attempt.Keep:
		answer(rpc.SettleAction_SETTLE_ACTION_KEEP)
		if r := in.st.RowByID(task); row.Attempt.StartedAt != 0 && in.st.Held(r) {
			// Perhaps it has not heard that its start is durable, and waits to be told to begin.
			in.after.begun = append(in.after.begun, r)
			c.carryOutNow(in)
		}
		if !same {
			c.pool.Hold(task, instance, cn.session, typ)
			c.route(instance, pending{ev: engine.Rebound{Task: task, Token: token, Session: cn.session}})
		}
	case attempt.Cancel:
		if !in.durable() {
			in.unsettled = append(in.unsettled, unsettled{cn.id, h})
			return
		}
		answer(rpc.SettleAction_SETTLE_ACTION_CANCEL)
	case attempt.SendResult:
		answer(rpc.SettleAction_SETTLE_ACTION_SEND_RESULT)
	case attempt.Forget:
		if !in.durable() {
			return // what says so is not durable yet; the worker sends its result again until it is
		}
		answer(rpc.SettleAction_SETTLE_ACTION_FORGET)
	case attempt.Resend:
		if r := in.st.RowByID(task); row.Kill != flow.KillNone {
			in.after.killing = append(in.after.killing, r)
		} else {
			in.after.granted = append(in.after.granted, r) // nobody else sends it again
		}
		c.carryOutNow(in)
	case attempt.Void:
		c.route(instance, pending{ev: engine.Refused{Task: task, Token: token, Reason: "the worker was restarted and never began it"}})
	case attempt.Lose:
		c.lose(instance, engine.Lost{Task: task, Token: token, Reason: fmt.Sprintf("worker %s was restarted and nothing is left of the attempt", cn.hello.Name)})
	case attempt.Nothing:
	}
}

// settleUnknown answers an attempt that no row with a slot names. Its instance may be ended, parked
// or another master's, also when this one is about to make it of a command that the other has taken:
// then nothing is said, the worker goes on, and a result goes through the inbox. What runs is
// cancelled only when the rows are here and do not want it.
func (c *Core) settleUnknown(cn *conn, h *rpc.Held, say func(int64, rpc.SettleAction)) {
	in := c.insts[flow.ID(h.Instance)]
	switch {
	case in == nil || in.st == nil || in.command != 0:
	case h.State == rpc.HeldState_HELD_STATE_ENDED:
		say(h.Token, rpc.SettleAction_SETTLE_ACTION_SEND_RESULT)
	case !in.durable():
		in.unsettled = append(in.unsettled, unsettled{cn.id, h})
	default:
		say(h.Token, rpc.SettleAction_SETTLE_ACTION_CANCEL)
	}
}

// settleLate answers what waited for the rows to be durable.
func (c *Core) settleLate(in *inst) {
	late := in.unsettled
	if in.unsettled = nil; c.insts[in.id] != in {
		return
	}
	for _, u := range late {
		cn := c.conns[u.conn]
		if cn == nil || c.sessions[cn.session] != cn {
			continue // its next hello says it again
		}
		say := func(token int64, a rpc.SettleAction) {
			c.send(cn.id, func(f *rpc.FromMaster) { f.Settles = append(f.Settles, &rpc.Settle{Token: token, Action: a}) })
		}
		if r := in.st.RowByID(flow.ID(u.held.Task)); r >= 0 && in.st.Rows[r].Attempt.Token == u.held.Token && c.pool.Holder(in.st.Rows[r].ID) != 0 {
			c.settle(cn, in, &in.st.Rows[r], u.held, say)
		} else {
			c.settleUnknown(cn, u.held, say)
		}
	}
}
