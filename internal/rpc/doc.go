// Package rpc is the wire between masters and workers: the messages of wire.proto and the two
// ends of the stream, over TCP or, in one process, over an in-memory connection.
//
// It must not know what an attempt is for, who decides, or who stores: it carries frames.
package rpc
