// What nobody asks for: old runs are deleted, and rows that could hang are looked for.

package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"baton/internal/flow"
)

const (
	// DefaultRetention is how long ended runs are kept when the cluster's setting says nothing.
	DefaultRetention = "365d"
	housekeepingGap  = time.Minute
	pruneStep        = 25 // runs a statement, so that nobody waits long for the writer
	// untakenFor is for how long nobody need know that no master takes runs: one is being restarted, perhaps.
	untakenFor = time.Minute
	untakenGap = 10 * time.Second // between two looks for them
)

// Housekeeper keeps the store small and honest. One per cluster is enough; several do no harm.
type Housekeeper struct {
	Store Store
	Log   *slog.Logger
	stray atomic.Int64
}

// Run works until ctx is done. A pass that fails is logged and tried again with the next.
func (h *Housekeeper) Run(ctx context.Context) error {
	keep, look := time.NewTicker(housekeepingGap), time.NewTicker(untakenGap)
	defer keep.Stop()
	defer look.Stop()
	for pass := h.runOnce; ; {
		if err := pass(ctx, time.Now()); err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "housekeeping", slog.Any("error", err))
		}
		select {
		case <-keep.C:
			pass = h.runOnce
		case <-look.C:
			pass = h.tellUntaken
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *Housekeeper) runOnce(ctx context.Context, now time.Time) error {
	stray, err := h.Store.Stray(ctx)
	if err != nil {
		return fmt.Errorf("look for stray rows: %w", err)
	}
	h.stray.Store(int64(stray))
	if stray > 0 {
		h.Log.ErrorContext(ctx, "rows wait without a reason or a next check: please report this defect", slog.Int("rows", stray))
	}
	return h.prune(ctx, now)
}

// tellUntaken alerts of runs that no master takes: the masters, who write all other alerts, cannot.
func (h *Housekeeper) tellUntaken(ctx context.Context, now time.Time) error {
	oldest, _, _, err := h.Store.Waits(ctx)
	if err != nil {
		return fmt.Errorf("look how long runs wait: %w", err)
	}
	if oldest == 0 || now.Sub(oldest.Std()) < untakenFor {
		return nil
	}
	nodes, err := h.Store.Nodes(ctx, "")
	if err != nil {
		return fmt.Errorf("look for masters: %w", err)
	}
	why := whyUntaken(nodes)
	if why == "" {
		return nil
	}
	before := now.Add(-untakenFor)
	if err := h.Store.AlertUntaken(ctx, flow.At(before), flow.AlertNoMaster, why, flow.At(now)); err != nil {
		return fmt.Errorf("alert of runs that no master takes: %w", err)
	}
	return nil
}

func (h *Housekeeper) prune(ctx context.Context, now time.Time) error {
	value, err := h.Store.Setting(ctx, SettingRetention)
	if err != nil {
		return fmt.Errorf("read setting %s: %w", SettingRetention, err)
	}
	if value == "" {
		value = DefaultRetention
	}
	keep, err := flow.ParseDuration(value)
	if err != nil {
		return fmt.Errorf("setting %s: %w", SettingRetention, err)
	}
	if keep == 0 {
		return nil // for ever
	}
	for ctx.Err() == nil {
		began := time.Now()
		n, err := h.Store.Prune(ctx, flow.At(now.Add(-keep.Std())), pruneStep)
		if err != nil {
			return fmt.Errorf("prune runs: %w", err)
		}
		if n < pruneStep {
			return nil
		}
		// Half of the store's time is everybody else's.
		select {
		case <-ctx.Done():
		case <-time.After(time.Since(began)):
		}
	}
	return nil
}

// WriteMetrics tells what the last pass found.
func (h *Housekeeper) WriteMetrics(w io.Writer) error {
	_, err := fmt.Fprintf(w, "# HELP baton_stray_rows Non-terminal rows without reason or next check; each is a defect.\n# TYPE baton_stray_rows gauge\nbaton_stray_rows %d\n", h.stray.Load())
	return err
}
