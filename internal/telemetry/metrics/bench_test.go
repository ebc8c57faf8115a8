package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
	servertest "apikeyd/internal/testkit/server"
)

// BenchmarkCounting alternates requests to a service with metrics and one without, so that a busy machine slows
// both, and compares the medians.
func BenchmarkCounting(b *testing.B) {
	bare, counted := newTarget(b), newTarget(b, measured(b))
	for _, operation := range []string{"forward-auth", "verify"} {
		b.Run(operation, func(b *testing.B) {
			const round = 20
			var times [2][]time.Duration
			for b.Loop() {
				for i, target := range []*target{bare, counted} {
					began := time.Now()
					for range round {
						target.ask(b, operation)
					}
					times[i] = append(times[i], time.Since(began)/round)
				}
			}
			var median [2]float64
			for i := range times {
				slices.Sort(times[i])
				median[i] = float64(times[i][len(times[i])/2].Nanoseconds())
			}
			allocations := func(t *target) float64 { return testing.AllocsPerRun(100, func() { t.ask(b, operation) }) }
			b.ReportMetric(median[0], "ns/bare")
			b.ReportMetric(median[1], "ns/counted")
			b.ReportMetric(100*(median[1]/median[0]-1), "%more")
			b.ReportMetric(allocations(counted)-allocations(bare), "allocs-more")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// target is a service without the network, with keys for requests.
type target struct {
	handler          http.Handler
	reader, verifier apikey.Secret
}

func newTarget(b *testing.B, configure ...func(*handlers.Config)) *target {
	b.Helper()
	t := &target{}
	s := servertest.Start(b, servertest.Options{Configure: configure, Handler: func(h http.Handler) http.Handler {
		t.handler = h
		return h
	}})
	_, t.reader = s.Add(b, "customer", "reader", apikey.ScopeRead, "datasets:read")
	_, t.verifier = s.Add(b, "gateway", "verifier", apikey.ScopeVerify)
	return t
}

func (t *target) ask(b *testing.B, operation string) {
	r := httptest.NewRequest(http.MethodGet, "/v1/forward-auth?scope=datasets:read", http.NoBody)
	secret := t.reader
	if operation == "verify" {
		body := fmt.Sprintf(`{"key":%q,"scopes":["datasets:read"]}`, t.reader.Reveal())
		r = httptest.NewRequest(http.MethodPost, "/v1/verify", io.NopCloser(strings.NewReader(body)))
		r.Header["Content-Type"], secret = []string{"application/json"}, t.verifier
	}
	r.Header["X-Api-Key"] = []string{secret.Reveal()}
	answer := httptest.NewRecorder()
	t.handler.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		b.Fatal(answer.Code, answer.Body)
	}
}
