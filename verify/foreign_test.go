package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// importKey stores a key with a foreign secret.
func importKey(t testing.TB, db *sqlstore.DB, now time.Time, name, secret string) apikey.Key {
	t.Helper()
	foreign, err := apikey.ForeignSecret(secret)
	must(t, err)
	key, err := apikey.Policy{}.ImportedKey(now, apikey.Settings{Owner: "team", Name: name, ExpiresAt: now.Add(time.Hour)}, foreign)
	must(t, err)
	must(t, db.ImportKey(t.Context(), operator, key, foreign.Scheme))
	return key
}

// codeOf decides about a secret as verify, introspection and forward-auth do.
func codeOf(t testing.TB, v *verify.Verifier, secret string) verify.Code {
	t.Helper()
	result, err := v.Admit(t.Context(), secret, verify.Call{})
	if err != nil {
		t.Error(err)
	}
	return result.Code
}

// rememberForeign verifies a foreign secret until that does not read the store any more.
func rememberForeign(t testing.TB, v *verify.Verifier, secret string) {
	t.Helper()
	for hits := v.Keys.Stats().Hits; v.Keys.Stats().Hits == hits || v.Keys.ForeignSecrets() == 0; {
		codeOf(t, v, secret)
		runtime.Gosched()
	}
}

func (c *counting) ForeignKey(ctx context.Context, secrets []apikey.Foreign) (apikey.ID, apikey.Hash, error) {
	c.asked.Add(1)
	id, hash, err := c.Store.ForeignKey(ctx, secrets)
	if c.between != nil {
		c.between()
	}
	return id, hash, err
}

func (c *counting) ForeignSchemes(ctx context.Context) ([]apikey.Scheme, error) {
	c.asked.Add(1)
	return c.Store.ForeignSchemes(ctx)
}

// A foreign secret works as soon as it is imported, is remembered, and ends with its key's changes.
func TestForeignSecrets(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, ours := r.add(time.Hour)
	remember(t, r.verifier, ours) // so that hits count
	const secret = "sk_live_0123456789"
	want := func(want verify.Code, asks int64) {
		r.Helper()
		if got := r.asks(func() {
			if got := codeOf(t, r.verifier, secret); got != want {
				r.Errorf("code %s, want %s", got, want)
			}
		}); got != asks {
			r.Errorf("the store was asked %d times, want %d", got, asks)
		}
	}
	want(verify.NotFound, 1)
	want(verify.NotFound, 0) // nothing was imported
	key := importKey(t, r.store, r.clock.Now(), "ci", secret)
	want(verify.Valid, 3) // the schemes, the secret, the key
	want(verify.Valid, 0)
	if got := codeOf(t, r.verifier, "sk_live_01234567890"); got != verify.NotFound {
		t.Errorf("another secret is %s", got)
	}
	result, err := r.verifier.Verify(t.Context(), secret, verify.Call{})
	must(t, err)
	if result.Code != verify.NotFound {
		t.Errorf("for our own API it is %s", result.Code)
	}

	next := key.NewSecret()
	must(r, second(r.store.RotateKey(t.Context(), operator, store.ByID(key.ID),
		apikey.Rotation{From: key.SecretHash, To: next.Hash(), Grace: time.Minute})))
	want(verify.Valid, 2) // whether there are any at all, and the key
	want(verify.Valid, 0)
	r.wantCode(next.Reveal(), verify.Valid)
	r.clock.Advance(time.Minute)
	if got := codeOf(t, r.verifier, secret); got != verify.NotFound {
		t.Errorf("after the grace it is %s", got)
	}
	r.wantCode(next.Reveal(), verify.Valid)

	other := importKey(t, r.store, r.clock.Now(), "other", secret+"x")
	if got := codeOf(t, r.verifier, secret+"x"); got != verify.Valid {
		t.Errorf("the second key is %s", got)
	}
	r.revoke(other.ID)
	if got := codeOf(t, r.verifier, secret+"x"); got != verify.Revoked {
		t.Errorf("the revoked key is %s", got)
	}
}

// What was read before an import must not hide it, and what was read before a revocation must not outlive it.
func TestForeignOvertakesAReader(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, ours := r.add(time.Hour)
	remember(t, r.verifier, ours)
	importKey(t, r.store, r.clock.Now(), "first", "a-first-foreign-secret")
	const secret = "sk_live_0123456789"
	var key apikey.Key
	r.counted.between = func() {
		r.counted.between = nil
		key = importKey(t, r.store, r.clock.Now(), "late", secret)
	}
	if got := codeOf(t, r.verifier, secret); got != verify.NotFound { // it began before
		t.Errorf("before the import it is %s", got)
	}
	if got := codeOf(t, r.verifier, secret); got != verify.Valid {
		t.Errorf("after the import it is %s", got)
	}
	must(r, second(r.store.UpdateKey(t.Context(), operator, store.ByID(key.ID), apikey.Change{Name: new("renamed")}))) // it is not cached now
	r.counted.between = func() {
		r.counted.between = nil
		r.revoke(key.ID)
	}
	codeOf(t, r.verifier, secret)
	if r.counted.between != nil {
		t.Fatal("the key was not read")
	}
	for range 2 {
		if got := codeOf(t, r.verifier, secret); got != verify.Revoked {
			t.Errorf("after the revocation it is %s", got)
		}
	}
}

