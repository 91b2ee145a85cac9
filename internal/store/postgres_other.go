//go:build !linux

package store

import (
	"syscall"
	"time"
)

// unacknowledged needs an option of Linux; elsewhere TCP gives up when it does.
func unacknowledged(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
