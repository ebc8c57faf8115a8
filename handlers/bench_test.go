package handlers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store"
)

// BenchmarkRequest makes whole requests, except for the network.
func BenchmarkRequest(b *testing.B) {
	var handler http.Handler
	server := servertest.Start(b, servertest.Options{Handler: func(h http.Handler) http.Handler {
		handler = h
		return h
	}})
	_, verifier := server.Add(b, "gateway", "verifier", apikey.ScopeVerify)
	_, reader := server.Add(b, "customer", "reader", apikey.ScopeRead, "datasets:read")
	for i := range 100 {
		server.Add(b, "customer", fmt.Sprintf("key %d", i), "datasets:read")
	}
	body := fmt.Sprintf(`{"key":%q,"scopes":["datasets:read"]}`, reader.Reveal())
	_, limited := server.Add(b, "limited", "key", "datasets:read")
	ofLimited := fmt.Sprintf(`{"key":%q,"scopes":["datasets:read"]}`, limited.Reveal())
	setLimits := func() {
		_, err := server.DB.UpdateOwner(b.Context(), store.Operator("test"), "limited", apikey.OwnerChange{
			RateLimit: &apikey.RateLimit{Limit: 1_000_000, Window: time.Second},
			Quota:     &apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 1},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, bb := range []struct {
		name, method, path string
		by                 apikey.Secret
		body, want         string // the answer contains want
	}{
		{"forward-auth", "GET", "/v1/forward-auth?scope=datasets:read", reader, "", ""},
		{"verify", "POST", "/v1/verify", verifier, body, `"VALID"`},
		{"get", "GET", "/v1/api-keys/key%207", reader, "", `"key 7"`},
		{"list of 20", "GET", "/v1/api-keys", reader, "", `"total_pages":6`},
		{"verify beside owners with limits", "POST", "/v1/verify", verifier, body, `"VALID"`},
		{"verify with an owner's limits", "POST", "/v1/verify", verifier, ofLimited, `"VALID"`},
	} {
		if strings.HasSuffix(bb.name, "limits") {
			setLimits()
		}
		b.Run(bb.name, func(b *testing.B) {
			request := httptest.NewRequest(bb.method, bb.path, strings.NewReader(bb.body))
			if bb.body == "" {
				request.Body = http.NoBody
			}
			request.Header.Set("X-Api-Key", bb.by.Reveal())
			request.Header.Set("Content-Type", "application/json")
			b.ReportAllocs()
			for b.Loop() {
				r := request.Clone(request.Context())
				r.Body = io.NopCloser(strings.NewReader(bb.body))
				if bb.body == "" {
					r.Body = http.NoBody
				}
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), bb.want) {
					b.Fatal(answer.Code, answer.Body)
				}
			}
		})
	}
}
