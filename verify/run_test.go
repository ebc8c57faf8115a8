package verify_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// ledger is a store that records uses, or refuses them.
type ledger struct {
	store.Store
	pass   bool // records uses in the store, too
	mu     sync.Mutex
	reason error // to refuse
	kept   [][]store.Use
}

func (l *ledger) RecordUses(ctx context.Context, uses []store.Use) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reason == nil && len(uses) > 0 {
		l.kept = append(l.kept, slices.Clone(uses))
	}
	if l.reason == nil && l.pass {
		return l.Store.RecordUses(ctx, uses)
	}
	return l.reason
}

func (l *ledger) refuse(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = reason
}

// usesOf returns the times that each flush wrote.
func (l *ledger) usesOf(id apikey.ID) []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var times []time.Time
	for _, uses := range l.kept {
		for _, use := range uses {
			if use.Key == id {
				times = append(times, use.LastUsedAt)
			}
		}
	}
	return times
}

func TestRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.add(time.Hour)
	uses := &ledger{Store: f.store}
	log := &bytes.Buffer{}
	// Time in the bubble passes instantly.
	synctest.Test(t, func(t *testing.T) {
		verifier := verify.New(keycache.New(uses, keycache.Options{Now: f.clock.Now}), slog.New(slog.NewTextHandler(log, nil)), verify.Options{})
		use := func() time.Time {
			t.Helper()
			f.clock.Advance(time.Second)
			if _, err := verifier.Verify(t.Context(), secret.Reveal(), verify.Call{}); err != nil {
				t.Fatal(err)
			}
			return f.clock.Now()
		}
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			verifier.Run(ctx)
			close(stopped)
		}()
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		wantUses := func(want ...time.Time) {
			t.Helper()
			if diff := cmp.Diff(want, uses.usesOf(key.ID)); diff != "" {
				t.Errorf("the uses differ (-want +got):\n%s", diff)
			}
		}
		first := use()
		pass(keycache.FlushInterval - time.Nanosecond)
		wantUses()
		pass(time.Nanosecond)
		wantUses(first)
		pass(keycache.FlushInterval) // nothing is written twice
		wantUses(first)

		uses.refuse(store.ErrUnavailable)
		second := use()
		pass(2 * keycache.FlushInterval)
		wantUses(first)
		if n := strings.Count(log.String(), "level=WARN"); n != 2 {
			t.Errorf("%d warnings, want 2:\n%s", n, log)
		}
		uses.refuse(nil)
		pass(keycache.FlushInterval)
		wantUses(first, second)

		stop()
		synctest.Wait()
		select {
		case <-stopped:
		default:
			t.Fatal("still running")
		}
		third := use()
		pass(2 * keycache.FlushInterval)
		wantUses(first, second)
		must(t, verifier.Keys.Flush(t.Context())) // as the caller must at the end
		wantUses(first, second, third)
	})
}

// Stopping a server logs no warning.
func TestRunEndsQuietly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	log := &bytes.Buffer{}
	verifier := verify.New(keycache.New(&ledger{Store: f.store}, keycache.Options{Now: f.clock.Now}), slog.New(slog.NewTextHandler(log, nil)), verify.Options{})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	verifier.Run(ctx) // returns
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
}
