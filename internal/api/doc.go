// Package api is the HTTP face of Baton: one route table, a file per resource, an OpenAPI 3.1
// document made from both, problem+json errors, and live events.
//
// It decides nothing about runs: it checks who asks, records the wish durably, wakes a master and
// tells what became of it. It must not know which store, which wire or which task types there
// are; what it needs of each is an interface in this package.
package api
