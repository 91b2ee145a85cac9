// What the doctor looks at.

package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// doctor examines a deployment.
type doctor struct {
	config Config
	client *client
	found  findings

	nodes []api.Node
	skews map[string]time.Duration // of clocks, against this machine
	gone  map[string]bool          // masters at whose address nobody listens, by id
}

// From here on clocks that differ are told, and are an error. Leases do not hang on them.
const (
	skewWarns = time.Second
	skewFails = 10 * time.Second
	// askWithin bounds one question.
	askWithin = 5 * time.Second
	// mostWorkflows are read for their groups.
	mostWorkflows = 500
)

func (d *doctor) examine(ctx context.Context) {
	d.skews = map[string]time.Duration{}
	var masters findings
	if d.server(ctx) {
		before := d.found
		d.found = nil
		d.masters(ctx)
		masters, d.found = d.found, before // told below, and known from here on
		d.bury(ctx)
		d.fleet(ctx)
		if d.driven() {
			d.groups(ctx)
		}
		d.failovers(ctx)
		d.stray(ctx)
	}
	if d.config.given["store"] {
		d.store(ctx)
	}
	if d.config.given["registry"] {
		d.registry(ctx)
	}
	d.found = append(d.found, masters...)
	d.clocks()
	d.disk()
}

// driven tells whether a master is alive. Without one workers are lost after a while, through no fault of theirs.
func (d *doctor) driven() bool {
	return slices.ContainsFunc(d.nodes, func(n api.Node) bool {
		return n.State != flow.NodeLost && (n.Role == flow.RoleMaster || n.Role == flow.RoleStandalone)
	})
}

// question runs one with a limit of its own.
func question[T any](ctx context.Context, d *doctor, r request) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	got, err := ask[T](ctx, d.client, r)
	return got.Value, err
}

// server tells whether there is one that lets us in.
func (d *doctor) server(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	sent := time.Now()
	res, err := d.client.send(limited, read("/version", nil))
	if err != nil {
		d.found.fail("server", "start it, or name another one with --server", "%v", err)
		return false
	}
	defer res.Body.Close()
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		d.skews["server"] = wholeSeconds(at, sent, time.Now())
	}
	var v api.Version
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		d.found.fail("server", "is this the address of a Baton?", "%s does not answer as Baton does: %v", d.client.to.url, err)
		return false
	}
	if v.Version != programVersion() {
		d.found.warn("server", "use the program of the server's version", "%s runs %s, this program is %s", d.client.to.url, v.Version, programVersion())
	} else {
		d.found.ok("server", "%s runs %s, as this program", d.client.to.url, v.Version)
	}
	page, err := question[api.List[api.Node]](ctx, d, read("/nodes", nil))
	if err != nil && flow.CodeOf(err) != flow.CodeUnauthorized {
		d.found.fail("nodes", "is its store there? See its log and /readyz", "%v", err)
		return false
	}
	if err != nil {
		d.found.fail("token", "make one with `baton admin token create`, and give it with --token or BATON_TOKEN", "%v", err)
		return false
	}
	d.nodes = page.Items
	return true
}

// wholeSeconds is how far a clock is ahead that was read to the second, between two moments here; what
// may be rounding counts as none.
func wholeSeconds(at, sent, got time.Time) time.Duration {
	switch {
	case at.After(got):
		return at.Sub(got)
	case at.Add(time.Second).Before(sent):
		return at.Add(time.Second).Sub(sent)
	}
	return 0
}

// bury takes masters for lost that are: nobody listens at their address, and they are silent. When all have died
// nobody is left to declare it before their leases are over.
func (d *doctor) bury(ctx context.Context) {
	if len(d.gone) == 0 {
		return
	}
	s, err := question[api.Setting](ctx, d, read(path("settings", api.SettingLease), nil))
	if err != nil {
		return // told by leases
	}
	lease, err := flow.ParseDuration(s.Value)
	now := flow.At(time.Now().Add(d.skews["server"]))
	for i, n := range d.nodes {
		if err == nil && d.gone[n.ID] && n.LeaseUntil.Sub(now) < lease.Std()/2 {
			d.nodes[i].State = flow.NodeLost
		}
	}
}

