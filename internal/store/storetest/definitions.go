// Projects, workflows, data sources, resources.

package storetest

import (
	"fmt"
	"sync"

	"baton/internal/flow"
)

func testVersions(w *world) {
	change := func(docs ...flow.Document) (out []string) {
		for _, a := range w.apply(docs...) {
			out = append(out, fmt.Sprint(a.Kind, " ", a.Project, "/", a.Name, " ", a.Version, " ", a.Change))
		}
		return out
	}
	w.same([]string{"Workflow p/x 1 created"}, change(workflow("p", "x", "a")))
	w.same([]string{"Workflow p/x 1 unchanged"}, change(workflow("p", "x", "a")))
	w.same([]string{"Workflow p/x 2 updated"}, change(workflow("p", "x", "a", "b")))
	options := func(text string) flow.Document {
		d := workflow("p", "x", "a")
		d.Workflow.Tasks[0].With = []byte(text)
		return d
	}
	w.same([]string{"Workflow p/x 3 updated"}, change(options(`{"a":1,"b":[2,{"c":3,"d":4}]}`)))
	w.same([]string{"Workflow p/x 3 unchanged"}, change(options(`{ "b": [2, {"d":4,"c":3}], "a": 1 }`)), "the order of keys says nothing")
	w.same([]string{"Workflow p/x 4 updated", "Workflow p/x 5 updated"}, change(options(`{"a":1.0}`), options(`{"a":9007199254740993}`)))
	w.same([]string{"Workflow p/x 6 updated"}, change(options(`{"a":9007199254740992}`)), "large numbers stay whole")

	d := must(w.db.Workflow(w.ctx, "p", "x", 2))(w)
	w.same([]any{int32(2), "x", "p", now, 2}, []any{d.Version, d.Name, d.Project, d.CreatedAt, len(d.Workflow.Tasks)})
	w.same(d, must(w.m.Definition(w.ctx, d.ID, 2))(w))
	w.same(int32(6), must(w.db.Workflow(w.ctx, "p", "x", 0))(w).Version)
	vs := must(w.db.Versions(w.ctx, "p", "x"))(w)
	w.same([]any{6, int32(6), int32(1)}, []any{len(vs), vs[0].Version, vs[5].Version})
	for _, err := range []error{
		second(w.db.Workflow(w.ctx, "p", "none", 0)), second(w.db.Workflow(w.ctx, "p", "x", 7)), second(w.m.Definition(w.ctx, d.ID, 7)),
		second(w.db.Versions(w.ctx, "p", "none")), second(w.db.Project(w.ctx, "none")),
	} {
		w.same(flow.CodeNotFound, flow.CodeOf(err), err)
	}
}

func second[T any](_ T, err error) error { return err }

func testRename(w *world) {
	before := must(w.db.Workflow(w.ctx, "p", "w", 0))(w)
	ch := w.run(0)
	d := workflow("p", "订单 daily", "a", "b")
	d.Workflow.RenamedFrom = "w"
	w.same([]flow.Applied{{Kind: "Workflow", Project: "p", Name: "订单 daily", Version: 2, Change: "updated"}}, w.apply(d))
	w.same("unchanged", w.apply(d)[0].Change, "the order stays in the file")
	after := must(w.db.Workflow(w.ctx, "p", "订单 daily", 0))(w)
	w.same(before.ID, after.ID)
	w.same(2, len(must(w.db.Versions(w.ctx, "p", "订单 daily"))(w)))
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Workflow(w.ctx, "p", "w", 0))))
	w.same("订单 daily", must(w.db.Instance(w.ctx, ch.Instance.ID))(w).WorkflowName)
	w.same("created", w.apply(workflow("p", "w", "a"))[0].Change, "the old name is free")
}

