// Commands of the contract that this version does not have: they say so, each in the same way.

package cli

import (
	"github.com/spf13/cobra"

	"baton/internal/flow"
)

var later = []string{
	"alert", "import",
	"backup", "restore", "secret", "shards",
}

// laterKinds are what get will list.
var laterKinds = []string{"queues", "messages"}

func laterCommands() []*cobra.Command {
	out := make([]*cobra.Command, len(later))
	for i, name := range later {
		out[i] = notSupported(name)
	}
	return out
}

// notSupported takes any arguments and flags and answers not_supported with exit code 2.
func notSupported(name string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Hidden:             true,
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flow.Errorf(flow.CodeNotSupported, "", "%s is not supported by this version", called(cmd))
		},
	}
}
