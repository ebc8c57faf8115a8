package client_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	create := func(name string, lives time.Duration, limit *client.RateLimit) client.CreatedKey {
		t.Helper()
		created, err := k.admin.ForOwner("customer-42").Create(ctx, client.NewKey{
			Name: name, ExpiresAt: clock.Now().Add(lives), Scopes: &[]string{"datasets:read", "datasets:write"},
			Metadata: map[string]string{"plan": "pro"}, RateLimit: limit,
		})
		must(t, err)
		return created
	}
	good, short := create("good", time.Hour, nil), create("short", time.Minute, nil)
	ended := create("ended", time.Hour, nil)
	limited := create("limited", time.Hour, &client.RateLimit{Limit: 1, Window: time.Minute})
	_, err := k.admin.Revoke(ctx, ended.ID)
	must(t, err)
	suspended := create("suspended", time.Minute, nil)
	_, err = k.admin.Suspend(ctx, suspended.ID)
	must(t, err)
	clock.Advance(time.Minute)

	_, asking := k.Add(t, "resource server", "r", "keys:verify")
	c := k.as(t, asking.Reveal())
	for _, tt := range []struct {
		name, secret string
		scopes       []string
		code         client.VerifyCode
		key          client.CreatedKey
		wait         time.Duration
	}{
		{"good", good.Secret.Reveal(), nil, client.VerifyValid, good, 0},
		{"good, with scopes", good.Secret.Reveal(), []string{"datasets:read", "datasets:write"}, client.VerifyValid, good, 0},
		{"lacks a scope", good.Secret.Reveal(), []string{"datasets:read", "other"}, client.VerifyInsufficientScope, good, 0},
		{"expired", short.Secret.Reveal(), nil, client.VerifyExpired, short, 0},
		{"revoked", ended.Secret.Reveal(), nil, client.VerifyRevoked, ended, 0},
		{"suspended and expired", suspended.Secret.Reveal(), nil, client.VerifyDisabled, suspended, 0},
		{"the first within the limit", limited.Secret.Reveal(), nil, client.VerifyValid, limited, 0},
		{"over the limit", limited.Secret.Reveal(), nil, client.VerifyRateLimited, limited, time.Minute},
		{"nothing", "", nil, client.VerifyNotFound, client.CreatedKey{}, 0},
		{"a word", "hunter2", nil, client.VerifyNotFound, client.CreatedKey{}, 0},
		{"not UTF-8", "ak_\xff\xfe", nil, client.VerifyNotFound, client.CreatedKey{}, 0},
		{"cut short", good.Secret.Reveal()[:60], nil, client.VerifyNotFound, client.CreatedKey{}, 0},
	} {
		got, err := c.Verify(ctx, tt.secret, tt.scopes...)
		must(t, err)
		want, err := k.admin.Get(ctx, tt.key.ID)
		if tt.key.ID == "" {
			wantError(t, err, 404, client.CodeKeyNotFound)
		}
		if diff := cmp.Diff(client.Verification{Code: tt.code, Key: want, RetryAfter: tt.wait}, got, ignoreETag); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if got.Valid() != (tt.code == client.VerifyValid) {
			t.Errorf("%s: valid: %t", tt.name, got.Valid())
		}
	}

	_, err = k.as(t, good.Secret.Reveal()).Verify(ctx, good.Secret.Reveal())
	wantError(t, err, 403, client.CodeInsufficientScope)
	_, err = c.Verify(ctx, good.Secret.Reveal(), "two scopes")
	wantError(t, err, 400, client.CodeInvalidRequest)
	_, err = c.Verify(ctx, good.Secret.Reveal(), "caf\xe9")
	wantError(t, err, 400, client.CodeInvalidRequest)
}

