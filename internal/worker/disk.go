// The goroutine that writes the journal, so that a slow disk does not hold up beats.

package worker

import (
	"log/slog"
	"time"
)

// syncIdle is how long a result may stay unsynced: by then it is likely that no master takes it.
const syncIdle = time.Second

// diskLoop carries out Persist effects until close. What queued up while it wrote goes into the
// next write together, with at most one sync.
func (o *ownSupervisor) diskLoop() {
	defer close(o.diskDone)
	dirty := false // appended and not synced
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	for !o.persists.ended() {
		select {
		case <-o.persists.ready:
		case <-idle.C:
			if dirty {
				dirty = false
				if err := o.journal.sync(); err != nil {
					o.w.log.Warn("journal not synced", slog.Any("error", err))
				}
			}
			continue
		}
		batch := o.persists.take()
		if len(batch) == 0 {
			continue
		}
		synced, err := carryOut(o.journal, batch)
		if !synced && !dirty {
			dirty = true
			idle.Reset(syncIdle)
		}
		o.w.box.put(Persisted{ID: batch[len(batch)-1].ID, Err: err})
	}
}

// carryOut writes a batch of orders with one write, or as few as it takes.
func carryOut(j *journalFile, batch []Persist) (synced bool, err error) {
	var records []Record
	for _, p := range batch {
		synced = synced || p.Sync || p.Whole
		if p.Whole {
			// It holds whatever came before it.
			records = records[:0]
			if err := j.rewrite(p.Records); err != nil {
				return false, err
			}
			continue
		}
		records = append(records, p.Records...)
	}
	if len(records) > 0 {
		if err := j.append(records); err != nil {
			return false, err
		}
	}
	if synced {
		return true, j.sync()
	}
	return false, nil
}
