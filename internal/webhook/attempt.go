package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"apikeyd/store"
)

// backoff are the pauses between attempts; the last one repeats. Each is up to a quarter longer or shorter.
var backoff = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// attempt delivers one event. It returns the zero Attempt, and the delivery stays as it is, if the service stops before
// the attempt ends or if this node's turn is over.
func (s *Sender) attempt(ctx context.Context, until time.Time, w *store.Webhook, d *store.DueDelivery) store.Attempt {
	a := store.Attempt{Event: d.Event}
	if d.Of.ID.IsZero() {
		a.Error = "the event was removed by retention"
		return a
	}
	if !time.Now().Before(until) {
		return store.Attempt{}
	}
	status, wanted, err := s.post(ctx, w, d)
	if err != nil && ctx.Err() != nil {
		return store.Attempt{}
	}
	now := s.Now()
	a.Status = status
	switch {
	case err != nil:
		a.Error = reason(err)
	case status >= 200 && status < 300:
		a.OK = true
		return a
	default:
		a.Error = "status " + strconv.Itoa(status)
	}
	a.Next = now.Add(pause(d.Attempts))
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && wanted != "" {
		a.Next = now.Add(pauseWanted(wanted, a.Next.Sub(now), now))
	}
	switch {
	case status == http.StatusGone:
		a.Disable = store.DisabledGone
	case now.Sub(d.Since) >= GiveUpAfter:
		a.Disable = store.DisabledFailing
	}
	return a
}

// pause returns how long to wait after so many failed attempts before this one.
func pause(attempts int) time.Duration {
	base := backoff[min(attempts, len(backoff)-1)]
	return base*3/4 + rand.N(base/2) //nolint:gosec // not a secret
}

// pauseWanted returns the pause that a Retry-After asks for, between the shortest and the longest pause of ours, or the
// usual one if it cannot be read.
func pauseWanted(retryAfter string, usual time.Duration, now time.Time) time.Duration {
	wanted := usual
	if seconds, err := strconv.ParseUint(retryAfter, 10, 32); err == nil {
		wanted = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		wanted = at.Sub(now)
	}
	return min(max(wanted, backoff[0]), backoff[len(backoff)-1])
}

// post sends one delivery, and returns the status of the answer, and its Retry-After.
func (s *Sender) post(ctx context.Context, w *store.Webhook, d *store.DueDelivery) (status int, retryAfter string, err error) {
	body, err := payload(d.Of)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.Agent)
	for name, value := range headers(w, d.Event.String(), body, s.Now()) {
		request.Header.Set(name, value)
	}
	client := s.tls
	if request.URL.Scheme == "http" {
		client = s.plain
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // the status says it all
	return answer.StatusCode, answer.Header.Get("Retry-After"), nil
}

// reason says in our own words why there was no answer: the error's text may contain the URL.
func reason(err error) string {
	var (
		refused     *refusedError
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "the host has no address"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + attemptTimeout.String()
	case errors.As(err, &lookup):
		return "the host could not be looked up"
	case errors.As(err, &certificate):
		return "the certificate is not trusted"
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTPS client"):
		return "there was no TLS connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the receiver closed the connection"
	}
	return "there was no connection"
}
