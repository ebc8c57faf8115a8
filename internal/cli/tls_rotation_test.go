//go:build full

package cli

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestCertificateRotation replaces the certificate under load. No request fails, on new connections or
// on an existing one.
func TestCertificateRotation(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, first := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	secret := s.adminKey()
	if got := a.shown(s); got != first {
		t.Fatalf("certificate %d is shown, want %d", got, first)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var requests atomic.Int64
	for i := range 4 {
		client := a.client(nil)
		client.Transport.(*http.Transport).DisableKeepAlives = i%2 == 0
		load.Go(func() {
			for ctx.Err() == nil {
				if response, err := s.get(client, secret); err != nil || response.status != http.StatusOK {
					t.Errorf("while certificates change: %v, %v", response, err)
				}
				requests.Add(1)
			}
		})
	}
	held := a.client(nil)
	for range 3 {
		cert, key, want := a.issue(time.Now().Add(time.Hour))
		pairIn(t, s.dir, cert, key) // one after the other: in between, they do not match
		must(t, s.wait(func() bool { return a.shown(s) == want }))
		if response, err := s.get(held, secret); err != nil || response.status != http.StatusOK {
			t.Errorf("on a connection that lives on: %v, %v", response, err)
		}
	}
	stop()
	load.Wait()
	t.Logf("%d requests while the certificate changed 3 times", requests.Load())
}
