package handlers

import (
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/history"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
	"apikeyd/verify"
)

// The errors in the contract's examples are those that a caller gets, word for word.
func TestErrorExamples(t *testing.T) {
	t.Parallel()
	contract, err := gen.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	unheld := maps.Clone(contract.Components.Responses)
	server := newServer(Config{AuthFailures: apikey.RateLimit{Limit: 60, Window: time.Minute}})
	key := &apikey.Key{Settings: apikey.Settings{
		RateLimit: apikey.RateLimit{Limit: 100, Window: time.Minute},
		Quota:     apikey.Quota{Limit: 100_000, Period: apikey.Month, StartsOn: 1},
	}}
	limited := verify.Result{Code: verify.RateLimited, Key: key, RateLimit: ratelimit.State{RetryAfter: 3 * time.Second}}
	exceeding := verify.Result{Code: verify.QuotaExceeded, Key: key, Quota: quota.State{
		Remaining: 3, ResetsAt: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	}}
	for response, errs := range map[string]map[string]error{
		"Unauthorized": {
			"missing":  &credentialError{codeMissing, "send an API key as x-api-key: SECRET or Authorization: Bearer SECRET"},
			"invalid":  refusal(verify.Result{Code: verify.NotFound}, nil, netip.Addr{}),
			"expired":  refusal(verify.Result{Code: verify.Expired}, nil, netip.Addr{}),
			"revoked":  refusal(verify.Result{Code: verify.Revoked}, nil, netip.Addr{}),
			"disabled": refusal(verify.Result{Code: verify.Disabled}, nil, netip.Addr{}),
		},
		"NotAdmitted": {
			"scope":   &scopeError{lacking: apikey.Scopes{"datasets:read"}},
			"address": refusal(verify.Result{Code: verify.AddressNotAllowed}, nil, netip.MustParseAddr("203.0.113.9")),
			"limit":   &limitError{http.StatusForbidden, 1, limited},
			"quota":   &limitError{http.StatusForbidden, 25, exceeding},
		},
		"RateLimited": {
			"limit": &limitError{http.StatusTooManyRequests, 1, limited},
			"quota": &limitError{http.StatusTooManyRequests, 25, exceeding},
		},
		"TooManyRequests": {"reports": exceeded(server.leakReports)},
		"BadScope":        {"comma": apikey.Invalid("scope", apikey.CommaFault("datasets:read,reports:read"))},
		"BadQuery":        {"query": apikey.Invalid("verbose", "is not a query parameter of this operation; leave it out")},
		"BadRequest": {
			"body":  apikey.Invalid("expires_at", "must be in the future"),
			"query": apikey.Invalid("verbose", "is not a query parameter of this operation; leave it out"),
		},
		"NotCreated":     {"taken": store.ErrNameTaken, "tooMany": store.ErrTooManyKeys},
		"Conflict":       {"taken": store.ErrNameTaken, "revoked": store.ErrRevoked},
		"NotRotated":     {"revoked": store.ErrRevoked, "rotated": store.ErrRotated},
		"KeyChanged":     {"changed": store.ErrChanged},
		"HistoryRemoved": {"removed": &history.RemovedError{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}},
		"NotFound":       {"key": store.ErrNotFound},
		"NotSigned":      {"missing": errNotSigned, "unknown": errUnknownSigner, "wrong": errBadSignature},
		"ScanningOff":    {"off": errScanningOff},

		"OwnerNotFound": {"owner": store.ErrNoOwner},

		"WebhookNotFound":  {"webhook": store.ErrNoWebhook},
		"DeliveryNotFound": {"delivery": store.ErrNoDelivery},
		"TooManyWebhooks":  {"many": store.ErrTooManyWebhooks},
		"WebhookDisabled":  {"disabled": store.ErrWebhookDisabled},
		"Forbidden": {
			"scope": &scopeError{lacking: apikey.Scopes{apikey.ScopeWrite}},
			"owner": apikey.Key{}.MayReach("another"),
		},
		"Error": {
			"unavailable": store.ErrUnavailable, "unknown": store.ErrUncertain, "tooLarge": errBodyTooLarge,
			"encoded": errBodyEncoded, "internal": errors.New("a bug"), "throttled": exceeded(server.authFailures),
		},
	} {
		delete(unheld, response)
		for name, example := range contract.Components.Responses[response].Value.Content[jsonMedia].Examples {
			err, listed := errs[name]
			if !listed {
				t.Fatalf("%s: the example %s is not held by this test", response, name)
			}
			p, value := problemOf(err), example.Value.Value.(map[string]any)
			if value["message"] != p.message || value["code"] != p.code || value["status"] != float64(p.status) {
				t.Errorf("%s: the example %s is %v, and the service says %d %s: %s", response, name, value, p.status, p.code, p.message)
			}
		}
	}
	for response := range unheld {
		t.Errorf("the examples of %s are not held by this test", response)
	}
}

// exceeded uses up a limit and returns its error.
func exceeded(limiter failureLimiter) error {
	for {
		if err := limiter.check(netip.MustParseAddr("192.0.2.1"), time.Unix(0, 0)); err != nil {
			return err
		}
	}
}
