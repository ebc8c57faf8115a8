package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

// The rules of the service itself: see handlers/credentials_test.go.
func TestGuardReadsCredentials(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{})
	key, another := g.add(t, "good", client.RateLimit{}), g.add(t, "other", client.RateLimit{})
	good, other := key.Secret.Reveal(), another.Secret.Reveal()
	const pass = ""
	for _, tt := range []struct {
		name          string
		apiKey        []string
		authorization []string
		code          string
	}{
		{"none", nil, nil, client.CodeCredentialMissing},
		{"empty x-api-key", []string{""}, nil, client.CodeCredentialMissing},
		{"bearer without a token", nil, []string{"Bearer"}, client.CodeCredentialMissing},
		{"bearer with an empty token", nil, []string{"Bearer  "}, client.CodeCredentialMissing},
		{"secret without a scheme", nil, []string{good}, client.CodeCredentialMissing},
		{"basic alone", nil, []string{"Basic " + good}, client.CodeCredentialMissing},
		{"malformed", []string{"hunter2"}, nil, client.CodeCredentialInvalid},
		{"cut short", []string{good[:len(good)-1]}, nil, client.CodeCredentialInvalid},
		{"two in one header", []string{good + ", " + good}, nil, client.CodeCredentialInvalid},
		{"not UTF-8", []string{"ak_\xff\xfe"}, nil, client.CodeCredentialInvalid},
		{"very long", []string{good + strings.Repeat("A", 100_000)}, nil, client.CodeCredentialInvalid},
		{"two different in x-api-key", []string{good, other}, nil, client.CodeCredentialAmbiguous},
		{"two different bearers", nil, []string{"Bearer " + good, "Bearer " + other}, client.CodeCredentialAmbiguous},
		{"different across headers", []string{good}, []string{"Bearer " + other}, client.CodeCredentialAmbiguous},
		{"a good and a bad one", []string{good}, []string{"Bearer hunter2"}, client.CodeCredentialAmbiguous},

		{"x-api-key", []string{good}, nil, pass},
		{"bearer", nil, []string{"Bearer " + good}, pass},
		{"lower-case bearer", nil, []string{"bearer " + good}, pass},
		{"bearer with several spaces", nil, []string{"Bearer   " + good}, pass},
		{"the same in x-api-key twice", []string{good, good}, nil, pass},
		{"the same across headers", []string{good}, []string{"Bearer " + good}, pass},
		{"empty and a good one", []string{""}, []string{"Bearer " + good}, pass},
		{"basic and bearer", nil, []string{"Basic eDp5", "Bearer " + good}, pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"X-Api-Key": tt.apiKey, "Authorization": tt.authorization}
			answer := g.call(t, http.MethodGet, header)
			switch tt.code {
			case pass:
				answer.wantPass(t, "good")
			case client.CodeCredentialMissing:
				answer.wantRefused(t, 401, tt.code, noKey, "")
			default:
				answer.wantRefused(t, 401, tt.code, badKey, "")
			}
		})
	}
	g.wantSecretFree(t, key.Secret, another.Secret)
}

func TestGuardDecides(t *testing.T) {
	t.Parallel()
	for _, caching := range []time.Duration{0, time.Second} {
		g := newGuarded(t, client.GuardOptions{CacheFor: caching, FailOpen: true})
		ctx := t.Context()
		good, ended, short := g.add(t, "good", client.RateLimit{}), g.add(t, "ended", client.RateLimit{}), g.add(t, "short", client.RateLimit{})
		_, err := g.admin.Revoke(ctx, ended.ID)
		must(t, err)
		suspended := g.add(t, "suspended", client.RateLimit{})
		_, err = g.admin.Suspend(ctx, suspended.ID)
		must(t, err)
		_, err = g.admin.Update(ctx, short.ID, client.Change{ExpiresAt: new(g.clock.Now().Add(time.Minute))})
		must(t, err)
		_, lacking := g.Add(t, "customer-42", "lacking", "datasets:write", "keys:admin") // keys:admin is no scope of a guarded service
		limited := g.add(t, "limited", client.RateLimit{Limit: 2, Window: 3 * time.Second})
		g.clock.Advance(time.Minute)

		g.get(t, good.Secret.Reveal()).wantPass(t, "good")
		for range 2 { // refusals are not cached
			g.get(t, ended.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialRevoked, badKey, "")
			g.get(t, suspended.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialDisabled, badKey, "")
			g.get(t, short.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialExpired, badKey, "")
			g.get(t, lacking.Reveal()).wantRefused(t, 403, client.CodeInsufficientScope, badScope, "")
		}
		for range 2 {
			g.get(t, limited.Secret.Reveal()).wantPass(t, "limited")
		}
		g.get(t, limited.Secret.Reveal()).wantRefused(t, 429, client.CodeRateLimited, "", "2") // 1.5 s, rounded up
		g.clock.Advance(1500 * time.Millisecond)
		g.get(t, limited.Secret.Reveal()).wantPass(t, "limited")
		g.get(t, limited.Secret.Reveal()).wantRefused(t, 429, client.CodeRateLimited, "", "2")

		if passed := g.reach.requests.Load(); passed != 4 {
			t.Errorf("%d requests reached the handler", passed)
		}
		g.wantSecretFree(t, good.Secret, ended.Secret, short.Secret, limited.Secret)
	}
}

