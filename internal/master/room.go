// Rooms: how many places of a worker this master may fill, and how many more it asks for.

package master

import (
	"baton/internal/dispatch"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// join lets a worker take work. It waits until the worker has said how much this master may give it.
func (c *Core) join(cn *conn) {
	h := cn.hello
	weight := int(h.Weight)
	if weight == 0 {
		weight = flow.DefaultWeight // of an older version
	}
	c.pool.Join(dispatch.Session{
		ID: cn.session, Name: h.Name, Groups: h.Groups, Types: h.Types, Labels: h.Labels, Weight: weight,
		Slots: dispatch.Places{dispatch.Process: int(h.Slots), dispatch.Function: int(h.FunctionSlots)}, Room: placesOf(cn.room),
		Report: dispatch.Report{Draining: c.drained(cn), Overloaded: flow.Text(h.Overloaded, 200)},
	})
}

func placesOf(r *rpc.Room) dispatch.Places {
	return dispatch.Places{dispatch.Process: int(r.GetPlaces()), dispatch.Function: int(r.GetFunctions())}
}

// room takes how many places of a worker this master may fill, and says that it heard so: what it
// gave up is given to another master then.
func (c *Core) room(cn *conn, r *rpc.Room) {
	cn.room = r
	if s := c.pool.Session(cn.session); s != nil {
		s.Room = placesOf(r)
	} else if c.sessions[cn.session] == cn {
		c.join(cn)
	}
	c.send(cn.id, func(f *rpc.FromMaster) { f.Room = r.Number })
}

// askForRoom tells workers that are shared with other masters how many more places this one could
// fill there: when it begins or ceases to matter, and when it has changed much.
func (c *Core) askForRoom() {
	if c.pool.Len() == 0 && !c.wants {
		return // nor was more asked for
	}
	c.wants = false
	for _, s := range c.pool.Sessions() {
		cn := c.sessions[s.ID]
		if cn == nil {
			continue
		}
		c.wants = c.wants || cn.wants != (dispatch.Places{}) // which is to be taken back, also if not now
		if !cn.room.GetShared() {
			continue
		}
		wants := c.pool.Wants(s)
		c.wants = c.wants || wants != (dispatch.Places{})
		if !matters(wants[dispatch.Process], cn.wants[dispatch.Process]) && !matters(wants[dispatch.Function], cn.wants[dispatch.Function]) {
			continue
		}
		cn.wants = wants
		c.send(cn.id, func(f *rpc.FromMaster) {
			f.Wants, f.WantsFunctions = new(int32(wants[dispatch.Process])), new(int32(wants[dispatch.Function]))
		})
	}
}

// matters tells whether a number of places is to be said again.
func matters(wants, said int) bool {
	return (wants == 0) != (said == 0) || wants >= 2*said+1 || 2*wants < said
}
