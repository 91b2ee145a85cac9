// Failpoints exist in binaries built with the tag failpoint alone.

//go:build !failpoint

package cli

import (
	"baton/internal/api"
	"baton/internal/lookout"
	"baton/internal/master"
	"baton/internal/rpc"
)

func crashingMaster(s master.Store) master.Store { return s }

func crashingLookout(s lookout.Store) lookout.Store { return s }

func crashingAPI(s api.Store) api.Store { return s }

func crashingDialer(d rpc.Dialer) rpc.Dialer { return d }
