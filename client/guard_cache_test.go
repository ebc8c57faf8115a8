package client_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"apikeyd/client"
)

// A good key is accepted for CacheFor and not a moment longer. The change is made right after the
// service was asked, which is the worst case.
func TestGuardCache(t *testing.T) {
	t.Parallel()
	const longest = time.Minute
	for _, tt := range []struct {
		name   string
		option time.Duration
		end    time.Duration // when the answer must not be used any more
		change func(*testing.T, *guarded, client.Key)
		code   string // of the refusal; empty if the key is still good
	}{
		{"revoked", 10 * time.Second, 10 * time.Second, func(t *testing.T, g *guarded, key client.Key) {
			_, err := g.admin.Revoke(t.Context(), key.ID)
			must(t, err)
		}, client.CodeCredentialRevoked},
		{"a scope taken away", 10 * time.Second, 10 * time.Second, func(t *testing.T, g *guarded, key client.Key) {
			_, err := g.admin.Update(t.Context(), key.ID, client.Change{Scopes: &[]string{}})
			must(t, err)
		}, client.CodeInsufficientScope},
		{"rotated without a grace", 10 * time.Second, 10 * time.Second, func(t *testing.T, g *guarded, key client.Key) {
			_, err := g.admin.Rotate(t.Context(), key.ID, 0)
			must(t, err)
		}, client.CodeCredentialInvalid},
		{"unchanged", 10 * time.Second, 10 * time.Second, func(*testing.T, *guarded, client.Key) {}, ""},
		{"more than a minute", time.Hour, longest, func(t *testing.T, g *guarded, key client.Key) {
			_, err := g.admin.Revoke(t.Context(), key.ID)
			must(t, err)
		}, client.CodeCredentialRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, client.GuardOptions{CacheFor: tt.option})
			key := g.add(t, "n", client.RateLimit{})
			g.get(t, key.Secret.Reveal()).wantPass(t, "n")
			tt.change(t, g, key.Key)
			for _, wait := range []time.Duration{0, tt.end - time.Millisecond} {
				g.clock.Advance(wait)
				g.get(t, key.Secret.Reveal()).wantPass(t, "n")
			}
			if n := g.asked.requests.Load(); n != 1 {
				t.Errorf("%d questions within the time", n)
			}
			g.clock.Advance(time.Millisecond)
			if again := g.get(t, key.Secret.Reveal()); tt.code == "" && again.status != 200 || tt.code != "" && again.code != tt.code {
				t.Errorf("%d %s after the time, want %q", again.status, again.code, tt.code)
			}
			if n := g.asked.requests.Load(); n != 2 {
				t.Errorf("%d questions in all", n)
			}
			g.wantSecretFree(t, key.Secret)
		})
	}
}

// An answer is not reused past the key's expiry or the end of its old secret's grace.
func TestGuardCacheEndsWithTheKey(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{CacheFor: time.Minute})
	short, rotated := g.add(t, "short", client.RateLimit{}), g.add(t, "rotated", client.RateLimit{})
	_, err := g.admin.Update(t.Context(), short.ID, client.Change{ExpiresAt: new(g.clock.Now().Add(5 * time.Second))})
	must(t, err)
	fresh, err := g.admin.Rotate(t.Context(), rotated.ID, 5*time.Second)
	must(t, err)
	for range 2 {
		g.get(t, short.Secret.Reveal()).wantPass(t, "short")
		g.get(t, rotated.Secret.Reveal()).wantPass(t, "rotated")
		g.clock.Advance(2 * time.Second)
	}
	g.clock.Advance(time.Second)
	g.get(t, short.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialExpired, badKey, "")
	g.get(t, rotated.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialInvalid, badKey, "")
	g.get(t, fresh.Secret.Reveal()).wantPass(t, "rotated")
}

// A clock that is set back extends nothing.
func TestGuardCacheWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{CacheFor: time.Minute})
	key := g.add(t, "n", client.RateLimit{})
	g.get(t, key.Secret.Reveal()).wantPass(t, "n")
	_, err := g.admin.Revoke(t.Context(), key.ID)
	must(t, err)
	g.clock.Advance(-time.Second)
	g.get(t, key.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialRevoked, badKey, "")
}

