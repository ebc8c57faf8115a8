package console

import (
	"bytes"
	"io"
	"net/http"

	"apikeyd/client"
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
	call.RequestURI = call.URL.RequestURI()
	call.RemoteAddr, call.TLS, call.Host = t.page.RemoteAddr, t.page.TLS, t.page.Host
	for _, name := range []string{"X-Forwarded-For", "Traceparent", "Tracestate"} {
		if values := t.page.Header.Values(name); values != nil {
			call.Header[name] = values
		}
	}
	if call.Body == nil {
		call.Body = http.NoBody
	}
	answer := &answer{header: http.Header{}}
	t.api.ServeHTTP(answer, call)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return answer.response(r), nil
}

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) response(r *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: a.header, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
}

// client returns a client of the API that acts with a secret for the reader of a page.
func (s *site) client(r *http.Request, secret string) (*client.Client, error) {
	return client.New("http://apikeyd", secret, client.Options{
		HTTPClient: &http.Client{Transport: inProcess{api: s.API, page: r}},
		MaxRetries: -1, // nothing is between us and the API that could pass
		UserAgent:  "apikeyd-console",
	})
}
