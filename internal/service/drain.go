package service

import (
	"io"
	"net/http"
)

const (
	// maxDrained is how much of an unread body is read, as much as net/http reads over HTTP/1.
	maxDrained = 256 << 10
	// maxDraining is how many requests wait for the rest of their bodies at the same time, so
	// that streams on which nothing arrives cost little. More lose what this is for.
	maxDraining = 256
)

// drained reads the rest of a body that a handler did not want (401, 404, 413) before the
// answer ends, over HTTP/2. Otherwise net/http resets the stream after the answer, and clients
// that are still sending, such as curl, lose the answer. Over HTTP/1, net/http drains by itself.
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
			_, _ = io.CopyN(io.Discard, body, maxDrained) // the answer stands, whatever comes
			<-draining
		default:
		}
	})
}
