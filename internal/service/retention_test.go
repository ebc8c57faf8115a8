package service

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/program"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

// A server removes old events, one day's worth each time, and logs it. Newer events stay.
func TestRetention(t *testing.T) {
	clock := storetest.NewClock()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{
		Path: filepath.Join(t.TempDir(), "keys.db"), Serve: true, Now: clock.Now})
	must(t, err)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	const days = 10
	for day := range days {
		key, _, err := apikey.Policy{}.NewKey(clock.Now(), apikey.Settings{
			Owner: "acme", Name: strings.Repeat("x", day+1), ExpiresAt: clock.Now().Add(time.Hour)})
		must(t, err)
		must(t, db.CreateKey(t.Context(), store.Operator("test"), key))
		clock.Advance(24 * time.Hour)
	}
	hour := clock.Now().Add(-30 * time.Hour).Truncate(time.Hour)
	must(t, db.RecordUses(t.Context(), []store.Use{{Hour: hour, Counts: store.Counts{1}}, {Hour: hour.Add(-48 * time.Hour), Counts: store.Counts{2}}}))
	left := func() int {
		events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 100})
		must(t, err)
		return len(events)
	}
	var out program.Output
	r := retention{store: db, events: 3 * 24 * time.Hour, hours: 24 * time.Hour, days: 48 * time.Hour, every: time.Hour, now: clock.Now,
		out: slog.New(slog.NewTextHandler(&out, nil))}
	r.pruneEvents(t.Context())
	if got := left(); got != days-1 {
		t.Errorf("%d events are left after the first time, want %d: it must not take more than a day", got, days-1)
	}
	if !strings.Contains(out.String(), "removed old audit events") {
		t.Errorf("the log says %q", out.String())
	}

	r.every = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	deadline := time.Now().Add(stuck)
	for left() != 3 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	counted := func(interval time.Duration) (sum int64) {
		counts, err := db.CountedUses(t.Context(), store.UsageQuery{From: hour.AddDate(0, 0, -9).Truncate(interval), To: clock.Now(), Interval: interval})
		must(t, err)
		for _, c := range counts {
			sum += c.Counts.Valid()
		}
		return sum
	}
	for counted(store.Day) != 1 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	stop()
	running.Wait()
	if hours, days := counted(store.Hour), counted(store.Day); hours != 0 || days != 1 {
		t.Errorf("%d are left by the hour, and %d by the day", hours, days)
	}
	if got := left(); got != 3 {
		t.Errorf("%d events are left, want those of 3 days", got)
	}
	retention{store: db, now: clock.Now}.pruneEvents(t.Context()) // for ever
	if got := left(); got != 3 {
		t.Errorf("%d events are left, want all", got)
	}
}
