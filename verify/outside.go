package verify

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

// Reporter is a store.Store: it reports uses of keys from outside their observed networks.
type Reporter interface {
	RecordOutside(ctx context.Context, id apikey.ID, address string) error
}

const (
	// reportEvery is how long a key that was reported is not reported again. The store keeps the same bound for
	// all nodes; keeping it here too spares the store nearly all uses.
	reportEvery = time.Hour
	// retryReport is how long a report that failed is not retried.
	retryReport = 10 * time.Second
	// reportTimeout bounds the writing of one report.
	reportTimeout = 5 * time.Second
	// maxReported is how many keys are remembered; others wait for a free place.
	maxReported = 10_000
	// maxReports is how many reports wait to be written.
	maxReports = 256
)

// outside reports uses from outside without delaying decisions: what does not fit is reported at a later use.
type outside struct {
	uses   atomic.Uint64 // from outside, of all keys
	to     Reporter      // nil only counts
	log    *slog.Logger
	writer sync.WaitGroup // at most one goroutine

	mu      sync.Mutex
	next    map[apikey.ID]time.Time // when a use of the key is to be reported again
	swept   time.Time
	reports []report // that wait
	writing bool
}

// report is a use to report.
type report struct {
	key  apikey.ID
	from netip.Addr
	at   time.Time
}

func newOutside(to Reporter, log *slog.Logger) *outside {
	return &outside{to: to, log: log, next: make(map[apikey.ID]time.Time)}
}

// used counts a use from outside, and has it reported.
func (o *outside) used(key apikey.ID, from netip.Addr, now time.Time) {
	o.uses.Add(1)
	if o.to == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.next[key]) || len(o.reports) >= maxReports {
		return
	}
	if len(o.next) >= maxReported && !o.sweep(now) {
		return
	}
	o.next[key] = now.Add(reportEvery)
	o.reports = append(o.reports, report{key, from, now})
	if !o.writing {
		o.writing = true
		o.writer.Go(o.write)
	}
}

// sweep forgets keys that may be reported again, at most once a minute, and reports whether there is a free place.
func (o *outside) sweep(now time.Time) bool {
	if now.Sub(o.swept) < time.Minute {
		return false
	}
	o.swept = now
	maps.DeleteFunc(o.next, func(_ apikey.ID, next time.Time) bool { return !now.Before(next) })
	return len(o.next) < maxReported
}

// write writes the reports that wait. If one fails, it and those behind it are left to later uses.
func (o *outside) write() {
	for {
		o.mu.Lock()
		if len(o.reports) == 0 {
			o.writing = false
			o.mu.Unlock()
			return
		}
		r := o.reports[0]
		o.reports = o.reports[1:]
		o.mu.Unlock()
		if err := o.report(r); err != nil {
			o.log.Warn("uses from outside observed networks were not reported: the store cannot be written", "error", err)
			o.postpone(r)
		}
	}
}

func (o *outside) report(r report) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	address := ""
	if r.from.IsValid() {
		address = r.from.String()
	}
	return o.to.RecordOutside(ctx, r.key, address)
}

// postpone drops a report and all that wait; later uses of their keys are reported instead.
func (o *outside) postpone(failed report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range append(o.reports, failed) {
		o.next[r.key] = r.at.Add(retryReport)
	}
	o.reports = nil
}
