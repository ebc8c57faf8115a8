package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxAnswer bounds an answer. A hundred of the largest possible keys fit.
	maxAnswer = 16 << 20

	// firstPause is the longest wait before the first retry. It doubles with each one, up
	// to maxPause.
	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
	// patience is how long a Retry-After may be for us to wait it out.
	patience = 30 * time.Second
)

// sender makes requests. It is safe for concurrent use.
type sender struct {
	http http.Client
	// The secret is kept in functions, which nobody can print.
	authorize  func(*http.Request)
	redact     func(string) string
	userAgent  string
	maxRetries int
	wait       func(context.Context, time.Duration) error
}

// result is the body of an answer, which knows whether it is whole.
type result interface{ whole() bool }

// send makes a request, again if that may help, until the answer has the status want and
// is read into out. Repeatable requests do no harm if they arrive twice.
func (s *sender) send(ctx context.Context, r *http.Request, repeatable bool, want int, out result) error {
	for retry := 0; ; retry++ {
		err := s.attempt(ctx, r, want, out)
		if err == nil || retry >= s.maxRetries || ctx.Err() != nil || !passing(err, repeatable) {
			return err
		}
		pause, ok := pauseAfter(err, retry)
		if end, ends := ctx.Deadline(); !ok || ends && time.Until(end) < pause {
			return err
		}
		if ended := s.wait(ctx, pause); ended != nil {
			return fmt.Errorf("apikeyd: %w while waiting to try again after: %w", ended, err)
		}
	}
}

// attempt makes a request once. It returns an *Error, or what kept an answer from
// coming.
func (s *sender) attempt(ctx context.Context, r *http.Request, want int, out result) error {
	r = r.Clone(ctx)
	if r.GetBody != nil {
		var err error
		if r.Body, err = r.GetBody(); err != nil {
			return err
		}
	}
	r.Header.Set("User-Agent", s.userAgent)
	s.authorize(r)
	answer, err := s.http.Do(r) //nolint:gosec // G704: the address is the caller's to choose
	if err != nil {
		return s.unanswered(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return s.unanswered(err)
	case len(body) > maxAnswer:
		e := s.errorOf(answer, nil)
		e.Message = "the answer is larger than 16 MiB"
		return e
	case answer.StatusCode != want || json.Unmarshal(body, out) != nil || !out.whole():
		return s.errorOf(answer, body)
	}
	return nil
}

// unanswered leaves out the URL that net/http adds: a name in it may be a secret that
// somebody mistook for one. An error that quotes a secret from what came (a broken
// Location) is known by its text alone.
func (s *sender) unanswered(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if text := err.Error(); s.redact(text) != text {
		err = errors.New(s.redact(text))
	}
	return fmt.Errorf("apikeyd: no answer: %w", err)
}

// passing reports whether making the request again may help and does no harm.
func passing(err error, repeatable bool) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusTooManyRequests:
			return true
		case http.StatusServiceUnavailable:
			return repeatable || e.Code == CodeUnavailable
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return repeatable
		}
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return true
	}
	return repeatable
}

// pauseAfter says how long to wait before the next attempt: what the answer asked for,
// and a random time on top, so that many clients do not come back at once. It reports
// false if that is too long.
func pauseAfter(err error, retry int) (time.Duration, bool) {
	var asked time.Duration
	if e, ok := errors.AsType[*Error](err); ok {
		asked = e.RetryAfter
	}
	half := min(firstPause<<min(retry, 10), maxPause) / 2
	return asked + half + rand.N(half), asked <= patience //nolint:gosec // G404: nobody gains from guessing it
}
