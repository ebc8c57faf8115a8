package conformance_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/conformance"
	"apikeyd/gen"
	"apikeyd/handlers"
	contracttest "apikeyd/internal/testkit/contract"
	servertest "apikeyd/internal/testkit/server"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store"
)

// allowedGaps are the documented answers that no exchange needs to cover, each with its reason.
var allowedGaps = map[contracttest.Answer]string{
	{Operation: "createWebhook", Status: "409"}: "the suite does not fill up a deployment's webhooks",
}

// skippingClock is the real clock, but it skips the waits of the suite. A service with the same clock
// sees that time pass.
type skippingClock struct{ skipped atomic.Int64 }

func (c *skippingClock) Now() time.Time { return time.Now().Add(time.Duration(c.skipped.Load())) }

func (c *skippingClock) Sleep(_ context.Context, d time.Duration) { c.skipped.Add(int64(d)) }

// run starts a service and runs the suite on it through the checking transport.
func run(t *testing.T, o servertest.Options, readOnly bool, scopes ...string) conformance.Report {
	t.Helper()
	clock := &skippingClock{}
	o.Now = clock.Now
	s := servertest.Start(t, o)
	_, secret := s.Add(t, "acme", "for the suite", scopes...)
	return runOn(t, s, secret, conformance.Options{ReadOnly: readOnly}.By(clock))
}

// runOn runs the suite with a key.
func runOn(t *testing.T, s *servertest.Server, secret apikey.Secret, o conformance.Options) conformance.Report {
	t.Helper()
	o.URL, o.Key, o.Contract, o.Client = s.URL, secret.Reveal(), gen.Contract, s.Client
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wantCleanedUp(t, s, secret.ID())
	return report
}

// wantCleanedUp checks that every key that the suite created is revoked.
func wantCleanedUp(t *testing.T, s *servertest.Server, ours apikey.ID) {
	t.Helper()
	page, err := s.DB.Keys(t.Context(), store.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range page.Keys {
		if key.ID != ours && !key.IsRevoked() {
			t.Errorf("the suite left %q of %q behind", key.Name, key.Owner)
		}
	}
}

func wantNoFindings(t *testing.T, report conformance.Report) {
	t.Helper()
	for _, result := range report.Results {
		if result.Outcome == conformance.Failed {
			t.Errorf("%s: %s:\n\t%s", result.Group, result.Check, strings.Join(result.Findings, "\n\t"))
		}
	}
}

// TestServiceConforms also checks that every documented answer was seen, by running the suite and
// then closing the database. It runs on the real clock.
func TestServiceConforms(t *testing.T) {
	t.Parallel()
	var coverage contracttest.Coverage
	s := servertest.Start(t, servertest.Options{Coverage: &coverage})
	key, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
	report := runOn(t, s, secret, conformance.Options{})
	wantNoFindings(t, report)
	if report.Count(conformance.Skipped) > 0 {
		t.Errorf("%d checks were skipped", report.Count(conformance.Skipped))
	}
	t.Logf("%d checks, %d exchanges in %s", len(report.Results), report.Exchanges(), report.Took)
	withoutHistory(t, s, key, secret)
	withScanning(t, &coverage)
	withoutDatabase(t, &coverage)
	contract := servertest.Contract(t)
	for _, row := range coverage.Table(contract) {
		t.Logf("%-24s seen %d times", row.Answer, row.Seen)
	}
	for _, gap := range coverage.Gaps(contract, allowedGaps) {
		t.Error(gap)
	}
}

// bodies returns valid bodies for the operations that need one.
func bodies(secret string) map[string]string {
	return map[string]string{
		"createApiKey":  `{"name":"x","expires_at":"2099-01-01T00:00:00Z"}`,
		"updateApiKey":  `{"name":"x"}`,
		"rotateApiKey":  `{"grace_seconds":60}`,
		"createWebhook": `{"url":"https://hooks.example.com"}`,
		"updateWebhook": `{"enabled":false}`,

		"rotateWebhookSecret": `{"grace_seconds":60}`,
		"verifyApiKey":        `{"key":"` + secret + `"}`,
		"introspectToken":     "token=" + secret,
		"reportLeakedKey":     `{"key":"` + secret + `"}`,

		"reportScannedSecrets": `[{"token":"` + secret + `","type":"t"}]`,
	}
}

// withoutHistory asks what a key was before what retention removed.
func withoutHistory(t *testing.T, s *servertest.Server, key apikey.Key, secret apikey.Secret) {
	t.Helper()
	if _, err := s.DB.PruneEvents(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	url := s.URL + "/v1/api-keys/" + key.ID.String() + "/history?at=" + apikey.Timestamp(key.CreatedAt).String()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", secret.Reveal())
	answer, err := s.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // the client checked it
	if answer.StatusCode != http.StatusConflict {
		t.Errorf("a removed history answers %d", answer.StatusCode)
	}
}

// withScanning reports what GitHub scanned until it is refused: signed, signed but wrong, and unsigned.
func withScanning(t *testing.T, coverage *contracttest.Coverage) {
	t.Helper()
	github := signertest.New(t, "github's")
	s := servertest.Start(t, servertest.Options{Coverage: coverage, Configure: []func(*handlers.Config){receiving(t, github)}})
	for status, body := range map[int]string{200: "[]", 400: "{}", 429: ""} {
		for got := 0; got != status; {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/secret-scanning/github", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body != "" {
				r.Header = github.Header(t, body)
			}
			answer, err := s.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close() // the client checked it
			if got = answer.StatusCode; got != status && got != http.StatusUnauthorized {
				t.Fatalf("the body %q gets %d, want %d", body, got, status)
			}
		}
	}
}

// receiving lets a service receive what the signer signs.
func receiving(t *testing.T, by signertest.Signer) func(*handlers.Config) {
	return func(c *handlers.Config) { c.ScanningKeys = signertest.Keys(t, by) }
}

// withoutDatabase calls every operation of a service whose database is closed.
func withoutDatabase(t *testing.T, coverage *contracttest.Coverage) {
	t.Helper()
	github := signertest.New(t, "github's")
	s := servertest.Start(t, servertest.Options{Coverage: coverage, Configure: []func(*handlers.Config){receiving(t, github)}})
	_, secret := s.Add(t, "acme", "admin", apikey.ScopeAdmin)
	if err := s.DB.Close(); err != nil {
		t.Fatal(err)
	}
	for _, operation := range servertest.Contract(t).Operations() {
		body := bodies(secret.Reveal())[operation.ID]
		path := strings.NewReplacer("{key_name}", "x", "{owner}", "x", "{webhook_id}", apikey.NewID().String(), "{event_id}", apikey.NewID().String()).Replace(operation.Path)
		r, err := http.NewRequestWithContext(t.Context(), operation.Method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(body, "["):
			r.Header = github.Header(t, body)
		case strings.HasPrefix(body, "{"):
			r.Header.Set("Content-Type", "application/json")
		case body != "":
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("X-Api-Key", secret.Reveal())
		answer, err := s.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // the client checked it
		if answer.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s without a database answers %d", operation.ID, answer.StatusCode)
		}
	}
}

// TestOtherKeysAndPolicies runs the suite with keys that have fewer scopes, read-only, and with a
// short maximum lifetime.
func TestOtherKeysAndPolicies(t *testing.T) {
	t.Parallel()
	shortLives := servertest.Options{Configure: []func(*handlers.Config){
		func(c *handlers.Config) { c.Policy.MaxLifetime = 24 * time.Hour },
	}}
	for name, tt := range map[string]struct {
		options  servertest.Options
		readOnly bool
		scopes   []string
		passed   int
	}{
		"read and write": {servertest.Options{}, false, []string{apikey.ScopeRead, apikey.ScopeWrite}, 83},
		"read, write and verify": {servertest.Options{}, false,
			[]string{apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify, "datasets:read"}, 97},
		"read and verify":       {servertest.Options{}, false, []string{apikey.ScopeRead, apikey.ScopeVerify}, 30},
		"read only":             {servertest.Options{}, true, []string{apikey.ScopeRead}, 25},
		"read only, with admin": {servertest.Options{}, true, []string{apikey.ScopeAdmin}, 25},
		"short lives":           {shortLives, false, []string{apikey.ScopeAdmin}, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := run(t, tt.options, tt.readOnly, tt.scopes...)
			wantNoFindings(t, report)
			if got := report.Count(conformance.Passed); got != tt.passed {
				t.Errorf("%d checks passed, want %d", got, tt.passed)
			}
		})
	}
}

