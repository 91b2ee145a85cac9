// Package product builds Baton, runs it and drives it as a user would: through its API.
//
// It must not import Baton: what is measured is the program, with its default settings.
package product

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build makes the program as `make build` does, in a folder of ours.
func Build(ctx context.Context, repository, dir string) (string, error) {
	path := filepath.Join(dir, "baton")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/baton")
	cmd.Dir, cmd.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build baton: %w: %s", err, out)
	}
	return path, nil
}
