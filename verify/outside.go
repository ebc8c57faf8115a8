package verify

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
)

// Reporter is a store.Store: it reports uses of keys from outside their observed networks.
type Reporter interface {
	RecordOutside(ctx context.Context, id apikey.ID, address string) error
}

const (
	// reportEvery is how long a key that was reported is not reported again. The store keeps the same bound for
	// all nodes; keeping it here too spares the store nearly all uses.
	reportEvery = time.Hour
	// maxReported is how many keys are remembered; others wait for a free place.
	maxReported = 10_000
	// maxReports is how many reports wait to be written.
	maxReports = 256
)

// outside reports uses from outside without delaying decisions: what does not fit is reported at a later use.
type outside struct {
	uses  atomic.Uint64 // from outside, of all keys
	to    Reporter      // nil only counts
	queue chan report

	mu       sync.Mutex
	reported map[apikey.ID]time.Time
}

// report is a use to report.
type report struct {
	key  apikey.ID
	from netip.Addr
}

func newOutside(to Reporter) *outside {
	return &outside{to: to, queue: make(chan report, maxReports), reported: make(map[apikey.ID]time.Time)}
}

// used counts a use from outside, and queues its report.
func (o *outside) used(key apikey.ID, from netip.Addr, now time.Time) {
	o.uses.Add(1)
	if o.to == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, known := o.reported[key]; known && now.Sub(last) < reportEvery {
		return
	}
	if len(o.reported) >= maxReported {
		maps.DeleteFunc(o.reported, func(_ apikey.ID, last time.Time) bool { return now.Sub(last) >= reportEvery })
	}
	if len(o.reported) >= maxReported {
		return
	}
	select {
	case o.queue <- report{key, from}:
		o.reported[key] = now
	default:
	}
}

// write writes one report. If that fails, a later use is reported instead.
func (o *outside) write(ctx context.Context, r report) error {
	address := ""
	if r.from.IsValid() {
		address = r.from.String()
	}
	err := o.to.RecordOutside(ctx, r.key, address)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.reported, r.key)
	}
	return err
}

// runReports writes reports until ctx ends.
func (v *Verifier) runReports(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-v.outside.queue:
			if err := v.outside.write(ctx, r); err != nil && ctx.Err() == nil {
				v.log.Warn("a use from outside a key's observed networks was not reported: the store cannot be written", "error", err)
				pause(ctx, keycache.FlushInterval)
			}
		}
	}
}

// flush writes the reports that wait.
func (o *outside) flush(ctx context.Context) error {
	for {
		select {
		case r := <-o.queue:
			if err := o.write(ctx, r); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