// TestLimitedKeys runs the suite with keys that have a rate limit and a quota, which the suite must not use up.
func TestLimitedKeys(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scopes []string
		passed int
	}{
		"an admin":       {[]string{apikey.ScopeAdmin}, 121},
		"read and write": {[]string{apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify}, 81},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &skippingClock{}
			s := servertest.Start(t, servertest.Options{Now: clock.Now})
			key, secret := s.Add(t, "acme", "for the suite", tt.scopes...)
			limit, quota := apikey.RateLimit{Limit: 1, Window: 24 * time.Hour}, apikey.Quota{Limit: 1, Period: apikey.Month, StartsOn: 1}
			if _, err := s.DB.UpdateKey(t.Context(), store.Operator("test"), store.ByID(key.ID),
				apikey.Change{RateLimit: &limit, Quota: &quota}); err != nil {
				t.Fatal(err)
			}
			report := runOn(t, s, secret, conformance.Options{}.By(clock))
			wantNoFindings(t, report)
			if got := report.Count(conformance.Passed); got != tt.passed {
				t.Errorf("%d checks passed, want %d", got, tt.passed)
			}
		})
	}
}

// TestReadOnlyChangesNothing counts the audit events.
func TestReadOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
	before, err := s.DB.AuditEvents(t.Context(), store.EventQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	_, err = conformance.Run(t.Context(), conformance.Options{
		URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Client, ReadOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.DB.AuditEvents(t.Context(), store.EventQuery{Limit: 100})
	if err != nil || len(after) != len(before) {
		t.Errorf("%d changes were made (%v)", len(after)-len(before), err)
	}
}

func TestUnusable(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	unknown := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	_, noScopes := s.Add(t, "acme", "no scopes")
	for name, o := range map[string]conformance.Options{
		"no URL":           {Key: unknown},
		"nobody listens":   {URL: "http://127.0.0.1:1", Key: unknown},
		"malformed key":    {URL: s.URL, Key: "ak_nonsense"},
		"unknown key":      {URL: s.URL, Key: unknown},
		"key without read": {URL: s.URL, Key: noScopes.Reveal()},
	} {
		o.Contract = gen.Contract
		_, err := conformance.Run(t.Context(), o)
		if !errors.Is(err, conformance.ErrUnusable) {
			t.Errorf("%s: error is %v", name, err)
		} else if strings.Contains(err.Error(), o.Key) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}
