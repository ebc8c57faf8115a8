package client_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	servertest "apikeyd/internal/testkit/server"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store"
	"apikeyd/store/storetest"
	"apikeyd/verify"
)

// failingStore fails for keys with certain names.
type failingStore struct{ store.Store }

func (s failingStore) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	switch ref.Name {
	case "a defect":
		return apikey.Key{}, errors.New("unexpected")
	case "unavailable":
		return apikey.Key{}, store.ErrUnavailable
	case "outcome unknown":
		return apikey.Key{}, store.ErrUncertain
	case "rotated concurrently":
		key, err := s.Store.Key(ctx, ref)
		if err != nil {
			return key, err
		}
		_, err = s.RotateKey(ctx, store.Operator("somebody else"), store.ByID(key.ID), apikey.Rotation{
			From: key.SecretHash, To: key.NewSecret().Hash(),
		})
		return key, err
	}
	return s.Store.Key(ctx, ref)
}

// Every code of the contract reaches the caller, from the real service.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now, Configure: []func(*handlers.Config){
		func(c *handlers.Config) {
			db := failingStore{c.Store.(store.Store)}
			c.Store, c.ScanningKeys = db, signertest.Keys(t, signertest.New(t, "github's"))
			c.Verifier = verify.New(keycache.New(db, keycache.Options{Now: c.Now}), c.Log, verify.Options{Quotas: db})
		},
	}})
	ctx := t.Context()
	hour := clock.Now().Add(time.Hour)
	create := func(name string) client.CreatedKey {
		t.Helper()
		created, err := k.admin.Create(ctx, client.NewKey{Name: name, ExpiresAt: hour})
		must(t, err)
		return created
	}
	short, err := k.admin.Create(ctx, client.NewKey{Name: "short", ExpiresAt: clock.Now().Add(time.Minute)})
	must(t, err)
	clock.Advance(2 * time.Minute)
	taken, revoked := create("taken"), create("revoked")
	create("rotated concurrently")
	limited, err := k.admin.Create(ctx, client.NewKey{
		Name: "limited", ExpiresAt: hour, RateLimit: &client.RateLimit{Limit: 1, Window: time.Minute},
	})
	must(t, err)
	usedUp, err := k.admin.Create(ctx, client.NewKey{
		Name: "used up", ExpiresAt: hour, Quota: &client.Quota{Limit: 1, Period: client.Month},
	})
	must(t, err)
	for _, secret := range []client.Secret{limited.Secret, usedUp.Secret} {
		_, err = k.admin.Verify(ctx, secret.Reveal())
		must(t, err)
	}
	_, err = k.admin.Revoke(ctx, revoked.ID)
	must(t, err)
	suspended := create("suspended")
	_, err = k.admin.Suspend(ctx, suspended.ID)
	must(t, err)

	// altered returns the admin's client with a change made to its requests.
	altered := func(alter func(*http.Request)) *client.Client {
		return newClient(t, k.URL, k.secret, client.Options{MaxRetries: -1, HTTPClient: &http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				alter(r)
				return k.Client.Transport.RoundTrip(r)
			}),
		}})
	}
	tryGet := func(c *client.Client, name string) error { _, err := c.Get(ctx, name); return err }
	// Only GitHub reports what it scanned.
	tryScan := func(service string) error {
		return tryGet(altered(func(r *http.Request) {
			r.Method, r.URL.Path, r.URL.Host = http.MethodPost, "/v1/secret-scanning/github", strings.TrimPrefix(service, "http://")
		}), "n")
	}
	// Only gateways ask for a 429.
	tryForward := func(secret client.Secret) error {
		return tryGet(altered(func(r *http.Request) {
			r.URL.Path, r.URL.RawQuery = "/v1/forward-auth", "rate_limited=429"
			r.Header.Set("X-Api-Key", secret.Reveal())
		}), "n")
	}
	tryCreate := func(c *client.Client, n client.NewKey) error { _, err := c.Create(ctx, n); return err }

	hook, err := k.admin.CreateWebhook(ctx, client.NewWebhook{URL: "https://hooks.example.com"})
	must(t, err)
	tests := []struct {
		code   string
		status int
		err    error
	}{
		{client.CodeInvalidRequest, 400, tryCreate(k.admin, client.NewKey{Name: "a\nb"})},
		{client.CodeCredentialMissing, 401, tryGet(altered(func(r *http.Request) { r.Header.Del("X-Api-Key") }), "n")},
		{client.CodeCredentialAmbiguous, 401, tryGet(altered(func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+taken.Secret.Reveal())
		}), "n")},
		{client.CodeCredentialInvalid, 401, tryGet(k.as(t, "ak_wrong"), "n")},
		{client.CodeCredentialExpired, 401, tryGet(k.as(t, short.Secret.Reveal()), "n")},
		{client.CodeCredentialRevoked, 401, tryGet(k.as(t, revoked.Secret.Reveal()), "n")},
		{client.CodeCredentialDisabled, 401, tryGet(k.as(t, suspended.Secret.Reveal()), "n")},
		{client.CodeSignatureInvalid, 401, tryScan(k.URL)},
		{client.CodeScanningOff, 404, tryScan(newKit(t, servertest.Options{}).URL)},
		{client.CodeAddressNotAllowed, 403, func() error {
			made, err := k.admin.Create(ctx, client.NewKey{Name: "elsewhere", ExpiresAt: hour, AllowedCIDRs: &[]string{"192.0.2.0/24"}})
			must(t, err)
			return tryGet(k.as(t, made.Secret.Reveal()), "n")
		}()},
		{client.CodeInsufficientScope, 403, func() error {
			_, nothing := k.Add(t, "o", "nothing")
			return tryGet(k.as(t, nothing.Reveal()), "n")
		}()},
		{client.CodeForbidden, 403, tryGet(k.as(t, taken.Secret.Reveal()).ForOwner("another"), "n")},
		{client.CodeKeyNotFound, 404, tryGet(k.admin, "nobody")},
		{client.CodeOwnerNotFound, 404, func() error { _, err := k.admin.Owner(ctx, "nobody"); return err }()},
		{client.CodeWebhookNotFound, 404, second(k.admin.Webhook(ctx, taken.ID))},
		{client.CodeDeliveryNotFound, 404, second(k.admin.RetryDelivery(ctx, hook.ID, taken.ID))},
		{client.CodeWebhookDisabled, 409, func() error {
			_, err := k.admin.UpdateWebhook(ctx, hook.ID, client.WebhookChange{Enabled: new(false)})
			must(t, err)
			return second(k.admin.TestWebhook(ctx, hook.ID))
		}()},
		{client.CodeTooManyWebhooks, 409, func() (err error) {
			for range 100 {
				_, err = k.admin.CreateWebhook(ctx, client.NewWebhook{URL: "https://hooks.example.com"})
			}
			all, listed := k.admin.Webhooks(ctx)
			must(t, listed)
			for _, w := range all { // retention would leave what they have not heard
				must(t, second(k.admin.UpdateWebhook(ctx, w.ID, client.WebhookChange{Enabled: new(false)})))
			}
			return err
		}()},
		{client.CodePathNotFound, 404, tryGet(newClient(t, k.URL+"/wrong", k.secret, client.Options{}), "n")},
		{client.CodeMethodNotAllowed, 405, tryGet(altered(func(r *http.Request) { r.Method = http.MethodPut }), "n")},
		{client.CodeNameTaken, 409, tryCreate(k.admin, client.NewKey{Name: "taken", ExpiresAt: hour})},
		{client.CodeTooManyKeys, 409, func() error {
			_, err := k.admin.UpdateOwner(ctx, "full", client.OwnerChange{MaxKeys: new(1)})
			must(t, err)
			must(t, tryCreate(k.admin.ForOwner("full"), client.NewKey{Name: "one", ExpiresAt: hour}))
			return tryCreate(k.admin.ForOwner("full"), client.NewKey{Name: "two", ExpiresAt: hour})
		}()},
		{client.CodeKeyRevoked, 409, func() error {
			_, err := k.admin.Update(ctx, revoked.ID, client.Change{Name: new("m")})
			return err
		}()},
		{client.CodeKeyChanged, 412, func() error { _, err := k.admin.IfMatch(`"x"`).Update(ctx, "admin", client.Change{}); return err }()},
		{client.CodeKeyRotated, 409, func() error { _, err := k.admin.Rotate(ctx, "rotated concurrently", 0); return err }()},
		{client.CodeBodyTooLarge, 413, tryCreate(k.admin, client.NewKey{Name: strings.Repeat("n", 64<<10), ExpiresAt: hour})},
		{client.CodeHistoryRemoved, 409, func() error {
			clock.Advance(time.Second)
			_, changed := k.admin.Rotate(ctx, taken.ID, 0)
			_, removed := k.DB.PruneEvents(ctx, clock.Now().Add(time.Second))
			must(t, errors.Join(changed, removed))
			_, err := k.admin.GetAt(ctx, taken.ID, taken.CreatedAt)
			return err
		}()},
		{client.CodeBodyEncoded, 415, func() error {
			c := altered(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
			_, err := c.Create(ctx, client.NewKey{Name: "n", ExpiresAt: hour})
			return err
		}()},
		{client.CodeQuotaExceeded, 429, tryForward(usedUp.Secret)},
		{client.CodeRateLimited, 429, tryForward(limited.Secret)},
		{client.CodeTooManyRequests, 429, func() (err error) {
			for range 31 {
				err = k.admin.ReportLeak(ctx, "nothing that is a secret")
			}
			return err
		}()},
		{client.CodeInternal, 500, tryGet(k.admin, "a defect")},
		{client.CodeUnavailable, 503, tryGet(k.admin, "unavailable")},
		{client.CodeOutcomeUnknown, 503, tryGet(k.admin, "outcome unknown")},
	}
	var seen []string
	for _, tt := range tests {
		seen = append(seen, tt.code)
		e := errorIn(t, tt.err, tt.status, tt.code)
		if e.Message == "" || e.RequestID == "" {
			t.Errorf("%s: no message or request id: %+v", tt.code, e)
		}
		if text := fmt.Sprintf("apikeyd: %d %s: %s (request %s)", e.Status, e.Code, e.Message, e.RequestID); tt.err.Error() != text {
			t.Errorf("%q, want %q", tt.err, text)
		}
		if wait := e.RetryAfter; (wait > 0) != (tt.status == 429 || tt.code == client.CodeUnavailable) {
			t.Errorf("%s: retry after %v", tt.code, wait)
		}
	}
	slices.Sort(seen)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(contractCodes(t))), seen); diff != "" {
		t.Errorf("the contract has other codes than were seen here: %s", diff)
	}
}

