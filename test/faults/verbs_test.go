package faults

import (
	"testing"

	"baton/test/harness"
)

func TestWrongOrders(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, `
name: done
tasks: {a: {run: echo a}}
---
name: slow
tasks: {a: {run: "while [ ! -e ../go ]; do sleep 0.05; done"}}
`)
	done := s.Run(t, "done").ID
	slow := s.Begin(t, "slow").ID
	until(t, s, slow, "running")
	s.Must(t, "run", "done", "--key", "k")

	unauthorized := fault{4, "unauthorized", []string{"--token", "BATON_TOKEN", "--data"}}
	refused(t, s, unauthorized, "get", "instances", "--token", "wrong")
	refused(t, s, unauthorized, "get", "instances", "--server", s.URL, "--data", "elsewhere")

	refused(t, s, fault{3, "not_found", []string{"no run 123"}}, "get", "instance", "123")
	refused(t, s, fault{3, "not_found", []string{"no run 123"}}, "stop", "123")
	refused(t, s, fault{3, "not_found", []string{"no run 123"}}, "logs", "123", "a")
	refused(t, s, fault{2, "bad_request", []string{`"abc" is not an id`}}, "get", "instance", "abc")
	refused(t, s, fault{3, "not_found", []string{`no workflow "nothing"`}}, "run", "nothing")
	for _, args := range [][]string{{"logs", done, "b"}, {"task", "retry", done, "b"}, {"task", "kill", slow, "b"}, {"explain", done, "b"}, {"get", "attempts", done, "b"}} {
		refused(t, s, fault{3, "not_found", []string{`no task "b"`}}, args...)
	}

	conflict := func(words ...string) fault { return fault{5, "conflict", words} }
	refused(t, s, conflict("is succeeded", "only a paused one"), "resume", done)
	refused(t, s, conflict("is succeeded", "only a running one"), "pause", done)
	refused(t, s, conflict("has succeeded", "rerun"), "recover", done)
	refused(t, s, conflict("not quarantined"), "release", done)
	refused(t, s, conflict("baton recover"), "task", "retry", done, "a")
	refused(t, s, conflict("is running", "stop it first"), "recover", slow)
	refused(t, s, conflict("is running", "stop it first"), "rerun", slow)
	refused(t, s, conflict(`key "k"`, "other parameters"), "run", "done", "--key", "k", "-p", "a=b")

	refused(t, s, fault{124, "timeout", []string{"not at rest after 100ms"}}, "wait", slow, "--timeout", "100ms")
	refused(t, s, fault{1, "unavailable", []string{"no server answers at http://127.0.0.1:1", "address from --server"}}, "get", "instances", "--server", "127.0.0.1:1")

	s.Must(t, "stop", slow)
	until(t, s, slow, "stopped")
	healthy(t, s)
}
