// Where the product's CPU goes: its own profile, and the cost of each of its statements.

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"baton/bench/internal/product"
)

// profiled runs a phase; in the first round, when asked for, with a profile of it.
func (w *world) profiled(ctx context.Context, round int, s *product.Server, kind, phase string, f func() (product.Result, error)) (product.Result, error) {
	if !w.profile || round > 0 {
		return f()
	}
	if kind == "pg" {
		if _, err := s.Rows.ExecContext(ctx, "SELECT pg_stat_statements_reset()"); err != nil {
			return product.Result{}, fmt.Errorf("reset statistics: %w", err)
		}
	}
	path := filepath.Join(w.results, fmt.Sprintf("%s-%s.pprof", kind, phase))
	done := make(chan error, 1)
	go func() { done <- s.Profile(ctx, max(w.phase-time.Second, time.Second), path) }()
	r, err := f()
	if err := errors.Join(err, <-done); err != nil {
		return r, err
	}
	title := fmt.Sprintf("%s on %s: %.0f runs/s, %.0f steps/s, CPU per step %.0f µs server, %.0f µs database (%s)",
		phase, kind, r.RunsPerSecond(), r.StepsPerSecond(), float64(r.CPU.Server.Microseconds())/float64(max(r.Steps, 1)), float64(r.CPU.Database.Microseconds())/float64(max(r.Steps, 1)), path)
	text := "## " + title + "\n"
	for _, by := range []string{"-flat", "-cum"} {
		out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", by, "-nodecount=45", path).CombinedOutput()
		if err != nil {
			return r, fmt.Errorf("pprof: %w: %s", err, out)
		}
		text += fmt.Sprintf("\n%s\n%s", by, out)
	}
	if kind == "pg" {
		more, err := statements(ctx, s.Rows, r.Steps)
		if err != nil {
			return r, err
		}
		text += more
	}
	w.profiles = append(w.profiles, text)
	return r, nil
}

var comment = regexp.MustCompile(`(?m)--.*$`)

func statements(ctx context.Context, db *sql.DB, steps int) (_ string, err error) {
	rows, err := db.QueryContext(ctx, `
		SELECT calls, rows, (total_plan_time + total_exec_time) * 1000 AS took, total_plan_time * 1000, plans, wal_bytes, query FROM pg_stat_statements
		WHERE query NOT LIKE '%pg_stat_statements%' ORDER BY took DESC LIMIT 16`)
	if err != nil {
		return "", fmt.Errorf("read statistics: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var b strings.Builder
	fmt.Fprintf(&b, "\nstatements\n%10s %10s %10s %10s %12s %10s %12s  %s\n", "calls", "rows/call", "plans", "µs/plan", "µs/call", "µs/step", "WAL B/step", "statement")
	for rows.Next() {
		var calls, n, plans, wal int64
		var took, plan float64
		var query string
		if err := rows.Scan(&calls, &n, &took, &plan, &plans, &wal, &query); err != nil {
			return "", fmt.Errorf("read statistics: %w", err)
		}
		query = strings.Join(strings.Fields(comment.ReplaceAllString(query, "")), " ")
		fmt.Fprintf(&b, "%10d %10.1f %10d %10.0f %12.0f %10.1f %12.0f  %.150s\n", calls, float64(n)/float64(calls), plans, plan/float64(max(plans, 1)), took/float64(calls), took/float64(max(steps, 1)), float64(wal)/float64(max(steps, 1)), query)
	}
	return b.String(), rows.Err()
}
