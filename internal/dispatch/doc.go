// Package dispatch decides which worker session gets what is ready: queues by worker group,
// slots, balance. It knows attempts by the row they belong to, not what they are for.
//
// It must not know workflows, how rows are stored or how frames are sent. It is pure and belongs
// to one goroutine: no clock, no I/O, no map order in a decision.
package dispatch
