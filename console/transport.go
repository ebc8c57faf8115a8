package console

import (
	"net/http"

	"apikeyd/client"
	"apikeyd/internal/inprocess"
)

// inProcess is a transport to the API in this process. A call keeps the address of the page's own
// request, so that rate limits, log and audit see the browser's address.
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

// client returns a client of the API with the secret of a page's reader.
func (s *site) client(r *http.Request, secret string) (*client.Client, error) {
	return client.New("http://apikeyd", secret, client.Options{
		HTTPClient: &http.Client{Transport: inProcess{api: s.API, page: r}},
		MaxRetries: -1, // no network in between
		UserAgent:  "apikeyd-console",
	})
}
