package proc

import (
	"slices"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	t.Parallel()
	all := map[int]process{1: {parent: 0}, 10: {parent: 1}, 11: {parent: 10}, 12: {parent: 11}, 20: {parent: 1}}
	got := tree(all, 10)
	slices.Sort(got)
	if !slices.Equal(got, []int{10, 11, 12}) {
		t.Errorf("tree of 10: %v", got)
	}
	if got := tree(all, 99); got != nil {
		t.Errorf("tree of a process that is not there: %v", got)
	}
}

// A child that ended still counts: its CPU moves to the parent that waited for it.
func TestCPUCountsWhatEnded(t *testing.T) {
	t.Parallel()
	p, err := Start(Spec{Name: "burn", Dir: t.TempDir(), Path: "/bin/sh", Args: []string{"-c", `
		sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo burnt; exec sleep 60`}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop(9, 0)
	for p.Tail() == "" {
		time.Sleep(5 * time.Millisecond)
	}
	if CPU(p.PID) <= 0 {
		t.Error("a child that ran a loop cost nothing")
	}
	if n, err := PSS(p.PID); err != nil || n <= 0 {
		t.Errorf("PSS %d, %v", n, err)
	}
}