// fleet looks at who is there, which versions run, and how old heartbeats are.
func (d *doctor) fleet(ctx context.Context) {
	live := map[string]int{}
	versions := map[string][]string{}
	var draining, lost []string
	drained := map[string]int{}
	for _, n := range d.nodes {
		switch n.State {
		case flow.NodeLost:
			if !slices.ContainsFunc(d.nodes, func(o api.Node) bool { return o.State != flow.NodeLost && o.Role == n.Role && o.Name == n.Name }) {
				lost = append(lost, n.Role+" "+n.Name) // else it is back
			}
			continue
		case flow.NodeDraining:
			draining = append(draining, n.Role+" "+n.Name)
			drained[n.Role]++
		}
		live[n.Role]++
		versions[n.Version] = append(versions[n.Version], n.Name)
	}
	masters, workers := live[flow.RoleMaster]+live[flow.RoleStandalone], live[flow.RoleWorker]
	text := fmt.Sprintf("%s, %s, %d api", counted(masters, "master"), counted(workers, "worker"), live[flow.RoleAPI])
	gone := ""
	if len(lost) > 0 {
		gone = "; lost: " + strings.Join(lost, ", ")
	}
	switch {
	case masters == 0:
		d.found.fail("nodes", "start one with `baton master --store …`, the store and the registry of this server: without a master nothing begins, and workers end what they run",
			"no master is alive (%s%s)", text, gone)
	case workers == 0:
		d.found.warn("nodes", "start a worker: tasks wait", "%s", text)
	case len(lost) > 0:
		d.found.warn("nodes", "they were live within the last hour; start them again if that was not meant", "%s%s", text, gone)
	default:
		d.found.ok("nodes", "%s", text)
	}
	if masters > 0 && drained[flow.RoleMaster]+drained[flow.RoleStandalone] == masters {
		d.found.fail("drained", "`baton undrain NODE` has it take work again", "every master is drained: no run begins (%s)", strings.Join(draining, ", "))
	} else if len(draining) > 0 {
		d.found.warn("drained", "`baton undrain NODE` has it take work again", "%s", strings.Join(draining, ", "))
	}
	if len(versions) > 1 {
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			parts = append(parts, v+": "+strings.Join(versions[v], ", "))
		}
		d.found.warn("versions", "bring all nodes to one version", "%s", strings.Join(parts, "; "))
	} else if len(versions) == 1 {
		d.found.ok("versions", "all nodes run the same")
	}
	d.names()
	d.leases(ctx)
}

// names looks for nodes that people cannot tell apart.
func (d *doctor) names() {
	count := map[string]int{}
	for _, n := range d.nodes {
		if n.State != flow.NodeLost {
			count[n.Role+" "+n.Name]++
		}
	}
	var twice []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if count[name] > 1 {
			twice = append(twice, fmt.Sprintf("%s (%d nodes)", name, count[name]))
		}
	}
	if len(twice) > 0 {
		d.found.warn("names", "give each a --name of its own: lists and logs cannot tell them apart", "%s", strings.Join(twice, ", "))
	}
}

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (d *doctor) leases(ctx context.Context) {
	s, err := question[api.Setting](ctx, d, read(path("settings", api.SettingLease), nil))
	if err != nil {
		d.found.fail("leases", "", "%v", err)
		return
	}
	length, err := flow.ParseDuration(s.Value)
	if err != nil {
		d.found.fail("leases", "`baton cluster set lease 10s`", "lease %q is no duration", s.Value)
		return
	}
	lease := length.Std()
	// By the clock of the database, as far as the server's tells it.
	now := flow.At(time.Now().Add(d.skews["server"]))
	oldest, whose := time.Duration(0), ""
	for _, n := range d.nodes {
		if n.State == flow.NodeLost || n.Role == flow.RoleWorker && !d.driven() { // masters renew the leases of workers
			continue
		}
		if age := lease - n.LeaseUntil.Sub(now); age > oldest {
			oldest, whose = age, n.Role+" "+n.Name
		}
	}
	text := fmt.Sprintf("%s; the oldest heartbeat is %s old (%s)", s.Value, span(oldest), whose)
	switch {
	case whose == "":
		d.found.ok("leases", "%s", s.Value)
	case oldest > lease*2/3:
		d.found.warn("leases", "that node hardly reaches the store, or its machine is overloaded: see its log", "%s", text)
	default:
		d.found.ok("leases", "%s", text)
	}
}

