// Package engine is the one place that decides about a run: Apply takes an instance's state and
// one event (command taken, attempt started, attempt ended, timer due, worker lost, verb given)
// and changes the state; what changed is taken as a flow.Change to be committed, and what has to
// be done after the commit as Effects.
//
// It must not know how rows are stored, how workers are reached, who owns what, or what time it
// is: no clock, no I/O, no goroutine, no decision that depends on the order of a map. The state is
// a cache of committed rows: whoever cannot commit a change drops the state and loads it again.
package engine
