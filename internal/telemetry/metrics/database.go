package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Database has the methods of *sqlstore.DB that the metrics call.
type Database interface {
	Stats() sqlstore.Stats
	QuickSummary(ctx context.Context, at time.Time) (store.Summary, error)
	LastBackup(ctx context.Context) (time.Time, error)
}

// database collects a database's own statistics.
type database struct{ db Database }

func newDatabase(db Database) prometheus.Collector { return database{db} }

var (
	changes = describe("apikeyd_changes_total",
		"Durable changes, by their action in the audit log; leak is a leaked secret that was ended, outside a reported use from outside, and notices are counted too.", "action")
	commitChanges = describe("apikeyd_commit_changes",
		"Changes per transaction; a batch of last uses counts as one.")
	commitSeconds = describe("apikeyd_commit_duration_seconds",
		"Time until transactions were durable.")
	commitFailures = describe("apikeyd_commit_failures_total",
		"Failed transactions, including those with an unknown outcome; their changes are retried alone, or answered 503.")
	commitUnknown = describe("apikeyd_commit_outcomes_unknown_total",
		"Transactions with an unknown outcome; their changes were answered 503 OUTCOME_UNKNOWN.")
	unsettled = describe("apikeyd_changes_suspended",
		"1 while changes are suspended because the outcome of an earlier one is unknown, else 0.")
	queueDepth = describe("apikeyd_writer_queue_depth",
		"Changes waiting for the writer.")
	queueCapacity = describe("apikeyd_writer_queue_capacity",
		"The most changes that may wait.")
	queueRefusals = describe("apikeyd_writer_queue_refusals_total",
		"Changes answered 503 because too many waited.")
	pollFailures = describe("apikeyd_database_poll_failures_total",
		"Failed checks for changes by other processes; while they fail, cached keys do not count.")
	databaseSize = describe("apikeyd_database_size_bytes",
		"Size of the database file.")
	logSize = describe("apikeyd_database_wal_size_bytes",
		"Size of SQLite's write-ahead log.")
)

// Describe implements prometheus.Collector.
func (d database) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(d, to) }

// Collect implements prometheus.Collector.
func (d database) Collect(to chan<- prometheus.Metric) {
	s := d.db.Stats()
	for action, n := range s.Changes {
		to <- counter(changes, n, action)
	}
	to <- histogram(commitChanges, s.Batch)
	to <- histogram(commitSeconds, s.Commit)
	to <- counter(commitFailures, s.Failed)
	to <- counter(commitUnknown, s.Unknown)
	to <- flag(unsettled, s.Suspended)
	to <- gauge(queueDepth, s.Waiting)
	to <- gauge(queueCapacity, s.MaxWaiting)
	to <- counter(queueRefusals, s.TooBusy)
	to <- counter(pollFailures, s.FailedPolls)
	to <- gauge(databaseSize, s.DatabaseSize)
	to <- gauge(logSize, s.LogSize)
}

func histogram(d *prometheus.Desc, h sqlstore.Histogram) prometheus.Metric {
	var count uint64
	upTo := make(map[float64]uint64)
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			upTo[h.Bounds[i]] = count
		}
	}
	return prometheus.MustNewConstHistogram(d, count, h.Sum, upTo)
}
