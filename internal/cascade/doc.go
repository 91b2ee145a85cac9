// Package cascade tells which workflows depend on another, over how many steps, and for which data times they are run
// when that one is run for many.
//
// It knows definitions, schedules and windows. What it must not know: runs, and how anything depends on how they went;
// where definitions come from; when it is. It is pure: the same question has the same answer.
package cascade
