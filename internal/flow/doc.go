// Package flow is Baton's domain: the nouns every layer shares (workflow, instance, task,
// attempt, command, inbox item), their states with the transitions as data, and the error
// that crosses the edge to a person.
//
// It must not know who stores, sends, schedules or shows these things: it imports the
// standard library only, holds no clock, does no I/O and starts no goroutine.
package flow
