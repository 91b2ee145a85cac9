// Why: what everything that could not be placed waits for.

package dispatch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// cause is why nothing of a queue can be placed.
type cause uint8

const (
	causeFree     cause = iota // something can
	causeNobody                // no worker is connected at all
	causeGroup                 // none of the group
	causeType                  // none of the group with the type
	causeDraining              // all of these take nothing new
	causeBusy                  // some of these take nothing for now, and the places of the others are taken
	causeFull                  // all their places are taken, or refused
)

// view is who could run what waits in a queue.
type view struct {
	inGroup, able, willing int // sessions
	slots                  int
	nobody, free           bool
	// The first of those in the group without the type, of those that refuse, and of the overloaded ones.
	unable, refusing, overloaded *Session
}

func (p *Pool) view(group, typ string) (v view) {
	k := p.kind(typ)
	v.nobody = len(p.sessions) == 0
	for _, s := range p.sessions {
		if !slices.Contains(s.Groups, group) {
			continue
		}
		v.inGroup++
		if !s.runs(typ) {
			v.unable = cmp.Or(v.unable, s)
			continue
		}
		v.able++
		if s.Draining {
			continue
		}
		v.willing++
		v.slots += s.Slots[s.lane(k)]
		v.free = v.free || s.free(k)
		if s.Overloaded != "" {
			v.overloaded = cmp.Or(v.overloaded, s)
		}
		if s.Refusal != "" {
			v.refusing = cmp.Or(v.refusing, s)
		}
	}
	return v
}

func (v *view) cause() cause {
	switch {
	case v.nobody:
		return causeNobody
	case v.inGroup == 0:
		return causeGroup
	case v.able == 0:
		return causeType
	case v.willing == 0:
		return causeDraining
	case v.free:
		return causeFree
	case v.overloaded != nil:
		return causeBusy
	default:
		return causeFull
	}
}

// Why says why nothing of a group and type can be placed now.
func (p *Pool) Why(group, typ string) string {
	v := p.view(group, typ)
	switch v.cause() {
	case causeNobody:
		return fmt.Sprintf("%s: no worker is connected; the task needs one of group %q", flow.ReasonNoWorker, group)
	case causeGroup:
		return fmt.Sprintf("%s: no worker serves group %q; the groups served are %s", flow.ReasonNoWorker, group, strings.Join(p.groups(), ", "))
	case causeType:
		return fmt.Sprintf("%s: no worker of group %q has type %q, such as %s, which has %s; it goes on when one with it joins",
			flow.ReasonNoWorker, group, typ, v.unable.Name, strings.Join(v.unable.Types, ", "))
	case causeDraining:
		return fmt.Sprintf("%s: every worker of group %q is draining", flow.ReasonNoWorker, group)
	case causeBusy:
		return fmt.Sprintf("%s: no place on the %d workers of group %q: worker %s takes nothing now: %s; it goes on when that is over",
			flow.ReasonNoSlot, v.willing, group, v.overloaded.Name, v.overloaded.Overloaded)
	case causeFree, causeFull:
	}
	if v.refusing != nil {
		return fmt.Sprintf("%s: no place on the %d workers of group %q: worker %s takes nothing now (%s), and is asked again after a while",
			flow.ReasonNoSlot, v.willing, group, v.refusing.Name, v.refusing.Refusal)
	}
	return fmt.Sprintf("%s: all %d places of the %d workers of group %q are taken; it goes on when one is free", flow.ReasonNoSlot, v.slots, v.willing, group)
}

// WhyOf is Why for one item: it also says when the item's project has its share, and others go first for that.
func (p *Pool) WhyOf(it Item) string {
	v := p.view(it.Group, it.Type)
	why := p.Why(it.Group, it.Type)
	s := p.shares[shareKey{it.Group, it.Project}]
	if v.cause() != causeFull || s == nil || s.held == 0 || !p.behind(s, it.level()) {
		return why
	}
	return fmt.Sprintf("%s; its project has its share, %d: tasks of projects that have less for their weight go first", why, s.held)
}

// behind tells whether something of another project waits in the group that goes before what a project has there of a
// level.
func (p *Pool) behind(s *share, level int) bool {
	for _, q := range p.queues {
		if q.group != s.key.group {
			continue
		}
		for _, ln := range q.levels[level].lines {
			if ln.share != s && ln.share.before(s, false) {
				return true
			}
		}
	}
	return false
}

// Ask has Untold return an item that waits already.
func (p *Pool) Ask(it Item) { p.fresh = append(p.fresh, it) }

// Untold returns items that wait and whose reason to wait is to be told: those enqueued or asked about
// since the last call, and at most most of those whose cause has changed since they were told. It is how a
// caller tells each waiting row why it waits, once for every cause and not for every change of a
// number.
func (p *Pool) Untold(most int) []Item {
	for _, q := range p.queues {
		if q.waiting == 0 {
			continue
		}
		v := p.view(q.group, q.typ)
		if is := v.cause(); is != q.told && is != causeFree {
			if q.told != causeFree {
				q.each(func(it Item) { p.retold = append(p.retold, it) })
			}
			q.told = is
		}
	}
	var out []Item
	add := func(it Item) {
		if _, placed := p.held[it.Task]; !placed {
			out = append(out, it)
		}
	}
	for _, it := range p.fresh {
		add(it)
	}
	p.fresh = nil
	for most += len(out); len(p.retold) > 0 && len(out) < most; p.retold = p.retold[1:] {
		add(p.retold[0])
	}
	if len(p.retold) == 0 {
		p.retold = nil
	}
	return out
}

func (p *Pool) groups() []string {
	var out []string
	for _, s := range p.sessions {
		for _, g := range s.Groups {
			if i, found := slices.BinarySearch(out, g); !found {
				out = slices.Insert(out, i, g)
			}
		}
	}
	return out
}
