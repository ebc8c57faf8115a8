package client_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// BenchmarkGuardBurst sends 64 requests with the same secret at once through a guard that has not
// cached it, as happens for a busy key whenever CacheFor ends. Without CacheFor each one asks.
func BenchmarkGuardBurst(b *testing.B) {
	const callers = 64
	s := servertest.Start(b, servertest.Options{})
	_, asking := s.Add(b, "resource server", "guard", "keys:verify")
	_, secret := s.Add(b, "customer-42", "n", "datasets:read")
	asked := &counter{base: &http.Transport{MaxIdleConnsPerHost: callers}}
	c, err := client.New(s.URL, asking.Reveal(), client.Options{HTTPClient: &http.Client{Transport: asked}})
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name     string
		cacheFor time.Duration
	}{{"shared", time.Minute}, {"alone", 0}} {
		b.Run(bm.name, func(b *testing.B) {
			before := asked.requests.Load()
			for b.Loop() {
				require := client.NewGuard(c, client.GuardOptions{CacheFor: bm.cacheFor}).Require("datasets:read")
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						if a := directly(b.Context(), require, secret.Reveal()); a.Code != 200 {
							b.Errorf("%d %s", a.Code, a.Body)
						}
					})
				}
				all.Wait()
			}
			b.ReportMetric(float64(asked.requests.Load()-before)/float64(b.N), "requests/op")
		})
	}
}
