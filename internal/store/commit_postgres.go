// The group commit on PostgreSQL: rows become arrays, arrays one statement.

package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"baton/internal/flow"
	"baton/internal/store/pgdriver"
)

//go:embed commit_postgres.sql
var commitSQL string

// commitParts are the parts of commit_postgres.sql by name.
var commitParts = sync.OnceValue(func() map[string]string {
	parts := map[string]string{}
	for _, section := range strings.Split(commitSQL, "-- name: ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		parts[name] = strings.TrimSpace(text) + "\n"
	}
	return parts
})

// part is a part of the statement, in its form for one row or for many. One row as VALUES costs
// nothing, while unnest sets up a store for each of its arrays: a third of a small commit.
type part struct {
	name   string
	single bool
}

// unnested is a list of columns from arrays. Columns are named by what follows it.
var unnested = regexp.MustCompile(`unnest\(([^)]*)\)`)

func (p part) text() string {
	text, ok := commitParts()[p.name]
	if !ok {
		panic("commit_postgres.sql has no part " + p.name)
	}
	if p.single {
		text = unnested.ReplaceAllString(text, "(VALUES ($1))")
		text = strings.ReplaceAll(text, "ANY (?::bigint[])", "ANY (ARRAY[?::bigint])")
		text = strings.ReplaceAll(text, "[]", "")
	}
	return text
}

// commitTexts keeps each statement that was put together, so that its text is the same string
// every time and pgx finds it prepared. There are a handful: what a batch holds is much the same.
type commitTexts struct{ byParts sync.Map }

func (c *commitTexts) statement(parts []part) string {
	var key strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&key, "%s %t|", p.name, p.single)
	}
	if text, ok := c.byParts.Load(key.String()); ok {
		return text.(string)
	}
	var b strings.Builder
	next := 3 // $1 is the incarnation, $2 its epoch
	for _, p := range parts {
		for i, piece := range strings.Split(p.text(), "?") {
			if i > 0 {
				b.WriteString("$" + strconv.Itoa(next))
				next++
			}
			b.WriteString(piece)
		}
	}
	text, _ := c.byParts.LoadOrStore(key.String(), b.String())
	return text.(string)
}

// plan is a statement being put together: its parts and their arguments, in the same order.
type plan struct {
	head, tail []part
	args       []any
}

// add adds a part with its columns.
func (p *plan) add(name string, columns ...any) {
	single := len(columns) > 0
	for _, c := range columns {
		single = single && length(c) == 1
	}
	for _, c := range columns {
		if single {
			c = first(c)
		}
		p.args = append(p.args, c)
	}
	p.head = append(p.head, part{name, single})
}

func (p *postgresDB) commit(ctx context.Context, b *sortedBatch) error {
	err := p.commitOnce(ctx, b)
	if isRetry(err) {
		err = p.commitOnce(ctx, b)
	}
	if errors.Is(err, errUnaware) {
		b.watched.Store(true)
		err = p.commit(ctx, b)
	}
	return err
}

// errUnaware is a commit that wrote nothing, for it is fenced or does not know that a trigger waits for ends.
var errUnaware = errors.New("a trigger may wait for what ends here")