func TestGuardAnswersHEAD(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{})
	key := g.add(t, "n", client.RateLimit{Limit: 1, Window: time.Minute})
	head := func(secret string) got {
		t.Helper()
		a := g.call(t, http.MethodHead, http.Header{"X-Api-Key": {secret}})
		if a.body != "" {
			t.Errorf("a body: %s", a.body)
		}
		return a
	}
	head("").wantRefused(t, 401, "", noKey, "")
	head("hunter2").wantRefused(t, 401, "", badKey, "")
	head(key.Secret.Reveal()).wantRefused(t, 200, "", "", "")
	head(key.Secret.Reveal()).wantRefused(t, 429, "", "", "60")
}

// Only the service's decision counts. Headers that name a key have no effect.
func TestGuardIgnoresForgedHeaders(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{})
	key, victim := g.add(t, "mine", client.RateLimit{}), g.add(t, "theirs", client.RateLimit{})
	forged := http.Header{
		"X-Api-Key-Id": {victim.ID}, "X-Api-Key-Name": {"theirs"}, "X-Api-Key-Owner": {"admin"},
		"X-Api-Key-Scopes": {"datasets:read"}, "X-Forwarded-User": {"admin"},
	}
	g.call(t, http.MethodGet, forged).wantRefused(t, 401, client.CodeCredentialMissing, noKey, "")
	forged["X-Api-Key"] = []string{victim.ID}
	g.call(t, http.MethodGet, forged).wantRefused(t, 401, client.CodeCredentialInvalid, badKey, "")
	forged["X-Api-Key"] = []string{key.Secret.Reveal()}
	g.call(t, http.MethodGet, forged).wantPass(t, "mine")

	if _, ok := client.KeyFrom(t.Context()); ok {
		t.Error("a key without a guard")
	}
}

// The handler gets the whole key.
func TestKeyFrom(t *testing.T) {
	t.Parallel()
	for _, caching := range []time.Duration{0, time.Minute} {
		g := newGuarded(t, client.GuardOptions{})
		created, err := g.admin.Create(t.Context(), client.NewKey{
			Name: "n", ExpiresAt: g.clock.Now().AddDate(1, 0, 0), Scopes: &[]string{"a", "b"},
			Metadata: map[string]string{"plan": "pro"},
		})
		must(t, err)
		guard := client.NewGuard(g.admin, client.GuardOptions{CacheFor: caching})
		seen := 0
		handler := guard.Require("b", "a", "b")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen++
			key, ok := client.KeyFrom(r.Context())
			if !ok || key.ID != created.ID || strings.Join(key.Scopes, " ") != "a b" || key.Metadata["plan"] != "pro" {
				t.Errorf("%t, %+v", ok, key)
			}
			key.Scopes[0], key.Metadata["plan"] = "changed", "by a handler" // must not reach the cache
		}))
		for range 3 {
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header.Set("X-Api-Key", created.Secret.Reveal())
			handler.ServeHTTP(httptest.NewRecorder(), request)
		}
		if seen != 3 {
			t.Errorf("%d requests passed", seen)
		}
	}
}

// Without a cache every request asks, and a change takes effect with the next one.
func TestGuardWithoutACache(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, client.GuardOptions{})
	key := g.add(t, "n", client.RateLimit{})
	for range 3 {
		g.get(t, key.Secret.Reveal()).wantPass(t, "n")
	}
	_, err := g.admin.Revoke(t.Context(), key.ID)
	must(t, err)
	g.get(t, key.Secret.Reveal()).wantRefused(t, 401, client.CodeCredentialRevoked, badKey, "")
	if n := g.asked.requests.Load(); n != 4 {
		t.Errorf("%d questions", n)
	}
}