// An answer that is not clearly a VALID decision is an error.
func TestInvalidDecisions(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `null`, `{"valid":true}`, `{"valid":true,"code":"VALID"}`, `{"valid":true,"code":"VALID","key":{}}`,
		`{"valid":true,"code":"REVOKED","key":{"id":"` + keyID + `"}}`,
		`{"valid":false,"code":"VALID","key":{"id":"` + keyID + `"}}`,
		`{"valid":true,"code":"NOT_FOUND"}`, `{"valid":false,"code":"REVOKED"}`, `{"valid":false,"code":"NEWER"}`,
		`{"valid":false,"key":{"id":"` + keyID + `"}}`,
		`{"valid":"true","code":"VALID","key":{"id":"` + keyID + `"}}`,
	} {
		c := newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{
			Transport: roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, nil, body), nil }),
		}})
		v, err := c.Verify(t.Context(), "s")
		wantError(t, err, 200, "")
		if v.Valid() {
			t.Errorf("%s is valid", body)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	first, err := k.admin.ForOwner("customer-42").Create(ctx, client.NewKey{
		Name: "n", ExpiresAt: clock.Now().Add(48 * time.Hour), Metadata: map[string]string{"plan": "pro"},
	})
	must(t, err)
	wantCodes := func(when string, secrets map[client.Secret]client.VerifyCode) {
		t.Helper()
		for secret, want := range secrets {
			if v, err := k.admin.Verify(ctx, secret.Reveal()); err != nil || v.Code != want {
				t.Errorf("%s: %s, %v, want %s", when, v.Code, err, want)
			}
		}
	}
	const good, gone = client.VerifyValid, client.VerifyNotFound

	second, err := k.admin.ForOwner("customer-42").Rotate(ctx, "n", 24*time.Hour)
	must(t, err)
	want := first.Key
	want.GraceEndsAt, want.RotatedAt = clock.Now().Add(24*time.Hour), clock.Now()
	if diff := cmp.Diff(want, second.Key, ignoreETag); diff != "" {
		t.Error(diff)
	}
	wantCodes("in the grace", map[client.Secret]client.VerifyCode{first.Secret: good, second.Secret: good})
	clock.Advance(24 * time.Hour)
	wantCodes("after the grace", map[client.Secret]client.VerifyCode{first.Secret: gone, second.Secret: good})

	third, err := k.admin.Rotate(ctx, first.ID, 0)
	must(t, err)
	if !third.GraceEndsAt.IsZero() {
		t.Errorf("a grace until %v", third.GraceEndsAt)
	}
	wantCodes("without a grace", map[client.Secret]client.VerifyCode{second.Secret: gone, third.Secret: good})
	longest, err := k.admin.Rotate(ctx, first.ID, 7*24*time.Hour)
	must(t, err)
	if !longest.GraceEndsAt.Equal(first.ExpiresAt) {
		t.Errorf("the grace goes on until %v, past the end at %v", longest.GraceEndsAt, first.ExpiresAt)
	}

	own := k.as(t, longest.Secret.Reveal())
	itself, err := own.Rotate(ctx, "n", 0)
	must(t, err)
	_, err = own.Get(ctx, "n")
	wantError(t, err, 401, client.CodeCredentialInvalid)
	_, err = k.as(t, itself.Secret.Reveal()).Get(ctx, "n")
	must(t, err)

	for _, grace := range []time.Duration{-time.Second, 8 * 24 * time.Hour} {
		_, err = k.admin.Rotate(ctx, first.ID, grace)
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
	_, err = k.admin.Rotate(ctx, first.ID, 500*time.Millisecond) // truncated, it would be no grace
	wantPlain(t, err)
	_, err = k.admin.Revoke(ctx, first.ID)
	must(t, err)
	_, err = k.admin.Rotate(ctx, first.ID, 0)
	wantError(t, err, 409, client.CodeKeyRevoked)
}

func TestReportLeak(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	old, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: inAnHour()})
	must(t, err)
	current, err := k.admin.Rotate(ctx, "n", time.Hour)
	must(t, err)
	stranger := k.as(t, "no-key-of-the-service") // a report needs no key
	for _, tt := range []struct {
		secret       string
		old, current client.VerifyCode
	}{
		{"something else", client.VerifyValid, client.VerifyValid},
		{old.Secret.Reveal(), client.VerifyNotFound, client.VerifyValid},
		{current.Secret.Reveal(), client.VerifyNotFound, client.VerifyRevoked},
		{current.Secret.Reveal(), client.VerifyNotFound, client.VerifyRevoked},
		{"", client.VerifyNotFound, client.VerifyRevoked},
	} {
		must(t, stranger.ReportLeak(ctx, tt.secret))
		first, err := k.admin.Verify(ctx, old.Secret.Reveal())
		must(t, err)
		second, err := k.admin.Verify(ctx, current.Secret.Reveal())
		must(t, err)
		if first.Code != tt.old || second.Code != tt.current {
			t.Errorf("after the report of %.10q: %s and %s, want %s and %s", tt.secret, first.Code, second.Code, tt.old, tt.current)
		}
	}
	err = stranger.ReportLeak(ctx, strings.Repeat("n", 64<<10))
	wantError(t, err, 413, client.CodeBodyTooLarge)
}
