// Package inprocess carries the requests of an HTTP client to a handler in the same process,
// without a network.
package inprocess

import (
	"bytes"
	"io"
	"net/http"
)

// Serve has a handler answer a client's request, and returns the whole answer. It fails if the
// request's context ended meanwhile.
func Serve(handler http.Handler, r *http.Request) (*http.Response, error) {
	call := r.Clone(r.Context())
	call.RequestURI = call.URL.RequestURI()
	if call.Body == nil {
		call.Body = http.NoBody
	}
	answer := &answer{header: http.Header{}}
	handler.ServeHTTP(answer, call)
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
