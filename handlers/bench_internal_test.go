package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/verify"
)

// BenchmarkValidate decodes a body and validates it.
func BenchmarkValidate(b *testing.B) {
	contract, err := gen.GetSpec()
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name, path, body string
		good             bool
	}{
		{"verify", "/v1/verify", `{"key":"the secret that you were shown","scopes":["datasets:read"]}`, true},
		{"create smallest", "/v1/api-keys", `{"name":"ci pipeline","expires_at":"2099-01-31T12:00:00Z"}`, true},
		{"create everything", "/v1/api-keys", `{"name":"mobile-app","expires_at":"2099-01-31T12:00:00Z","owner":"customer-42",` +
			`"scopes":["datasets:read"],"metadata":{"plan":"pro"},"rate_limit":{"limit":100,"window_seconds":60}}`, true},
		{"create refused", "/v1/api-keys", `{"name":"","expires_at":"tomorrow","color":"red"}`, false},
	} {
		item := contract.Paths.Value(bb.path)
		op, err := newOperation(item, item.Post)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bb.name, func(b *testing.B) {
			body := []byte(bb.body)
			b.ReportAllocs()
			for b.Loop() {
				value, err := decodeJSON(body, maxValues)
				if err == nil {
					err = validateBody(op, value)
				}
				if (err == nil) != bb.good {
					b.Fatal(err)
				}
			}
		})
	}
}

// sink discards an answer.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// BenchmarkEncode writes answers as the handlers return them.
func BenchmarkEncode(b *testing.B) {
	s, who, _ := newBenchmark(b)
	ctx := context.Context(&exchange{Context: b.Context(), arrived: time.Now(), caller: caller{key: &who}, called: true})
	one, err := s.GetApiKey(ctx, gen.GetApiKeyRequestObject{KeyName: who.Name})
	must(b, err)
	many, err := s.ListApiKeys(ctx, gen.ListApiKeysRequestObject{})
	must(b, err)
	for _, bb := range []struct {
		name  string
		write func(http.ResponseWriter) error
	}{
		{"one key", one.VisitGetApiKeyResponse},
		{"list of 20", many.VisitListApiKeysResponse},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := &sink{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				must(b, bb.write(w))
			}
			if w.bytes == 0 {
				b.Fatal("nothing was written")
			}
		})
	}
}

// newBenchmark returns a Server over a database of 20 keys, the last of them and its secret.
func newBenchmark(b *testing.B) (s *Server, last apikey.Key, secret apikey.Secret) {
	b.Helper()
	db := databasetest.Open(b, databasetest.NewPath(b))
	log := slog.New(slog.DiscardHandler)
	for i := range 20 {
		var err error
		last, secret, err = apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
			Owner: "customer", Name: fmt.Sprintf("key %d", i), Scopes: apikey.Scopes{"keys:admin", "datasets:read"},
			Metadata: apikey.Metadata{"plan": "pro"}, ExpiresAt: time.Now().AddDate(1, 0, 0),
		})
		must(b, err)
		must(b, db.CreateKey(b.Context(), store.Operator("test"), last))
	}
	return newServer(Config{
		Store: db, Log: log, Now: time.Now, Verifier: verify.New(keycache.New(db, keycache.Options{}), log, verify.Options{}),
	}), last, secret
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
