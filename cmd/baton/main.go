// Command baton schedules and runs work on a fleet of machines: one program, all roles.
package main

import (
	"os"

	"baton/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System()))
}
