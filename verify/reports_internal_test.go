package verify

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// reporter counts reports. It waits while it is locked, and fails with err.
type reporter struct {
	sync.Mutex
	err     error
	reports map[apikey.ID]int
}

func (r *reporter) RecordOutside(_ context.Context, id apikey.ID, _ string) error {
	r.Lock()
	defer r.Unlock()
	r.reports[id]++
	return r.err
}

func (r *reporter) RecordQuotaReached(context.Context, store.Subject, time.Time) error { return r.err }

func (r *reporter) want(t *testing.T, o *reports, what string, keys, reports int) {
	t.Helper()
	o.writer.Wait()
	sum := 0
	for _, n := range r.reports {
		sum += n
	}
	if len(r.reports) != keys || sum != reports {
		t.Errorf("%s: %d reports about %d keys, want %d about %d", what, sum, len(r.reports), reports, keys)
	}
}

// A store that does not answer delays no decision, and what does not fit is reported later.
func TestReportsDoNotPileUp(t *testing.T) {
	t.Parallel()
	r := &reporter{reports: make(map[apikey.ID]int)}
	o := newReports(r, slog.New(slog.DiscardHandler))
	now, from := time.Now(), netip.MustParseAddr("192.0.2.1")
	ids := make([]apikey.ID, maxReported+1)
	for i := range ids {
		ids[i] = apikey.NewID()
	}
	r.Lock()
	for _, id := range ids[:2*maxReports] {
		o.usedOutside(id, from, now)
	}
	if waiting := len(o.waiting); waiting != maxReports {
		t.Errorf("%d reports wait, want %d", waiting, maxReports)
	}
	r.Unlock()
	o.writer.Wait()
	if n := len(r.reports); n < maxReports || n > maxReports+1 { // the writer may have taken one
		t.Errorf("%d keys were reported, want %d", n, maxReports)
	}
	for range 2 {
		for _, id := range ids {
			o.usedOutside(id, from, now)
			o.writer.Wait()
		}
	}
	r.want(t, o, "a full table", maxReported, maxReported)
	o.usedOutside(ids[maxReported], from, now.Add(reportEvery-time.Nanosecond))
	r.want(t, o, "still full", maxReported, maxReported)
	o.usedOutside(ids[maxReported], from, now.Add(reportEvery+time.Minute))
	o.usedOutside(ids[0], from, now.Add(reportEvery+time.Minute))
	r.want(t, o, "an hour later", maxReported+1, maxReported+2)
}

// A report that fails is retried with a use ten seconds later.
func TestFailedReports(t *testing.T) {
	t.Parallel()
	r := &reporter{reports: make(map[apikey.ID]int), err: errors.New("the disk is full")}
	var log bytes.Buffer
	o := newReports(r, slog.New(slog.NewTextHandler(&log, nil)))
	now, id := time.Now(), apikey.NewID()
	o.usedOutside(id, netip.Addr{}, now)
	o.usedOutside(id, netip.Addr{}, now.Add(retryReport-time.Nanosecond))
	r.want(t, o, "after a failure", 1, 1)
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log says %q", log.String())
	}
	r.err = nil
	o.usedOutside(id, netip.Addr{}, now.Add(retryReport))
	o.writer.Wait()
	o.usedOutside(id, netip.Addr{}, now.Add(2*retryReport))
	r.want(t, o, "after a retry", 1, 2)
	if uses := o.outside.Load(); uses != 4 {
		t.Errorf("%d uses were counted, want 4", uses)
	}
}