func TestDetailsNameTheFields(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	_, err := k.admin.Create(t.Context(), client.NewKey{
		Name: " n ", ExpiresAt: time.Now().Add(-time.Hour), Scopes: &[]string{"keys:unknown"},
	})
	e := errorIn(t, err, 400, client.CodeInvalidRequest)
	var fields []string
	for _, d := range e.Details {
		fields = append(fields, d.Field)
		if d.Message == "" || !strings.Contains(e.Message, d.Message) {
			t.Errorf("%s: %q is not in %q", d.Field, d.Message, e.Message)
		}
	}
	slices.Sort(fields)
	if want := []string{"expires_at", "name", "scopes"}; !slices.Equal(fields, want) {
		t.Errorf("fields %q, want %q", fields, want)
	}
}

// contractCodes reads the codes, and their statuses, from the contract's own words.
func contractCodes(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	_, text2, _ := strings.Cut(string(text), "What is wrong, for a program.")
	text2, _, _ = strings.Cut(text2, "More may be added.")
	codes := map[string]string{}
	for _, group := range regexp.MustCompile(`([A-Z_,\s]+)\((\d{3})\)`).FindAllStringSubmatch(text2, -1) {
		for _, code := range regexp.MustCompile(`[A-Z_]+`).FindAllString(group[1], -1) {
			codes[code] = group[2]
		}
	}
	return codes
}

