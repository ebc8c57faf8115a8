package console

import (
	"net/http"

	"apikeyd/client"
	"apikeyd/internal/inprocess"
)

// inProcess carries a call of the client to the API in this process, as if it came from
// where the page's own request does: so it is slowed down, logged and audited as that.
type inProcess struct {
	api  http.Handler
	page *http.Request
}

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	call := r.Clone(r.Context())
	call.RemoteAddr, call.TLS, call.Host = t.page.RemoteAddr, t.page.TLS, t.page.Host
	for _, name := range []string{"X-Forwarded-For", "Traceparent", "Tracestate"} {
		if values := t.page.Header.Values(name); values != nil {
			call.Header[name] = values
		}
	}
	return inprocess.Serve(t.api, call)
}

// client returns a client of the API that acts with a secret for the reader of a page.
func (s *site) client(r *http.Request, secret string) (*client.Client, error) {
	return client.New("http://apikeyd", secret, client.Options{
		HTTPClient: &http.Client{Transport: inProcess{api: s.API, page: r}},
		MaxRetries: -1, // nothing is between us and the API that could pass
		UserAgent:  "apikeyd-console",
	})
}
