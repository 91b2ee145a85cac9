// Environments and worker groups.

package storetest

import (
	"fmt"
	"sync"

	"baton/internal/flow"
)

func environment(name string, vars ...string) flow.Document {
	e := &flow.Environment{Name: name}
	for _, v := range vars {
		e.Env = append(e.Env, flow.EnvVar{Name: v, Value: "1"})
	}
	return flow.Document{Environment: e}
}

func testEnvironments(w *world) {
	full := flow.Document{Environment: &flow.Environment{
		Name: "spark3", Description: "Spark 每日", Env: []flow.EnvVar{{Name: "A", Value: "a\nb"}, {Name: "B", Secret: &flow.Secret{File: "/x"}}},
		Script: "export X=1\n", Groups: []string{"spark", "dw"},
	}}
	apply := func(d flow.Document, at flow.Time) flow.Applied {
		return must(w.db.Apply(w.ctx, []flow.Document{d}, at))(w)[0]
	}
	w.same(flow.Applied{Kind: "Environment", Name: "spark3", Version: 1, Change: "created"}, apply(environment("spark3", "A"), now))
	w.same(flow.Applied{Kind: "Environment", Name: "spark3", Version: 1, Change: "unchanged"}, apply(environment("spark3", "A"), now+1))
	w.same(flow.Applied{Kind: "Environment", Name: "spark3", Version: 2, Change: "updated"}, apply(full, now+10))
	apply(environment("python"), now)

	want := *full.Environment
	want.Version, want.ChangedAt = 2, now+10
	w.same(want, must(w.m.Environment(w.ctx, "spark3"))(w), "the newest, at once")
	all := must(w.db.Environments(w.ctx))(w)
	w.same([]string{"python", "spark3"}, []string{all[0].Name, all[1].Name})
	w.same(want, all[1])

	w.same(int32(1), must(w.db.EnvironmentAt(w.ctx, "spark3", now+9))(w).Version)
	w.same(int32(2), must(w.db.EnvironmentAt(w.ctx, "spark3", now+10))(w).Version)
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.EnvironmentAt(w.ctx, "spark3", now-1))))
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.EnvironmentAt(w.ctx, "none", now))))

	_, err := w.m.Environment(w.ctx, "spark4")
	w.same(flow.CodeNotFound, flow.CodeOf(err))
	w.same(`there is no environment "spark4"; did you mean "spark3"?`, err.Error())
	_, err = w.m.Environment(w.ctx, "zzz")
	w.same(`there is no environment "zzz"`, err.Error())
}

func testEnvironmentRace(w *world) {
	const n = 6
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			for {
				_, err := w.db.Apply(w.ctx, []flow.Document{environment("e", fmt.Sprint("V", k)), {WorkerGroup: &flow.WorkerGroup{Name: "g", Description: fmt.Sprint(k)}}}, now)
				if flow.CodeOf(err) == flow.CodeConflict && err != nil {
					continue // others were faster five times
				}
				if err != nil {
					w.Error(err)
				}
				return
			}
		})
	}
	group.Wait()
	w.same(int32(n), must(w.m.Environment(w.ctx, "e"))(w).Version)
	w.same(1, len(must(w.db.WorkerGroups(w.ctx))(w)))
}

func testWorkerGroups(w *world) {
	g := func(name, about string) flow.Document {
		return flow.Document{WorkerGroup: &flow.WorkerGroup{Name: name, Description: about}}
	}
	w.same([]flow.Applied{
		{Kind: "WorkerGroup", Name: "spark", Change: "created"}, {Kind: "WorkerGroup", Name: "批处理", Change: "created"},
	}, w.apply(g("spark", ""), g("批处理", "x")))
	w.same([]flow.Applied{{Kind: "WorkerGroup", Name: "spark", Change: "unchanged"}}, w.apply(g("spark", "")))
	w.same([]flow.Applied{{Kind: "WorkerGroup", Name: "spark", Change: "updated"}}, w.apply(g("spark", "Machines with Spark")))
	w.same([]flow.WorkerGroup{{Name: "spark", Description: "Machines with Spark"}, {Name: "批处理", Description: "x"}}, must(w.db.WorkerGroups(w.ctx))(w))
}
