package verify_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

func TestStats(t *testing.T) {
	r := newRemembering(t, 2)
	_, first := r.add(time.Hour)
	remember(t, r.verifier, first)
	before := r.verifier.Keys.Stats()
	if !before.Trusted || before.Keys != 1 || before.UnsavedUses != 1 {
		t.Errorf("one key is remembered and was used, and it says %+v", before)
	}
	r.wantCode(first.Reveal(), verify.Valid)
	if s := r.verifier.Keys.Stats(); s.Hits != before.Hits+1 || s.Misses != before.Misses {
		t.Errorf("it was remembered, and it says %+v after %+v", s, before)
	}
	for range 3 {
		_, secret := r.add(time.Hour)
		r.wantCode(secret.Reveal(), verify.Valid)
	}
	s := r.verifier.Keys.Stats()
	if s.Keys > 2 || s.Evicted == 0 || s.Misses < before.Misses+3 {
		t.Errorf("two of four keys can be remembered, and it says %+v", s)
	}
	r.wantCode("no secret at all", verify.NotFound)
	if after := r.verifier.Keys.Stats(); after.Hits != s.Hits || after.Misses != s.Misses {
		t.Errorf("what is no secret asks nobody, and it says %+v after %+v", after, s)
	}
}

// The lag grows until a use can be written.
func TestStatsOfUses(t *testing.T) {
	f := newFixture(t)
	kept := &ledger{Store: f.store}
	f.verifier = verify.New(keycache.New(kept, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	_, secret := f.add(time.Hour)
	if s := f.verifier.Keys.Stats(); s.UnsavedUses != 0 || s.UsesLag != 0 {
		t.Errorf("nothing was used, and it says %+v", s)
	}
	f.verify(secret.Reveal())
	f.clock.Advance(3 * time.Second)
	kept.refuse(errors.New("full"))
	if err := f.verifier.Keys.Flush(t.Context()); err == nil {
		t.Fatal("it could be written")
	}
	f.clock.Advance(4 * time.Second)
	if s := f.verifier.Keys.Stats(); s.UnsavedUses != 1 || s.UsesLag != 7*time.Second || s.FailedWrites != 1 {
		t.Errorf("a use waits for 7 s, and it says %+v", s)
	}
	kept.refuse(nil)
	must(f, f.verifier.Keys.Flush(t.Context()))
	if s := f.verifier.Keys.Stats(); s.UnsavedUses != 0 || s.UsesLag != 0 || s.FailedWrites != 1 {
		t.Errorf("nothing waits, and it says %+v", s)
	}
}

// generous is a Budget that grants every call.
type generous struct{}

func (generous) TakeCalls(_ context.Context, _ store.Subject, _ apikey.RateLimit, calls int) (store.Grant, error) {
	return store.Grant{Calls: calls}, nil
}

// Keys with a limit in use are counted, whether one node counts their calls or all nodes together.
func TestLimited(t *testing.T) {
	t.Parallel()
	for name, budget := range map[string]verify.Budget{"one node": nil, "several nodes": generous{}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.verifier = verify.New(keycache.New(f.store, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler),
				verify.Options{Budget: budget})
			_, secret := f.addLimited(3, time.Hour, 2*time.Hour)
			_, unlimited := f.add(time.Hour)
			if n := f.verifier.Limited(); n != 0 {
				t.Errorf("before any call %d limits are in use", n)
			}
			for range 2 {
				f.wantAdmitted("the limited key", secret, verify.Valid)
			}
			f.wantAdmitted("the unlimited key", unlimited, verify.Valid)
			if n := f.verifier.Limited(); n != 1 {
				t.Errorf("%d limits are in use, want 1", n)
			}
		})
	}
}
