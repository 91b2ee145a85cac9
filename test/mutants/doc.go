// Package mutants proves that the tests bite: it takes one guard at a time out of the product and
// expects the suite that watches over it to fail.
//
// A mutant is a change of one text in one file, put over the source for one build (go test
// -overlay), so nothing of it is ever in the tree. A text that is no longer there fails: a mutant
// that changes nothing would prove nothing.
package mutants