// groups compares what workers serve with what workflows ask for.
func (d *doctor) groups(ctx context.Context) {
	served := map[string]int{}
	for _, n := range d.nodes {
		if n.Role == flow.RoleWorker && n.State != flow.NodeLost {
			for _, g := range n.Groups {
				served[g]++
			}
		}
	}
	page, err := question[api.List[api.Workflow]](ctx, d, read("/workflows", url.Values{"limit": {strconv.Itoa(mostWorkflows)}}))
	if err != nil {
		d.found.fail("groups", "", "%v", err)
		return
	}
	named := map[string]string{}
	for _, w := range page.Items {
		got, err := question[api.Workflow](ctx, d, read(path("projects", w.Project, "workflows", w.Name), nil))
		var def flow.Workflow
		if err != nil || json.Unmarshal(got.Definition, &def) != nil {
			continue // deleted meanwhile
		}
		for _, t := range def.AllTasks() {
			named[def.GroupOf(t, flow.Start{})] = placeOf(w.Project, w.Name)
		}
	}
	var unserved, unused []string
	for _, g := range slices.Sorted(maps.Keys(named)) {
		if served[g] == 0 {
			unserved = append(unserved, fmt.Sprintf("%s (workflow %s)", g, named[g]))
		}
	}
	for _, g := range slices.Sorted(maps.Keys(served)) {
		if named[g] == "" && len(named) > 0 {
			unused = append(unused, g)
		}
	}
	if len(unserved) > 0 {
		d.found.warn("groups", "start a worker with --groups of these, or change the workflows", "no worker serves %s", strings.Join(unserved, ", "))
	}
	if len(unused) > 0 {
		d.found.warn("groups", "their workers wait for tasks that no workflow has", "no workflow names %s", strings.Join(unused, ", "))
	}
	if len(unserved) == 0 && len(unused) == 0 {
		d.found.ok("groups", "every group that a workflow names is served")
	}
}

func (d *doctor) failovers(ctx context.Context) {
	page, err := question[api.List[api.Failover]](ctx, d, read("/failovers", url.Values{"limit": {"100"}}))
	if err != nil {
		d.found.fail("failovers", "", "%v", err)
		return
	}
	recent, open := 0, 0
	for _, f := range page.Items {
		if time.Since(f.DiedAt.Std()) < time.Hour {
			recent++
		}
		if f.DoneAt == 0 {
			open++
		}
	}
	switch {
	case open > 0:
		d.found.warn("failovers", "`baton get failovers` shows whose; another master hands its runs on as soon as one takes work", "%d in the last hour; of %d not everything is handed on", recent, open)
	case recent > 0:
		d.found.warn("failovers", "`baton get failovers` says why", "%d in the last hour", recent)
	default:
		d.found.ok("failovers", "none in the last hour")
	}
}

// stray reads what the server counts: rows that could hang.
func (d *doctor) stray(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.client.to.url+"/metrics", nil)
	if err != nil {
		return
	}
	res, err := d.client.http.Do(req)
	if err != nil {
		d.found.warn("rows", "", "the server's metrics cannot be read: %v", err)
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if n, counted := strings.CutPrefix(lines.Text(), "baton_stray_rows "); counted {
			d.strayRows(n)
			return
		}
	}
}

func (d *doctor) strayRows(n string) {
	if n != "0" {
		d.found.fail("rows", "please report this defect; `baton explain` of the runs that do not go on helps", "%s rows wait without a reason or a next check", n)
		return
	}
	d.found.ok("rows", "everything that waits has a reason")
}