// Imports, rotations and revocations by another process of the same file are in force when they return, however
// many verifications are under way.
func TestForeignSecretsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, beside := databasetest.Open(t, path), databasetest.OpenBeside(t, path)
	v := verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{})
	for round := range 4 {
		secret := fmt.Sprint("a-foreign-secret-", round)
		codeOf(t, v, secret) // remembers that there are none, in the first round
		key := importKey(t, beside, time.Now(), fmt.Sprint(round), secret)
		if got := codeOf(t, v, secret); got != verify.Valid {
			t.Fatalf("after the import it is %s", got)
		}
		rememberForeign(t, v, secret)
		var ended atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for last := false; !last; {
					last = ended.Load()
					if got := codeOf(t, v, secret); last && got == verify.Valid {
						t.Error("it is valid after its end")
					}
				}
			})
		}
		var err error
		if round%2 == 0 {
			_, err = beside.RevokeKey(t.Context(), operator, store.ByID(key.ID), apikey.ReasonUnspecified)
		} else {
			_, err = beside.RotateKey(t.Context(), operator, store.ByID(key.ID), apikey.Rotation{From: key.SecretHash, To: key.NewSecret().Hash()})
		}
		if err != nil {
			t.Error(err)
		}
		ended.Store(true)
		wg.Wait()
	}
}

// What is remembered of foreign secrets is bounded.
func TestForeignCacheIsBounded(t *testing.T) {
	t.Parallel()
	const size = 20
	r := newRemembering(t, size)
	_, ours := r.add(time.Hour)
	remember(t, r.verifier, ours)
	var importing sync.WaitGroup
	for i := range 4 * size {
		importing.Go(func() { importKey(t, r.store, r.clock.Now(), fmt.Sprint(i), fmt.Sprint("a-foreign-secret-", i)) })
	}
	importing.Wait()
	for range 2 {
		for i := range 4 * size {
			if got := codeOf(t, r.verifier, fmt.Sprint("a-foreign-secret-", i)); got != verify.Valid {
				t.Errorf("secret %d is %s", i, got)
			}
			if n := r.verifier.Keys.ForeignSecrets(); n > size {
				t.Fatalf("%d foreign secrets are cached, want at most %d", n, size)
			}
		}
	}
	if r.verifier.Keys.ForeignSecrets() < size/2 {
		t.Errorf("only %d foreign secrets are cached", r.verifier.Keys.ForeignSecrets())
	}
}

// BenchmarkForeign compares secrets of ours in a store without and with imported keys, foreign secrets that are
// remembered and not, and strings that are no secret. It alternates them and reports the quickest round of each,
// because other load only adds to them.
func BenchmarkForeign(b *testing.B) {
	const imported, round = 10_000, 200
	verifier := func(keys, size int) (*verify.Verifier, string) {
		db := databasetest.Open(b, databasetest.NewPath(b))
		_, secret := addKey(b, db, apikey.Settings{Name: "n"})
		var importing sync.WaitGroup
		for i := range keys {
			importing.Go(func() { importKey(b, db, time.Now(), fmt.Sprint(i), fmt.Sprintf("a-foreign-secret-%08d", i)) })
			if i%1000 == 999 {
				importing.Wait()
			}
		}
		importing.Wait()
		v := verify.New(keycache.New(db, keycache.Options{Size: size}), slog.New(slog.DiscardHandler), verify.Options{})
		if size >= 0 {
			remember(b, v, secret)
		}
		return v, secret.Reveal()
	}
	without, plain := verifier(0, 0)
	with, beside := verifier(imported, 0)
	forgetful, _ := verifier(imported, -1)
	rememberForeign(b, with, "a-foreign-secret-00000000")
	n := 0
	fresh := func() string { n++; return fmt.Sprintf("a-foreign-secret-%08d", n%imported) }
	cases := []struct {
		name   string
		v      *verify.Verifier
		secret func() string
		want   verify.Code
	}{
		{"ns/ours-without-imports", without, func() string { return plain }, verify.Valid},
		{"ns/ours-beside-imports", with, func() string { return beside }, verify.Valid},
		{"ns/foreign-remembered", with, func() string { return "a-foreign-secret-00000000" }, verify.Valid},
		{"ns/foreign-not-remembered", forgetful, fresh, verify.Valid},
		{"ns/unknown-without-imports", without, func() string { return "no-foreign-secret-00000000" }, verify.NotFound},
		{"ns/unknown-beside-imports", with, func() string { n++; return fmt.Sprintf("no-foreign-secret-%d", n) }, verify.NotFound},
	}
	least := make([]time.Duration, len(cases))
	ctx := context.Background()
	for b.Loop() {
		for i, c := range cases {
			start := time.Now()
			for range round {
				if r, err := c.v.Admit(ctx, c.secret(), verify.Call{}); err != nil || r.Code != c.want {
					b.Fatal(c.name, r.Code, err)
				}
			}
			if took := time.Since(start); least[i] == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	for i, c := range cases {
		b.ReportMetric(float64(least[i].Nanoseconds())/round, c.name)
	}
	b.ReportMetric(0, "ns/op")
}