// Every call of a key with a rate limit must be counted.
func TestGuardCacheAndRateLimits(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{CacheFor: time.Minute})
	key := g.add(t, "n", client.RateLimit{Limit: 3, Window: time.Hour})
	for range 3 {
		g.get(t, key.Secret.Reveal()).wantPass(t, "n")
	}
	g.get(t, key.Secret.Reveal()).wantRefused(t, 429, client.CodeRateLimited, "", "1200")
	if n := g.asked.requests.Load(); n != 4 {
		t.Errorf("%d questions", n)
	}
}

// An answer about some scopes is not reused for others.
func TestGuardCacheKeepsScopesApart(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{})
	key := g.add(t, "n", client.RateLimit{})
	guard := client.NewGuard(g.admin, client.GuardOptions{CacheFor: time.Minute})
	status := func(scopes ...string) int {
		t.Helper()
		return direct(t, guard.Require(scopes...), key.Secret.Reveal()).Code
	}
	for range 2 {
		for _, tt := range []struct {
			scopes []string
			want   int
		}{
			{nil, 200}, {[]string{"datasets:read"}, 200}, {[]string{"datasets:write"}, 403},
			{[]string{"datasets:read", "datasets:write"}, 403}, {[]string{"datasets:write", "datasets:read"}, 403},
		} {
			if got := status(tt.scopes...); got != tt.want {
				t.Errorf("%q: %d, want %d", tt.scopes, got, tt.want)
			}
		}
	}
	if n := guard.Cached(); n != 2 {
		t.Errorf("%d answers are cached", n)
	}
	wantNoSecret(t, guard.CacheText(), key.Secret.Reveal())
}

// The cache is bounded: it evicts stale answers, and the oldest.
func TestGuardCacheIsBounded(t *testing.T) {
	t.Parallel()
	const most = 10_000
	asked := &counter{base: roundTrip(func(*http.Request) (*http.Response, error) {
		return answer(200, nil, `{"valid":true,"code":"VALID","key":{"id":"`+keyID+`"}}`), nil
	})}
	c := newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{Transport: asked}})
	guard := client.NewGuard(c, client.GuardOptions{CacheFor: time.Minute})
	now := time.Now()
	guard.SetNow(func() time.Time { return now })
	ask := func(key string) {
		t.Helper()
		if got := direct(t, guard.Require(), key).Code; got != 200 {
			t.Fatal(got)
		}
	}
	const asks = most + 500
	for i := range asks {
		ask(fmt.Sprint("key-", i))
	}
	for range 2 { // these were asked last, and then the first one is asked again
		ask(fmt.Sprint("key-", asks-1))
		ask(fmt.Sprint("key-", asks-most+1))
		ask("key-0")
	}
	if n := asked.requests.Load(); n != asks+1 {
		t.Errorf("%d questions, want %d", n, asks+1)
	}
	if n := guard.Cached(); n != most {
		t.Errorf("%d answers are cached, want %d", n, most)
	}
	now = now.Add(time.Minute)
	ask("new")
	if n := guard.Cached(); n != 1 {
		t.Errorf("%d answers are cached once all but one are stale", n)
	}
}

// Identical questions at the same time are sent once, unless each must be counted.
func TestGuardAsksOnce(t *testing.T) {
	t.Parallel()
	const callers = 20
	for _, tt := range []struct {
		name   string
		option time.Duration
		limit  client.RateLimit
		scopes []string
		want   int64
	}{
		{"good", time.Minute, client.RateLimit{}, []string{"datasets:read"}, 1},
		{"with a rate limit", time.Minute, client.RateLimit{Limit: callers, Window: time.Hour}, []string{"datasets:read"}, callers},
		{"refused", time.Minute, client.RateLimit{}, []string{}, callers},
		{"without a cache", 0, client.RateLimit{}, []string{"datasets:read"}, callers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, client.GuardOptions{CacheFor: tt.option})
			key := g.add(t, "n", tt.limit)
			_, err := g.admin.Update(t.Context(), key.ID, client.Change{Scopes: &tt.scopes})
			must(t, err)
			arrived := g.gate.close()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					if a := g.get(t, key.Secret.Reveal()); (a.status == 200) != (len(tt.scopes) == 1) {
						t.Errorf("%d %s", a.status, a.body)
					}
				})
			}
			<-arrived // a question is held back
			g.gate.open()
			all.Wait()
			if n := g.asked.requests.Load(); n != tt.want {
				t.Errorf("%d questions of %d callers, want %d", n, callers, tt.want)
			}
			if tt.limit.Limit > 0 { // each was counted
				g.get(t, key.Secret.Reveal()).wantRefused(t, 429, client.CodeRateLimited, "", "180")
			}
		})
	}
}
