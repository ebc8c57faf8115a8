package verify_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
	"apikeyd/verify"
)

var operator = store.Operator("test")

// timeless compares results without their times.
var timeless = cmp.Options{
	cmpopts.IgnoreFields(verify.Result{}, "At", "Entry"),
	cmpopts.IgnoreUnexported(quota.State{}, ratelimit.State{}),
}

// fixture is a Verifier over a real store.
type fixture struct {
	*testing.T
	store    *sqlstore.DB
	clock    *storetest.Clock
	log      *bytes.Buffer
	verifier *verify.Verifier
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, clock: storetest.NewClock(), log: &bytes.Buffer{}}
	db := databasetest.OpenWith(t, sqlstore.Options{Path: databasetest.NewPath(t), Serve: true, Now: f.clock.Now})
	f.store = db
	f.verifier = verify.New(keycache.New(db, keycache.Options{Now: f.clock.Now}), slog.New(slog.NewTextHandler(f.log, nil)), verify.Options{Quotas: db, Reporter: db})
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addKey stores a key with these settings, of the owner "team", that lives for a year.
func addKey(t testing.TB, db *sqlstore.DB, s apikey.Settings) (apikey.Key, apikey.Secret) {
	t.Helper()
	now := time.Now()
	s.Owner, s.ExpiresAt = "team", now.AddDate(1, 0, 0)
	key, secret, err := apikey.Policy{}.NewKey(now, s)
	must(t, err)
	must(t, db.CreateKey(t.Context(), operator, key))
	return key, secret
}

// add stores a key that lives for a while.
func (f *fixture) add(lifetime time.Duration, scopes ...string) (apikey.Key, apikey.Secret) {
	f.Helper()
	id := apikey.NewID()
	secret := apikey.NewSecret("ak", id)
	key, err := apikey.Policy{}.KeyFor(f.clock.Now(), apikey.Settings{
		Owner: "team", Name: "key of " + id.String(), Scopes: append(apikey.Scopes{}, scopes...),
		ExpiresAt: f.clock.Now().Add(lifetime),
	}, secret)
	must(f, err)
	must(f, f.store.CreateKey(f.Context(), operator, key))
	return key, secret
}

func (f *fixture) revoke(id apikey.ID) {
	f.Helper()
	_, err := f.store.RevokeKey(f.Context(), operator, store.ByID(id), apikey.ReasonUnspecified)
	must(f, err)
}

func (f *fixture) verify(secret string, want ...string) verify.Result {
	f.Helper()
	result, err := f.verifier.Verify(f.Context(), secret, verify.Call{Scopes: want})
	must(f, err)
	return result
}

// get returns a key as the store has it.
func (f *fixture) get(id apikey.ID) apikey.Key {
	f.Helper()
	key, err := f.store.Key(f.Context(), store.ByID(id))
	must(f, err)
	return key
}

