package verify

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/quota"
	"apikeyd/store"
)

// Reporter is a store.Store: it reports uses of keys from outside their observed networks, and quotas that are used
// up.
type Reporter interface {
	RecordOutside(ctx context.Context, id apikey.ID, address string) error
	RecordQuotaReached(ctx context.Context, subject store.Subject, until time.Time) error
}

const (
	// reportEvery is how long what was reported is not reported again. The store keeps its own bound for all
	// nodes; keeping one here too spares the store nearly all uses.
	reportEvery = time.Hour
	// retryReport is how long a report that failed is not retried.
	retryReport = 10 * time.Second
	// reportTimeout bounds the writing of one report.
	reportTimeout = 5 * time.Second
	// maxReported is how many topics are remembered; others wait for a free place.
	maxReported = 10_000
	// maxReports is how many reports wait to be written.
	maxReports = 256
)

// reports writes reports without delaying decisions: what does not fit is reported at a later use.
type reports struct {
	outside atomic.Uint64 // uses from outside, of all keys
	to      Reporter      // nil only counts
	log     *slog.Logger
	writer  sync.WaitGroup // at most one goroutine

	mu      sync.Mutex
	next    map[topic]time.Time // when it is to be reported again
	swept   time.Time
	waiting []report
	writing bool
}

// topic is what is not reported twice: use of a key from outside, or that a quota is used up until a time.
type topic struct {
	about store.Subject
	until int64 // in milliseconds since 1970; 0 for use from outside
}

type report struct {
	topic
	from netip.Addr // of the use from outside
	at   time.Time
}

func newReports(to Reporter, log *slog.Logger) *reports {
	return &reports{to: to, log: log, next: make(map[topic]time.Time)}
}

// usedOutside counts a use from outside, and has it reported.
func (o *reports) usedOutside(key apikey.ID, from netip.Addr, now time.Time) {
	o.outside.Add(1)
	o.add(report{topic{about: store.Subject{Key: key}}, from, now})
}

// counted has it reported if a call left nothing of a quota, or was refused for it. The zero State is none.
func (o *reports) counted(subject store.Subject, s quota.State, now time.Time) {
	if !s.ResetsAt.IsZero() && (!s.Allowed || s.Remaining == 0) {
		o.add(report{topic: topic{subject, s.ResetsAt.UnixMilli()}, at: now})
	}
}

func (o *reports) add(r report) {
	if o.to == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.at.Before(o.next[r.topic]) || len(o.waiting) >= maxReports {
		return
	}
	if len(o.next) >= maxReported && !o.sweep(r.at) {
		return
	}
	r.about.Owner = strings.Clone(r.about.Owner) // it shares its memory with other texts of the cache
	o.next[r.topic] = r.at.Add(reportEvery)
	o.waiting = append(o.waiting, r)
	if !o.writing {
		o.writing = true
		o.writer.Go(o.write)
	}
}

// sweep forgets topics that may be reported again, at most once a minute, and reports whether there is a free place.
func (o *reports) sweep(now time.Time) bool {
	if now.Sub(o.swept) < time.Minute {
		return false
	}
	o.swept = now
	maps.DeleteFunc(o.next, func(_ topic, next time.Time) bool { return !now.Before(next) })
	return len(o.next) < maxReported
}

// write writes the reports that wait. If one fails, it and those behind it are left to later uses.
func (o *reports) write() {
	for {
		o.mu.Lock()
		if len(o.waiting) == 0 {
			o.writing = false
			o.mu.Unlock()
			return
		}
		r := o.waiting[0]
		o.waiting = o.waiting[1:]
		o.mu.Unlock()
		if err := o.report(r); err != nil {
			o.log.Warn("uses from outside observed networks, or used-up quotas, were not reported: the store cannot be written", "error", err)
			o.postpone(r)
		}
	}
}

func (o *reports) report(r report) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	if r.until != 0 {
		return o.to.RecordQuotaReached(ctx, r.about, time.UnixMilli(r.until).UTC())
	}
	address := ""
	if r.from.IsValid() {
		address = r.from.String()
	}
	return o.to.RecordOutside(ctx, r.about.Key, address)
}

// postpone drops a report and all that wait; later uses are reported instead.
func (o *reports) postpone(failed report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range append(o.waiting, failed) {
		o.next[r.topic] = r.at.Add(retryReport)
	}
	o.waiting = nil
}
