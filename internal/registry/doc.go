// Package registry is where nodes announce themselves, see each other, and take leases on names.
// A folder beside it holds each backend; registrytest is the suite that all of them pass on real
// servers.
//
// A registry says who is *probably* alive, and how sure one may be of it (View.Since). It may be
// wrong: a node it has given up may still run, one it shows may be dead. What keeps a wrong guess
// harmless are the fences and the rows in the store, so nothing here needs to be trusted for
// safety, and losing the registry is no reason to exit: a client goes on trying, and announces
// itself again when it is back.
//
// It must not know what nodes do, what a run is, or how a dead node's work is taken over.
package registry
