// Package client is what a client of any registry decides: when it renews, when a session counts
// as lost, what it announces again, and what it may say it has seen. Keeper and Sight are pure,
// they are told the time and what happened and answer with what is to be done; Client is the thin
// shell that carries it out on a Backend.
//
// It must not know a protocol: how a lease is kept, a name locked and a change heard of is the
// backend's affair.
package client
