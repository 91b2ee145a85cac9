// Runs that tasks of other runs began.

package chaos

const triggerParent = "sub_workflow"

// checkChildren: a task that runs a workflow began one run, in whatever way it was taken up again, and stands as that
// stands.
func (r *run) checkChildren(pasts []past) {
	byID := map[string]past{}
	for _, p := range pasts {
		byID[p.ID] = p
	}
	of := map[string]string{} // run → the task that began it
	for _, p := range pasts {
		first := map[string]string{}
		for _, t := range p.Tasks {
			if t.Child == "" {
				continue
			}
			r.looked(invChildren, 1)
			if other := first[t.Name]; other != "" && other != t.Child {
				r.violate(invChildren, p.ID, "task %s of run %s began runs %s and %s", t.Name, p.ID, other, t.Child)
			}
			first[t.Name] = t.Child
			of[t.Child] = t.Name
			child, there := byID[t.Child]
			switch {
			case !there:
				r.violate(invLost, p.ID, "task %s of run %s began run %s, which is not there", t.Name, p.ID, t.Child)
			case child.Parent == nil || child.Parent.Instance != p.ID || child.Trigger != triggerParent:
				r.violate(invChildren, p.ID, "task %s of run %s began run %s, which says that it was begun otherwise", t.Name, p.ID, t.Child)
			case t.Valid && t.State == "succeeded" && child.State != "succeeded",
				t.Valid && t.State == "failed" && t.Reason == "child_failed" && child.State != "failed":
				r.violate(invChildren, p.ID, "task %s of run %s is %s, its run %s is %s", t.Name, p.ID, t.State, t.Child, child.State)
			}
		}
	}
	for _, p := range pasts {
		if p.Trigger == triggerParent && of[p.ID] == "" {
			r.violate(invChildren, p.ID, "run %s of workflow %s was begun by a task, and none says so", p.ID, p.Workflow)
		}
	}
}
