// Package task is the contract of task types: what a type is called, which options it takes and
// how a worker runs it. A folder beside it holds each type; all/ is the list.
//
// It must not know workflows, instances, retries, masters or stores. A type sees one attempt: its
// options, rendered, its environment, its work folder and its log.
package task
