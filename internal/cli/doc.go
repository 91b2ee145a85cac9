// Package cli is the command line: a file per command, one Config for all of them; run*.go put the
// roles together, and wire.go alone names the concrete stores and registries that they stand on.
//
// A command asks the server through the HTTP interface, as anybody could; it must not reach the
// store or a master behind its back. Only the roles, migrate, admin token and doctor, which run beside
// the store, do.
package cli
