// Package sim runs masters and workers, the same reactors that production runs, under one seeded
// scheduler with virtual time: a model store with atomic batches and unknown outcomes, a network
// that breaks, disks that lose what was not synced, and crashes at every point where something is
// made durable. The same seed gives the same trace, byte for byte. At the end an outside ledger,
// written by the simulated tasks themselves, is joined with the store's rows and the invariants
// are checked.
//
// It must not decide anything the product decides: it hosts reactors and models what is around
// them.
package sim
