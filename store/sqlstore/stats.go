package sqlstore

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// Stats are the counters of a DB since it was opened, and its state now.
type Stats struct {
	Changes map[string]uint64 // that were made, by their action in the audit log

	Batch  Histogram // how many changes each transaction made
	Commit Histogram // how many seconds each took to become durable
	Failed uint64    // transactions that were not seen to commit, those in Unknown included

	Unknown   uint64 // transactions whose outcome could not be found out
	Suspended bool   // no change is made until the outcome of one is known

	Waiting    int    // changes that wait for the writer now
	MaxWaiting int    // how many may
	TooBusy    uint64 // changes that were refused because so many waited

	FailedPolls uint64 // polls for changes by other processes that failed

	DatabaseSize int64 // bytes
	LogSize      int64 // bytes of SQLite's write-ahead log
}

// Histogram counts values by size: Counts[i] is how many are at most Bounds[i] and above the bound before it.
// The last of Counts, which has no bound, is the rest.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

func newHistogram(bounds ...float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *Histogram) observe(value float64) {
	i, _ := slices.BinarySearch(h.Bounds, value)
	h.Counts[i]++
	h.Sum += value
}

// tally holds the writer's counters.
type tally struct {
	tooBusy atomic.Uint64

	mu            sync.Mutex // taken once for each transaction
	changes       map[string]uint64
	batch, commit Histogram
	failed        uint64
	unknown       uint64
	failedPolls   uint64
}

func newTally() *tally {
	return &tally{
		changes: map[string]uint64{
			store.ActionCreate: 0, store.ActionUpdate: 0, store.ActionRevoke: 0, store.ActionRotate: 0, store.ActionLeak: 0,
			store.ActionOutside: 0, store.ActionCreateLink: 0, store.ActionSession: 0, store.ActionUpdateOwner: 0, store.ActionCreateWebhook: 0, store.ActionUpdateWebhook: 0,
			store.ActionExpiring: 0, store.ActionExpired: 0, store.ActionGraceEnding: 0, store.ActionRotationDue: 0,
			store.ActionQuota: 0, store.ActionNewNetwork: 0,
			store.ActionRotateWebhook: 0, store.ActionDeleteWebhook: 0, store.ActionTestWebhook: 0,
		},
		batch:  newHistogram(1, 2, 4, 8, 16, 32, 64, 128, 256, maxBatch),
		commit: newHistogram(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
	}
}

// committed counts a transaction that made these changes.
func (t *tally) committed(batch []*job, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range batch {
		if j.action != "" {
			t.changes[j.action]++
		}
		for i := range j.notices {
			t.changes[j.notices[i].Action]++
		}
	}
	t.batch.observe(float64(len(batch)))
	t.commit.observe(took.Seconds())
}

func (t *tally) add(counter *uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*counter++
}

// Stats returns the counters. For a file it looks up two sizes.
func (db *DB) Stats() Stats {
	t := db.writer.tally
	var database, log int64 // of a file: a server's own monitoring has its sizes
	if db.file != nil {
		database, log = sqlitefile.Size(db.file.Path()), sqlitefile.Size(db.file.Path()+"-wal")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		Changes: maps.Clone(t.changes), Batch: t.batch.clone(), Commit: t.commit.clone(), Failed: t.failed,
		Unknown: t.unknown, Suspended: db.condition.suspended.Load(),
		Waiting: len(db.writer.changes), MaxWaiting: maxWaiting, TooBusy: t.tooBusy.Load(),
		FailedPolls:  t.failedPolls,
		DatabaseSize: database, LogSize: log,
	}
}

func (h Histogram) clone() Histogram {
	h.Counts = slices.Clone(h.Counts)
	return h
}