func (p *postgresDB) commitOnce(ctx context.Context, b *sortedBatch) error {
	watched := b.watched.Load()
	st := newPlan(b, watched)
	text := p.commits.statement(append(st.head, st.tail...))
	alive, watches := false, false
	written := make(map[flow.ID]bool, len(b.changes))
	tokens := map[flow.ID]int64{}
	err := p.native(ctx, func(conn *pgdriver.Conn) error {
		rows, err := conn.Query(ctx, text, st.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind int16
			var id, token int64
			if err := rows.Scan(&kind, &id, &token); err != nil {
				return err
			}
			switch kind {
			case 0:
				alive, watches = true, token == 1
			case 1:
				written[flow.ID(id)] = true
			case 2:
				tokens[flow.ID(id)] = token
			case 4:
				*b.told = true
			case 5:
				b.mark(flow.ID(id))
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	switch {
	case !alive && !watched:
		return errUnaware
	case !alive:
		return flow.ErrFenced
	case watched && !watches:
		b.watched.Store(false) // nobody waits any more
	}
	for i, c := range b.changes {
		b.results[i] = flow.ChangeResult{Fate: flow.Gone}
		if !written[c.Instance.ID] {
			continue
		}
		b.results[i].Fate = flow.Committed
		for _, id := range c.Grants {
			token, ok := tokens[id]
			if !ok {
				return fmt.Errorf("task %s was granted and got no token", id)
			}
			b.results[i].Tokens = append(b.results[i].Tokens, token)
		}
	}
	return nil
}

// newsPart is the part that tells other runs.
func newsPart(begins bool) string {
	if begins {
		return "news for begun"
	}
	return "news"
}

// newPlan chooses the parts that a batch needs.
func newPlan(b *sortedBatch, watched bool) *plan {
	var (
		created, moved []*flow.Instance
		newTasks       []taskWrite
		tasks          []taskWrite
		past           []pastWrite
		inbox          []consumed
		alerts         []alertWrite
		commands       []commandWrite
		news           []newsWrite
		follows        []flow.Follow
		unfollow       []int64
		ended          []ending
		marks          []*flow.Instance
		claims         []*flow.Claim
		unclaims       []int64
	)
	for _, c := range b.changes {
		if c.Command != 0 {
			created = append(created, &c.Instance)
		} else {
			moved = append(moved, &c.Instance)
		}
		first, firstNew := len(tasks), len(newTasks)
		granted := make(map[flow.ID]bool, len(c.Grants))
		for _, id := range c.Grants {
			granted[id] = true
		}
		for i := range c.NewTasks {
			newTasks = append(newTasks, taskWrite{row: &c.NewTasks[i], granted: granted[c.NewTasks[i].ID]})
		}
		for i := range c.Tasks {
			tasks = append(tasks, taskWrite{row: &c.Tasks[i].Row, sources: c.Tasks[i].Sources, granted: granted[c.Tasks[i].Row.ID]})
		}
		sortTasks(newTasks[firstNew:])
		sortTasks(tasks[first:])
		for i := range c.Past {
			past = append(past, pastWrite{c.Instance.ID, &c.Past[i]})
		}
		inbox = append(inbox, consumptions(c)...)
		for i := range c.Alerts {
			alerts = append(alerts, alertWrite{c.Instance.ID, &c.Alerts[i]})
		}
		for i := range c.Commands {
			commands = append(commands, commandWrite{c.Instance.ID, &c.Commands[i], startOf(&c.Commands[i])})
		}
		for i := range c.News {
			news = append(news, newsWrite{c.Instance.ID, &c.News[i]})
		}
		follows = append(follows, c.Follows...)
		for _, row := range c.Unfollow {
			unfollow = append(unfollow, int64(row))
		}
		if b.followed {
			ended = append(ended, endings(c)...)
		}
		if watched && marksEnd(c) {
			marks = append(marks, &c.Instance)
		}
		for i := range c.Claims {
			claims = append(claims, &c.Claims[i])
		}
		for i := range c.Unclaims {
			unclaims = append(unclaims, int64(c.Unclaims[i].ID))
		}
	}
	p := &plan{args: []any{b.owner, b.epoch}}
	if watched {
		p.add("begin watched")
	} else {
		p.add("begin")
	}
	gate := "gate"
	if len(created) > 0 {
		p.add("created", createdColumns(created)...)
		gate += " created"
	}
	if len(moved) > 0 || len(created) == 0 {
		p.add("moved", movedColumns(moved)...)
		gate += " moved"
	}
	p.add(gate)
	p.tail = append(p.tail, part{name: "end"})
	if len(newTasks)+len(tasks) > 0 {
		p.add("generation")
	}
	if len(newTasks) > 0 {
		p.add("new tasks", newTaskColumns(newTasks)...)
		p.tail = append(p.tail, part{name: "end new tasks"})
	}
	if len(tasks) > 0 {
		p.add("tasks", changedTaskColumns(tasks)...)
		p.tail = append(p.tail, part{name: "end tasks"})
	}
	if len(past) > 0 {
		p.add("past", pastColumns(past)...)
	}
	if len(inbox) > 0 {
		sortConsumed(inbox)
		p.add("inbox", inboxColumns(inbox)...)
	}
	if len(alerts) > 0 {
		p.add("alerts", alertColumns(alerts)...)
	}
	if len(commands) > 0 {
		p.add("commands", commandColumns(commands)...)
	}
	if len(news) > 0 {
		p.add(newsPart(len(commands) > 0), newsColumns(news)...)
	}
	if len(follows) > 0 {
		p.add("follows", followColumns(follows)...)
	}
	if len(unfollow) > 0 {
		p.add("unfollow", unfollow)
	}
	if len(ended) > 0 {
		p.add("endings", endingColumns(ended)...)
		p.tail = append(p.tail, part{name: "end endings"})
	}
	if len(marks) > 0 {
		p.add("marks", markColumns(marks)...)
		p.tail = append(p.tail, part{name: "end marks"})
	}
	if len(claims) > 0 {
		p.add("claims", claimColumns(claims)...)
	}
	if len(unclaims) > 0 {
		p.add("unclaims", unclaims)
	}
	return p
}
