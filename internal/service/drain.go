package service

import (
	"io"
	"net/http"
)

const (
	// maxDrained is how much of an unread body is drained, the same as net/http drains over HTTP/1.
	maxDrained = 256 << 10
	// maxDraining is how many requests may drain at the same time, so that stalled streams cost
	// little. Others are not drained.
	maxDraining = 256
)

// drained makes a handler read the rest of a request body that it ignored (401, 404, 413), over
// HTTP/2. Otherwise net/http resets the stream after the response, and clients that are still
// sending, such as curl, lose the response. Over HTTP/1, net/http drains by itself.
func drained(next http.Handler) http.Handler {
	draining := make(chan struct{}, maxDraining)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		next.ServeHTTP(w, r)
		if r.ProtoMajor != 2 || r.ContentLength == 0 || r.ContentLength > maxDrained {
			return
		}
		select {
		case draining <- struct{}{}:
			_, _ = io.CopyN(io.Discard, body, maxDrained) // errors no longer matter
			<-draining
		default:
		}
	})
}
