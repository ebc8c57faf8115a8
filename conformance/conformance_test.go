package conformance_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/conformance"
	"apikeyd/contracttest"
	"apikeyd/gen"
	"apikeyd/handlers"
	"apikeyd/servertest"
	"apikeyd/store"
)

// allowedGaps are the documented answers that no exchange needs to show, each with
// its reason.
var allowedGaps = map[contracttest.Answer]string{
	{Operation: "forwardAuth", Status: "200"}:         "not checked yet",
	{Operation: "forwardAuth", Status: "401"}:         "not checked yet",
	{Operation: "forwardAuth", Status: "403"}:         "not checked yet",
	{Operation: "forwardAuth", Status: "429"}:         "not checked yet",
	{Operation: "introspectToken", Status: "200"}:     "not checked yet",
	{Operation: "introspectToken", Status: "400"}:     "not checked yet",
	{Operation: "reportLeakedKey", Status: "202"}:     "not checked yet",
	{Operation: "reportLeakedKey", Status: "429"}:     "not checked yet",
	{Operation: "reportLeakedKey", Status: "default"}: "not checked yet",
	{Operation: "rotateApiKey", Status: "200"}:        "not checked yet",
	{Operation: "rotateApiKey", Status: "400"}:        "not checked yet",
	{Operation: "rotateApiKey", Status: "404"}:        "not checked yet",
	{Operation: "rotateApiKey", Status: "409"}:        "not checked yet",
	{Operation: "verifyApiKey", Status: "200"}:        "not checked yet",
	{Operation: "verifyApiKey", Status: "400"}:        "not checked yet",
}

// run starts a service and runs the suite on it through the checking transport.
func run(t *testing.T, o servertest.Options, readOnly bool, scopes ...string) conformance.Report {
	t.Helper()
	s := servertest.Start(t, o)
	_, secret := s.Add(t, "acme", "for the suite", scopes...)
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Client, ReadOnly: readOnly,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantCleanedUp(t, s, secret.ID())
	return report
}

// wantCleanedUp wants every key that the suite made to be revoked.
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

// TestServiceConforms also holds that every answer which the contract documents was
// seen, by running the suite and then by taking the database away.
func TestServiceConforms(t *testing.T) {
	var coverage contracttest.Coverage
	report := run(t, servertest.Options{Coverage: &coverage}, false, apikey.ScopeAdmin)
	wantNoFindings(t, report)
	if report.Count(conformance.Skipped) > 0 {
		t.Errorf("%d checks were skipped", report.Count(conformance.Skipped))
	}
	t.Logf("%d checks, %d exchanges in %s", len(report.Results), report.Exchanges(), report.Took)
	withoutDatabase(t, &coverage)
	contract := servertest.Contract(t)
	for _, row := range coverage.Table(contract) {
		t.Logf("%-24s seen %d times", row.Answer, row.Seen)
	}
	for _, gap := range coverage.Gaps(contract, allowedGaps) {
		t.Error(gap)
	}
}

// withoutDatabase calls every operation of a service whose database is closed.
func withoutDatabase(t *testing.T, coverage *contracttest.Coverage) {
	t.Helper()
	s := servertest.Start(t, servertest.Options{Coverage: coverage})
	_, secret := s.Add(t, "acme", "admin", apikey.ScopeAdmin)
	if err := s.DB.Close(); err != nil {
		t.Fatal(err)
	}
	for _, operation := range servertest.Contract(t).Operations() {
		r, err := http.NewRequestWithContext(t.Context(), operation.Method,
			s.URL+strings.ReplaceAll(operation.Path, "{key_name}", "x"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Api-Key", secret.Reveal())
		answer, err := s.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // the client checked it
		if answer.StatusCode != http.StatusInternalServerError && operation.ID != "reportLeakedKey" {
			t.Errorf("%s without a database answers %d", operation.ID, answer.StatusCode)
		}
	}
}

// TestOtherKeysAndPolicies runs the suite as others may: with less of a key, without
// the right to change anything, and where keys may not live long.
func TestOtherKeysAndPolicies(t *testing.T) {
	shortLives := servertest.Options{Configure: []func(*handlers.Config){
		func(c *handlers.Config) { c.Policy.MaxLifetime = 24 * time.Hour },
	}}
	for name, tt := range map[string]struct {
		options  servertest.Options
		readOnly bool
		scopes   []string
		passed   int
	}{
		"read and write": {servertest.Options{}, false, []string{apikey.ScopeRead, apikey.ScopeWrite}, 31},
		"read only":      {servertest.Options{}, true, []string{apikey.ScopeRead}, 14},
		"short lives":    {shortLives, false, []string{apikey.ScopeAdmin}, 34},
	} {
		t.Run(name, func(t *testing.T) {
			report := run(t, tt.options, tt.readOnly, tt.scopes...)
			wantNoFindings(t, report)
			if got := report.Count(conformance.Passed); got != tt.passed {
				t.Errorf("%d checks passed, want %d", got, tt.passed)
			}
		})
	}
}

// TestReadOnlyChangesNothing counts what is in the store.
func TestReadOnlyChangesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
	before, err := s.DB.AuditEvents(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conformance.Run(t.Context(), conformance.Options{
		URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Client, ReadOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.DB.AuditEvents(t.Context(), 100)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d changes were made (%v)", len(after)-len(before), err)
	}
}

func TestUnusable(t *testing.T) {
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
