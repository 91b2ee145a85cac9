// Package reasons provokes every reason to wait from outside, as a user's workflows and faults of machines do, and reads
// what people are told: `baton get` and `baton explain` must say what something waits for and, where time ends it, when.
//
// Nothing may wait for a reason that is not here. The sentences are read from the source (sentences_test.go): one that no
// case has seen fails the test, and so does a code that flow.Waits does not list.
package reasons
