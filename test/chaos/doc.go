// Package chaos runs a cluster of real processes (masters, workers, apis, PostgreSQL and a
// registry), each in a network of its own, breaks them by a plan that a seed makes, and checks
// afterwards that nothing that was accepted is lost, doubled or stuck.
//
// Tasks write what they do into a ledger, a file that Baton does not know. The checker joins it with
// Baton's own history, as the API tells it.
//
//	make chaos                                   # the long form, with each registry
//	make chaos CHAOS='-registry etcd -seed 7'    # one of them again
//
// The same seed makes the same faults and the same load, not the same timing: real processes have
// their own. It must not know the inside of Baton, but for the clients of registries, of which it
// runs its own to hold names.
package chaos
