package handlers_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// operator returns a transport that acts as the operator.
func (k *kit) operator(s store.Store) http.RoundTripper {
	log := slog.New(slog.DiscardHandler)
	return handlers.NewOperator(handlers.Config{
		Store: s, Log: log, Now: k.clock.Now,
		Verifier: verify.New(keycache.New(s, keycache.Options{Size: -1, Now: k.clock.Now}), log, verify.Options{}),
	}, "keys test")
}

// operate makes a request as the operator.
func (k *kit) operate(s store.Store, method, path, body string) (*http.Response, error) {
	k.Helper()
	return k.operateBy(k.operator(s), method, path, body)
}

func (k *kit) operateBy(transport http.RoundTripper, method, path, body string) (*http.Response, error) {
	k.Helper()
	r, err := http.NewRequestWithContext(k.Context(), method, "http://apikeyd"+path, strings.NewReader(body))
	k.must(err)
	r.Header.Set("Content-Type", "application/json")
	return transport.RoundTrip(r)
}

// wantOperated makes a request as the operator, and expects a status.
func (k *kit) wantOperated(status int, method, path, body string) {
	k.Helper()
	answer, err := k.operate(k.db, method, path, body)
	k.must(err)
	k.must(answer.Body.Close())
	if answer.StatusCode != status {
		k.Errorf("%s %s is answered %d, want %d", method, path, answer.StatusCode, status)
	}
}

// The operator reaches every owner's keys, those of admin by default, and may grant any scope. The rules for
// keys apply.
func TestOperator(t *testing.T) {
	k := newKit(t)
	k.add("acme", "ci", "datasets:read")
	k.wantOperated(http.StatusOK, "GET", keysPath, "")
	k.wantOperated(http.StatusNotFound, "GET", keysPath+"/ci", "")
	k.wantOperated(http.StatusOK, "DELETE", keysPath+"/ci?owner=acme", "")
	k.wantOperated(http.StatusCreated, "POST", keysPath,
		`{"name": "new", "scopes": ["keys:admin", "datasets:read"], "expires_at": "`+k.in(1e12)+`"}`)
	k.wantOperated(http.StatusBadRequest, "POST", keysPath, `{"name": " ", "expires_at": "`+k.in(1e12)+`"}`)
	k.wantOperated(http.StatusBadRequest, "POST", "/v1/verify", `{"key": "x", "scopes": ["a b"]}`)

	events, err := k.db.AuditEvents(k.Context(), store.EventQuery{Limit: 1})
	k.must(err)
	if e := events[0]; !e.Actor.IsZero() || e.Via != "keys test" || e.Address != "" || e.RequestID != "" {
		k.Errorf("the audit log has %+v", e)
	}
	if key, err := k.db.Key(k.Context(), store.ByName("admin", "new")); err != nil || !key.Scopes.Has(apikey.ScopeAdmin) {
		k.Errorf("the new key is %+v, %v", key, err)
	}
}

// A command that reports many secrets is not throttled, however few of them work.
func TestOperatorReportsLeaks(t *testing.T) {
	k := newKit(t)
	made, operator := k.mustCreate(k.admin, fields{"name": "leaked"}), k.operator(k.db)
	for i := range 101 {
		secret := "nothing"
		if i == 100 {
			secret = made.Secret
		}
		answer, err := k.operateBy(operator, "POST", leaksPath, fields{"key": secret}.json())
		k.must(err)
		k.must(answer.Body.Close())
		if answer.StatusCode != http.StatusAccepted {
			k.Fatalf("report %d is answered %d", i+1, answer.StatusCode)
		}
	}
	k.get(made, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

// A failed call returns its cause to the operator.
func TestOperatorIsToldTheCause(t *testing.T) {
	k := newKit(t)
	for _, cause := range []error{store.ErrUnavailable, store.ErrDamaged, errors.New("the disk hums"), context.Canceled} {
		answer, err := k.operate(failing{k.db, func() error { return cause }}, "GET", keysPath, "")
		if err == nil {
			_ = answer.Body.Close()
		}
		if !errors.Is(err, cause) {
			k.Errorf("%v is told as %v", cause, err)
		}
	}
}