func (f *fixture) wantLastUsed(id apikey.ID, want time.Time) {
	f.Helper()
	if got := f.get(id).LastUsedAt; !got.Equal(want) {
		f.Errorf("last used at %v, want %v", got, want)
	}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const short, long = time.Hour, 24 * time.Hour
	active, activeSecret := f.add(long, "keys:read", "datasets:read", "datasets:write")
	bare, bareSecret := f.add(long)
	admin, adminSecret := f.add(long, "keys:admin")
	expired, expiredSecret := f.add(short, "datasets:read")
	revoked, revokedSecret := f.add(long, "datasets:read")
	both, bothSecret := f.add(short, "datasets:read")
	f.revoke(revoked.ID)
	f.revoke(both.ID)
	f.clock.Advance(short)

	reveal := apikey.Secret.Reveal
	cut := func(s apikey.Secret) string { return reveal(s)[:len(reveal(s))-1] }
	tests := []struct {
		name   string
		secret string
		want   []string
		code   verify.Code
		key    apikey.Key // zero if NOT_FOUND
	}{
		{"empty", "", nil, verify.NotFound, apikey.Key{}},
		{"not a secret", "hunter2", nil, verify.NotFound, apikey.Key{}},
		{"not UTF-8", "\xff\x00", nil, verify.NotFound, apikey.Key{}},
		{"a megabyte", strings.Repeat("a", 1<<20), nil, verify.NotFound, apikey.Key{}},
		{"id of a key", active.ID.String(), nil, verify.NotFound, apikey.Key{}},
		{"prefix of a key", active.Prefix, nil, verify.NotFound, apikey.Key{}},
		{"cut short", cut(activeSecret), nil, verify.NotFound, apikey.Key{}},
		{"wrong checksum", cut(activeSecret) + "-", nil, verify.NotFound, apikey.Key{}},
		{"white space around it", " " + reveal(activeSecret), nil, verify.NotFound, apikey.Key{}},
		{"well-formed but not stored", reveal(apikey.NewSecret("ak", apikey.NewID())), nil, verify.NotFound, apikey.Key{}},
		{"right id, wrong random part", reveal(apikey.NewSecret("ak", active.ID)), nil, verify.NotFound, apikey.Key{}},
		// Without the secret, the answer does not reveal the key's state.
		{"revoked, wrong random part", reveal(apikey.NewSecret("ak", revoked.ID)), nil, verify.NotFound, apikey.Key{}},
		{"expired, wrong random part", reveal(apikey.NewSecret("ak", expired.ID)), nil, verify.NotFound, apikey.Key{}},

		{"revoked", reveal(revokedSecret), nil, verify.Revoked, revoked},
		{"revoked and without the scope", reveal(revokedSecret), []string{"other"}, verify.Revoked, revoked},
		{"revoked and expired", reveal(bothSecret), nil, verify.Revoked, both},
		{"revoked, expired and without the scope", reveal(bothSecret), []string{"other"}, verify.Revoked, both},
		{"expired", reveal(expiredSecret), nil, verify.Expired, expired},
		{"expired, with the scope", reveal(expiredSecret), []string{"datasets:read"}, verify.Expired, expired},
		{"expired and without the scope", reveal(expiredSecret), []string{"other"}, verify.Expired, expired},

		{"one scope lacks", reveal(activeSecret), []string{"other"}, verify.InsufficientScope, active},
		{"one of several lacks", reveal(activeSecret), []string{"datasets:read", "other"}, verify.InsufficientScope, active},
		{"no scopes at all", reveal(bareSecret), []string{"datasets:read"}, verify.InsufficientScope, bare},
		{"another case", reveal(activeSecret), []string{"Datasets:read"}, verify.InsufficientScope, active},
		{"a part of a scope", reveal(activeSecret), []string{"datasets"}, verify.InsufficientScope, active},
		{"the empty scope", reveal(activeSecret), []string{""}, verify.InsufficientScope, active},
		{"read includes no write", reveal(activeSecret), []string{"keys:write"}, verify.InsufficientScope, active},
		{"admin includes no integrator's scope", reveal(adminSecret), []string{"datasets:read"}, verify.InsufficientScope, admin},
		{"admin includes nothing unknown", reveal(adminSecret), []string{"keys:other"}, verify.InsufficientScope, admin},
		{"admin among others", reveal(adminSecret), []string{"keys:read", "datasets:read"}, verify.InsufficientScope, admin},

		{"no scope wanted", reveal(bareSecret), nil, verify.Valid, bare},
		{"its scope", reveal(activeSecret), []string{"datasets:read"}, verify.Valid, active},
		{"its scopes, in another order", reveal(activeSecret), []string{"datasets:write", "keys:read"}, verify.Valid, active},
		{"a scope wanted twice", reveal(activeSecret), []string{"keys:read", "keys:read"}, verify.Valid, active},
		{"admin", reveal(adminSecret), []string{"keys:admin"}, verify.Valid, admin},
		{"admin includes ours", reveal(adminSecret), []string{"keys:read", "keys:write", "keys:verify"}, verify.Valid, admin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, store: f.store, verifier: f.verifier}
			want := verify.Result{Code: tt.code}
			if tt.key.ID != (apikey.ID{}) {
				key := f.get(tt.key.ID)
				want.Key = &key
				want.Hash = want.Key.SecretHash
			}
			if diff := cmp.Diff(want, f.verify(tt.secret, tt.want...), timeless); diff != "" {
				t.Errorf("the result differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpiryIsExact(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Second)
	f.clock.Advance(time.Second - time.Nanosecond)
	if got := f.verify(secret.Reveal()).Code; got != verify.Valid {
		t.Errorf("%s just before its end", got)
	}
	f.clock.Advance(time.Nanosecond)
	if got := f.verify(secret.Reveal()).Code; got != verify.Expired {
		t.Errorf("%s at its end", got)
	}
}

func TestOldPrefixesStayGood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secret := apikey.NewSecret("former_prefix", apikey.NewID())
	key, err := apikey.Policy{Prefix: "new"}.KeyFor(f.clock.Now(), apikey.Settings{
		Owner: "team", Name: "old", Scopes: apikey.Scopes{}, ExpiresAt: f.clock.Now().Add(time.Hour),
	}, secret)
	must(f, err)
	must(f, f.store.CreateKey(t.Context(), operator, key))
	if got := f.verify(secret.Reveal()).Code; got != verify.Valid {
		t.Errorf("%s", got)
	}
}

func TestStoreCannotBeAsked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := f.verifier.Verify(ctx, secret.Reveal(), verify.Call{})
	if !errors.Is(err, context.Canceled) || result.Code != "" {
		t.Errorf("result %q, error %v", result.Code, err)
	}
	// What is not of our form may have been imported. Our own API does not accept that, so it need not ask.
	if result, err := f.verifier.Look(ctx, "hunter2", verify.Call{}); !errors.Is(err, context.Canceled) || result.Code != "" {
		t.Errorf("result %q, error %v", result.Code, err)
	}
	if result, err := f.verifier.Verify(ctx, "hunter2", verify.Call{}); err != nil || result.Code != verify.NotFound {
		t.Errorf("result %q, error %v", result.Code, err)
	}
}

func TestOnlyValidIsAUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, goodSecret := f.add(time.Hour)
	scopeless, scopelessSecret := f.add(time.Hour)
	stranger, _ := f.add(time.Hour)
	expired, expiredSecret := f.add(time.Millisecond)
	revoked, revokedSecret := f.add(time.Hour)
	f.revoke(revoked.ID)
	f.clock.Advance(time.Minute)
	f.verify(goodSecret.Reveal())
	f.verify(scopelessSecret.Reveal(), "datasets:read")
	f.verify(apikey.NewSecret("ak", stranger.ID).Reveal())
	f.verify(expiredSecret.Reveal())
	f.verify(revokedSecret.Reveal())

	f.wantLastUsed(good.ID, time.Time{}) // a verification costs no write
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(good.ID, f.clock.Now())
	for _, key := range []apikey.Key{scopeless, stranger, expired, revoked} {
		f.wantLastUsed(key.ID, time.Time{})
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, firstSecret := f.add(time.Hour)
	second, secondSecret := f.add(time.Hour)
	start := f.clock.Now()
	must(f, f.verifier.Keys.Flush(t.Context())) // nothing to write

	f.verify(firstSecret.Reveal())
	f.clock.Advance(time.Minute)
	f.verify(secondSecret.Reveal())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.verifier.Keys.Flush(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	f.wantLastUsed(first.ID, time.Time{})
	f.wantLastUsed(second.ID, time.Time{})

	// A use in between counts; an older waiting one does not overwrite it.
	f.clock.Advance(time.Minute)
	f.verify(secondSecret.Reveal())
	if err := f.verifier.Keys.Flush(cancelled); err == nil {
		t.Error("no error")
	}
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(first.ID, start)
	f.wantLastUsed(second.ID, start.Add(2*time.Minute))

	// A written use is not written again over a newer one.
	later := start.Add(30 * time.Minute)
	must(f, f.store.RecordUses(t.Context(), []store.Use{{Key: first.ID, LastUsedAt: later}}))
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(first.ID, later)
}

func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.add(time.Hour)
	latest := f.clock.Now()
	f.verify(secret.Reveal())
	f.clock.Advance(-time.Minute)
	f.verify(secret.Reveal())
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(key.ID, latest)
}

func TestConcurrentUses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.add(time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				f.clock.Advance(time.Millisecond)
				if result, err := f.verifier.Verify(t.Context(), secret.Reveal(), verify.Call{}); err != nil || result.Code != verify.Valid {
					t.Errorf("result %q, error %v", result.Code, err)
				}
			}
		})
		wg.Go(func() {
			if err := f.verifier.Keys.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(key.ID, f.clock.Now())
}
