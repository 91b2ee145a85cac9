// Package cron tells when a schedule fires: cron expressions of two dialects, a
// span that repeats, or one instant, in a time zone, with a choice of what
// happens when its clocks are changed.
//
// An expression is compiled once into bit sets; a question jumps through them
// field by field, allocates nothing and ends after a bounded search whatever the
// expression says. A [Schedule] is immutable and safe for concurrent use.
//
// A [Calendar] says which days work. It is data that is handed in: the package has
// no holiday of its own. [Plan] puts a schedule under one; what is due on a day of
// rest is then left out, or moved to a day that works.
//
// What it must not know: the clock (every question brings its instant), stores,
// workflows, the holidays of any country, and whether anything that was due ran. It
// is pure: no clock, no I/O, no goroutine; time zones are handed in.
//
// Errors are of type [*Error], with the field, its place and a remedy.
package cron