// The constants are the contract's, with their statuses.
func TestConstantsAreTheContracts(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("errors.go")
	must(t, err)
	constants := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^\tCode\w+ += "([A-Z_]+)" +// (\d{3})`).FindAllStringSubmatch(string(source), -1) {
		constants[line[1]] = line[2]
	}
	if diff := cmp.Diff(contractCodes(t), constants); diff != "" {
		t.Errorf("contract (-) and constants (+): %s", diff)
	}
}

// An answer from somewhere else keeps its status, and the message says so.
func TestAnswersThatAreNotTheServices(t *testing.T) {
	t.Parallel()
	const (
		html    = "text/html; charset=utf-8"
		json    = "application/json"
		id      = `"id":"0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f"`
		foreign = "does not come from apikeyd"
	)
	for _, tt := range []struct {
		name, kind string
		status     int
		body, want string
	}{
		{"a proxy's 502", html, 502, "<h1>Bad Gateway</h1>", "the answer (text/html) does not come from apikeyd"},
		{"a log-in page", html, 200, "<h1>Log in</h1>", "the answer (text/html) does not come from apikeyd"},
		{"no type", "", 500, "oops", "the answer (unknown type) does not come from apikeyd"},
		{"nothing at all", "", 503, "", foreign},
		{"another JSON error", json, 404, `{"error":"no route"}`, "(application/json) does not come from apikeyd"},
		{"JSON of another shape", json, 400, `{"status":"400","message":1}`, foreign},
		{"JSON that is no object", json, 400, `[1]`, foreign},
		{"a redirect", html, 301, "<h1>Moved</h1>", "is a redirect"},
		{"good, but empty", json, 200, `{}`, foreign},
		{"good, but null", json, 200, `null`, foreign},
		{"good, with more behind it", json, 200, `{` + id + `} {}`, foreign},
		{"good, with a bad date", json, 200, `{` + id + `,"created_at":"yesterday"}`, foreign},
		{"an error with a good status", json, 200, `{"status":400,"message":"m","code":"c"}`, foreign},
		{"another good status", json, 202, `{` + id + `}`, foreign},
		{"too large", json, 200, `{` + id + `,"name":"` + strings.Repeat("n", 17<<20) + `"}`, "larger than 16 MiB"},
	} {
		header := http.Header{"X-Request-Id": {"proxy-7"}}
		if tt.kind != "" {
			header.Set("Content-Type", tt.kind)
		}
		c := newClient(t, "http://keys.test", "secret", client.Options{MaxRetries: -1, HTTPClient: &http.Client{
			Transport: roundTrip(func(*http.Request) (*http.Response, error) { return answer(tt.status, header, tt.body), nil }),
		}})
		_, err := c.Get(t.Context(), "n")
		e := errorIn(t, err, tt.status, "")
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if e.RequestID != "proxy-7" {
			t.Errorf("%s: request id %q", tt.name, e.RequestID)
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", &client.Error{Code: client.CodeNameTaken})
	if code := client.CodeOf(err); code != client.CodeNameTaken {
		t.Errorf("code %q", code)
	}
	for _, err := range []error{nil, errors.New("something else")} {
		if code := client.CodeOf(err); code != "" {
			t.Errorf("%v has the code %q", err, code)
		}
	}
}
