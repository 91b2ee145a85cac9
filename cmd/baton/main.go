// Command baton schedules and runs work on a fleet of machines: one program, all roles.
package main

import (
	"os"
	_ "time/tzdata" // zones must not depend on what the host has

	"baton/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System()))
}
