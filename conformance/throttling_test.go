package conformance_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/conformance"
	"apikeyd/gen"
	"apikeyd/handlers"
	servertest "apikeyd/internal/testkit/server"
)

// proxied sends the client's address to the service, as a trusted proxy does.
type proxied struct{ base http.RoundTripper }

func (p proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	return p.base.RoundTrip(r)
}

// TestThrottled runs the suite with a limit of failures that it exceeds by far, directly and behind a
// trusted proxy, where forward-auth is throttled too.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, through := range map[string]func(http.RoundTripper) http.RoundTripper{
		"directly":       func(base http.RoundTripper) http.RoundTripper { return base },
		"behind a proxy": func(base http.RoundTripper) http.RoundTripper { return proxied{base} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &skippingClock{}
			s := servertest.Start(t, servertest.Options{Now: clock.Now, Configure: []func(*handlers.Config){func(c *handlers.Config) {
				c.AuthFailures = apikey.RateLimit{Limit: 3, Window: time.Second}
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}}})
			_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
			report, err := conformance.Run(t.Context(), conformance.Options{
				URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract,
				Client: &http.Client{Transport: through(s.Plain.Transport)},
			}.By(clock))
			if err != nil {
				t.Fatal(err)
			}
			wantNoFindings(t, report)
			paths := map[string]bool{}
			for line := range strings.Lines(s.Log.String()) {
				if _, path, found := strings.Cut(line, "path="); found && strings.Contains(line, "code=TOO_MANY_REQUESTS") {
					paths[strings.Fields(path)[0]] = true
				}
			}
			if !paths["/v1/api-keys"] || paths["/v1/forward-auth"] != (name == "behind a proxy") {
				t.Errorf("the throttled paths are %v", paths)
			}
		})
	}
}
