// What the doctor finds in store and registry, from beside the server.

package cli

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// storeRemedy is what to do when the error of a store does not say so itself.
func storeRemedy(err error) string {
	if known, ok := errors.AsType[*flow.Error](err); ok && known.Field == "store" {
		return ""
	}
	return "check --store, and PGPASSWORD if the password is not in it"
}

// store looks at the schema, the clock and the rows of the store itself. It migrates nothing.
func (d *doctor) store(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	steps, err := migrations(limited, d.config)
	if err != nil {
		d.found.fail("store", storeRemedy(err), "%v", err)
		return
	}
	missing := 0
	for _, s := range steps {
		if !s.Applied {
			missing++
		}
	}
	if missing > 0 {
		d.found.fail("store", "`baton migrate up`", "%d of %d steps of the schema are missing", missing, len(steps))
		return
	}
	db, err := openStoreAsIs(limited, d.config)
	if err != nil {
		d.found.fail("store", storeRemedy(err), "%v", err)
		return
	}
	defer func() { _ = db.Close() }() // nothing was written
	sent := time.Now()
	command, inbox, now, err := db.Waits(limited)
	if err != nil {
		d.found.fail("store", storeRemedy(err), "%v", err)
		return
	}
	took := time.Since(sent)
	d.skews["database"] = now.Std().Sub(sent.Add(took / 2))
	if known, err := db.Nodes(limited, ""); err == nil && !d.knownTo(known) {
		d.found.fail("store", "give --store as the settings of the server's masters do", "this is another store than that of %s: it knows none of its nodes", d.client.to.url)
		return
	}
	d.found.ok("store", "schema %d, answers in %s", len(steps), span(took))
	if age := max(since(command, now), since(inbox, now)); age > 10 {
		d.found.warn("waiting", "are there masters, and do they keep up? See baton_queue_length and baton_commit_seconds of /metrics", "an order waits for a master since %.0f s", age)
	}
	if n, err := db.Stray(limited); err == nil && len(d.nodes) == 0 {
		d.strayRows(strconv.Itoa(n))
	}
}

// knownTo tells whether the store that has these nodes may be that of the server.
func (d *doctor) knownTo(known []flow.Node) bool {
	live := 0
	for _, n := range d.nodes {
		if n.State == flow.NodeLost {
			continue
		}
		live++
		if slices.ContainsFunc(known, func(k flow.Node) bool {
			return strconv.FormatInt(k.Incarnation, 10) == n.ID && k.Role == n.Role && k.Name == n.Name && k.StartedAt == n.StartedAt
		}) {
			return true
		}
	}
	return live == 0
}

// registry looks whether it answers, and whether it shows the masters that the server knows.
func (d *doctor) registry(ctx context.Context) {
	if kind, _, _ := strings.Cut(d.config.Registry, "://"); kind == "sql" || kind == "master" {
		return
	}
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	reg, err := openRegistry(limited, d.config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		d.found.fail("registry", "check --registry", "%v", err)
		return
	}
	defer func() { _ = reg.Close() }() // nothing was announced
	for v := range reg.Watch(limited) {
		if v.Since == 0 {
			continue
		}
		var unseen []string
		for _, n := range d.nodes {
			id, _ := strconv.ParseInt(n.ID, 10, 64)
			if _, shown := v.Find(id); !shown && n.Role == flow.RoleMaster && n.State != flow.NodeLost {
				unseen = append(unseen, n.Name)
			}
		}
		if len(unseen) > 0 {
			d.found.fail("registry", "give all masters of a store the same --registry", "it answers, and does not show %s", strings.Join(unseen, ", "))
			return
		}
		d.found.ok("registry", "it answers and shows %s", counted(len(v.OfRole(flow.RoleMaster)), "master"))
		return
	}
	d.found.fail("registry", "check --registry, and that it runs", "%s does not answer within %s", d.config.Registry, askWithin)
}
