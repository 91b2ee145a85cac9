// Package param gives texts their values: time placeholders `$[yyyyMMdd-1]`,
// references `${day}` and `${extract.count}`, expressions `${{ limit * 2 }}`,
// the declared parameters of a workflow, the order in which sources win, what
// of it reaches a script, the outputs a log line announces, and the conditions
// of joins, branches and loops.
//
// Everything is compiled once (for a workflow version) and evaluated often (for
// a task start). Compiled values are immutable and safe for concurrent use; a
// [Scope] is a cheap literal over maps that it never copies or changes. The
// work of an evaluation is bounded whatever the text says.
//
// What it must not know: the clock (a data time is given), the environment,
// files, the network, the store, YAML, secrets, and what an instance or a task
// is beyond the names and flags it is told. A secret never enters a Scope.
//
// Errors are of type [*Error], with a code, the byte offset and a remedy.
package param