// masters asks each master at its address who it is and what time it is there.
func (d *doctor) masters(ctx context.Context) {
	creds, _, err := credentialsOf(d.config)
	if err != nil {
		d.found.fail("masters", "", "%v", err)
		return
	}
	d.gone = map[string]bool{}
	asked, alone := 0, false
	var closed []string // to who has no TLS
	for _, n := range d.nodes {
		alone = alone || n.Role == flow.RoleStandalone && n.State != flow.NodeLost
		if n.Role != flow.RoleMaster || n.State == flow.NodeLost || n.Address == "" {
			continue
		}
		asked++
		conn, err := rpc.Dial(n.Address, creds)
		if err != nil {
			d.found.warn("masters", "check --advertise of that master", "%s at %s: %v", n.Name, n.Address, err)
			continue
		}
		limited, cancel := context.WithTimeout(ctx, askWithin)
		sent := time.Now()
		id, err := rpc.NewPeersClient(conn).Probe(limited, &rpc.ProbeRequest{})
		took := time.Since(sent)
		cancel()
		_ = conn.Close()
		fault := rpc.TLSFault(err)
		switch {
		case fault != "" && creds == nil:
			closed = append(closed, n.Name+" at "+n.Address)
		case fault != "":
			found, remedy := cutRemedy(fault)
			d.found.fail("masters", remedy, "%s: %s", n.Name, found)
		case rpc.NobodyListens(err):
			d.gone[n.ID] = true
			d.found.warn("masters", "start it again, or check --advertise of that master", "%s does not answer at %s: nobody listens there", n.Name, n.Address)
		case err != nil:
			d.found.warn("masters", "workers and other masters must reach it there; from here it may be meant to be out of reach", "%s does not answer at %s: %v", n.Name, n.Address, err)
		case strconv.FormatInt(id.GetIncarnation(), 10) != n.ID:
			d.found.warn("masters", "check --advertise: two nodes advertise one address", "at %s answers %s, not %s", n.Address, id.GetName(), n.Name)
		case !id.GetStoreOk():
			d.found.fail("masters", "see its log: it cannot reach the store", "%s says that the store does not answer it", n.Name)
		default:
			d.found.ok("masters", "%s answers at %s", n.Name, n.Address)
		}
		if id.GetNow() != 0 {
			d.skews["master "+n.Name] = time.UnixMicro(id.GetNow()).Sub(sent.Add(took / 2))
		}
	}
	if len(closed) > 0 {
		d.found.warn("masters", "give --tls-cert, --tls-key and --tls-ca, as a node of the cluster has them",
			"cannot be examined, for they take TLS only and this command was given none: %s", strings.Join(closed, ", "))
	}
	if asked == 0 && alone {
		d.found.ok("masters", "a standalone server has no address for other nodes")
	}
}

// cutRemedy parts what is wrong from what to do, which stands behind the last colon.
func cutRemedy(text string) (found, remedy string) {
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[:i], text[i+2:]
	}
	return text, ""
}

// clocks compares all clocks that were seen with this machine's.
func (d *doctor) clocks() {
	worst, whose := time.Duration(0), ""
	for _, who := range slices.Sorted(maps.Keys(d.skews)) {
		if s := d.skews[who].Abs(); s >= worst {
			worst, whose = s, who
		}
	}
	const remedy = "let NTP set the clocks. Leases do not hang on them; dates in parameters and the times that are shown do"
	switch {
	case whose == "":
	case worst >= skewFails:
		d.found.fail("clocks", remedy, "the clock of %s differs from this machine's by %s", whose, span(worst))
	case worst >= skewWarns:
		d.found.warn("clocks", remedy, "the clock of %s differs from this machine's by %s", whose, span(worst))
	default:
		d.found.ok("clocks", "%d compared, less than %s apart", len(d.skews)+1, skewWarns)
	}
}

// disk looks at the data folder of a node on this machine, if there is one. What is free where the others are only
// they know: a worker without room says so itself.
func (d *doctor) disk() {
	var st syscall.Statfs_t
	used := slices.ContainsFunc([]string{d.config.Data, filepath.Join(d.config.Data, "worker")}, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, lockFile))
		return err == nil
	})
	if !used || syscall.Statfs(d.config.Data, &st) != nil || st.Blocks == 0 {
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	share := 100 * st.Bavail / st.Blocks
	text := fmt.Sprintf("%s on this machine has %d MiB free (%d%%)", d.config.Data, free>>20, share)
	switch {
	case share < 2 || free < 200<<20:
		d.found.fail("disk", "make room: a full disk stops commits and logs", "%s", text)
	case share < 10:
		d.found.warn("disk", "make room before it is full", "%s", text)
	default:
		d.found.ok("disk", "%s", text)
	}
}
