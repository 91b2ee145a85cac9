// Package master drives workflow instances: it takes commands, feeds events to the engine,
// commits what changed in groups, and carries the effects out: grants, kills, acknowledgements.
//
// Core is a reactor: Step(now, events) → effects on one goroutine, without clock, I/O or
// goroutine, so that a simulation can drive it under a seeded scheduler. Master is the thin shell
// around it that does the I/O and posts completions back as events.
//
// It must not know which database, registry or task types there are, how files are written, or
// who asks: it speaks Store, the wire and the engine.
package master