func testDefinitionLists(w *world) {
	project := func(p flow.Project) string { return w.apply(flow.Document{Project: &p})[0].Change }
	w.same("updated", project(flow.Project{Name: "p", Description: "d", Params: []flow.Pair{{Name: "k", Value: "v"}}}))
	w.same("unchanged", project(flow.Project{Name: "p", Description: "d", Params: []flow.Pair{{Name: "k", Value: "v"}}}))
	w.same("created", project(flow.Project{Name: "empty"}))
	w.same("updated", project(flow.Project{Name: "empty", Weight: 3}))
	empty := must(w.db.Project(w.ctx, "empty"))(w)
	w.same(3, empty.Weight)
	w.same(map[flow.ID]int{empty.ID: 3}, must(w.m.Heartbeat(w.ctx, []flow.Node{{Incarnation: w.me}}))(w).Settings.Weights)
	w.same([]flow.Pair{{Name: "k", Value: "v"}}, must(w.db.Workflow(w.ctx, "p", "w", 0))(w).ProjectParams)
	w.same("d", must(w.db.Project(w.ctx, "p"))(w).Description)
	var names []string
	for _, p := range must(w.db.Projects(w.ctx))(w) {
		names = append(names, p.Name)
	}
	w.same([]string{"empty", "p"}, names)

	w.apply(workflow("q", "a", "x"), workflow("q", "B", "x"), workflow("a", "z", "x"), workflow("p", "ä", "x"))
	want := []string{"a/z", "p/w", "p/ä", "q/B", "q/a"}
	var got []string
	for p, n := "", ""; ; {
		page := must(w.db.Workflows(w.ctx, "", 2, p, n))(w)
		for _, d := range page {
			got = append(got, d.Project+"/"+d.Name)
			p, n = d.Project, d.Name
		}
		if len(page) < 2 {
			break
		}
	}
	w.same(want, got, "by bytes, whatever the locale of the database")
	w.same(2, len(must(w.db.Workflows(w.ctx, "q", 10, "", ""))(w)))

	ds := flow.DataSource{Project: "p", Name: "dw", Type: "postgres", Host: "h", Port: 5432, Options: map[string]string{"a": "b"}, Password: &flow.Secret{Env: "PW"}}
	source := func() string { return w.apply(flow.Document{DataSource: &ds})[0].Change }
	w.same("created", source())
	w.same("unchanged", source())
	ds.Host = "h2"
	w.same("updated", source())
	list := must(w.db.DataSources(w.ctx, "p"))(w)
	list[0].ID = 0
	w.same([]flow.DataSource{ds}, list)
	w.same(1, len(must(w.db.DataSources(w.ctx, ""))(w)))
	w.same(0, len(must(w.db.DataSources(w.ctx, "q"))(w)))
}

// testApplyRace: concurrent applies lose nothing and leave no gap.
func testApplyRace(w *world) {
	const n = 6
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			for {
				_, err := w.db.Apply(w.ctx, []flow.Document{workflow("new", "x", fmt.Sprint("t", k)), workflow("new", fmt.Sprint("own", k), "a")}, now)
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
	w.same(n, len(must(w.db.Versions(w.ctx, "new", "x"))(w)))
	w.same(n+1, len(must(w.db.Workflows(w.ctx, "new", 50, "", ""))(w)))
}

func testApplyAtomic(w *world) {
	if _, err := w.db.Apply(w.ctx, []flow.Document{workflow("p", "half", "a"), {}}, now); err == nil {
		w.Error("an empty document was applied")
	}
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Workflow(w.ctx, "p", "half", 0))))
}

func testBlobs(w *world) {
	w.ok(w.db.PutBlob(w.ctx, "aa", []byte("x\x00\xff")))
	w.ok(w.db.PutBlob(w.ctx, "aa", []byte("x\x00\xff")))
	w.ok(w.db.PutBlob(w.ctx, "ee", nil))
	w.same([]string{"bb", "cc"}, must(w.db.MissingBlobs(w.ctx, []string{"cc", "aa", "bb", "cc", "ee"}))(w))
	w.same([]string{}, must(w.db.MissingBlobs(w.ctx, nil))(w))
	w.same([]byte("x\x00\xff"), must(w.db.Blob(w.ctx, "aa"))(w))
	w.same([]byte{}, must(w.db.Blob(w.ctx, "ee"))(w))
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Blob(w.ctx, "bb"))))
}
