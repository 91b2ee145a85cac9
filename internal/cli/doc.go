// Package cli is the command line: a file per command, one Config for all of them, and wire.go,
// which alone names the concrete store, engine, masters and workers.
//
// A command asks the server through the HTTP interface, as anybody could; it must not reach the
// store or a master behind its back. Only standalone, migrate and admin token, which run beside
// the store, do.
package cli
