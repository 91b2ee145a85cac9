// The network between the nodes, which can be cut.

package chaos

import (
	"context"
	"net"
)

// network connects nodes. Every node has one server at most. Names are those of nodes; outside is
// the test itself, which is never cut off.
type network interface {
	// add makes a place for a node.
	add(name string) error
	// listen is the host:port that the node's server listens at.
	listen(name string) string
	// address is the host:port that the other nodes reach it at.
	address(name string) string
	// enter moves the calling thread to where the node is.
	enter(name string) func() error
	// dial connects from outside.
	dial(ctx context.Context, address string) (net.Conn, error)
	// cut makes what from sends to to vanish, until heal. Nobody is told.
	cut(from, to string) error
	heal() error
	close() error
	// kind tells people what it is.
	kind() string
}

const outside = "outside"
