// Package harness drives the real program in tests: it builds the binary once for a test process,
// starts standalone servers on folders and ports of their own, runs commands and reads answers.
//
// It must not know the inside of Baton, but where a standalone server has its store: what it reads is the contract (docs/cli.md), so a test
// written with it sees what a user sees.
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m.Run)) }
//
//	func TestHello(t *testing.T) {
//		t.Parallel()
//		s := harness.Start(t)
//		s.Apply(t, "name: hello\ntasks: {greet: {run: echo hello}}\n")
//		run := s.Run(t, "hello")
//		if run.State != "succeeded" { … }
//	}
package harness
