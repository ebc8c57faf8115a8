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
	// maxAnswer bounds an answer. A hundred of the largest possible keys fit in it.
	maxAnswer = 16 << 20

	// firstPause is the longest wait before the first retry. It doubles with each retry, up to
	// maxPause.
	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
	// maxRetryAfter is the longest Retry-After that is waited out.
	maxRetryAfter = 30 * time.Second
)

// sender makes requests. It is safe for concurrent use.
type sender struct {
	http http.Client
	// The secret is kept in closures, because they cannot be printed.
	authorize  func(*http.Request)
	redact     func(string) string
	userAgent  string
	maxRetries int
	wait       func(context.Context, time.Duration) error
}

// result is the decoded body of an answer.
type result interface{ complete() bool }

// tagged is a result whose answer has an ETag.
type tagged interface{ setETag(etag string) }

// send makes a request and decodes an answer with the status want into out. It retries if that
// may help; repeatable requests may safely arrive twice.
func (s *sender) send(ctx context.Context, r *http.Request, repeatable bool, want int, out result) error {
	for retry := 0; ; retry++ {
		err := s.attempt(ctx, r, want, out)
		if err == nil || retry >= s.maxRetries || ctx.Err() != nil || !retryable(err, repeatable) {
			return err
		}
		pause, ok := pauseAfter(err, retry)
		if end, ends := ctx.Deadline(); !ok || ends && time.Until(end) < pause {
			return err
		}
		if ended := s.wait(ctx, pause); ended != nil {
			return fmt.Errorf("apikeyd: %w while waiting to retry after: %w", ended, err)
		}
	}
}

// attempt makes a request once. It returns an *Error, or why no answer came.
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
	case answer.StatusCode != want || json.Unmarshal(body, out) != nil || !out.complete():
		return s.errorOf(answer, body)
	}
	if of, ok := out.(tagged); ok {
		of.setETag(answer.Header.Get("ETag"))
	}
	return nil
}

// unanswered removes the URL that net/http adds, because a name in it may be a secret that was
// passed by mistake. An error whose text contains a secret (quoted from a broken Location, say)
// keeps only its redacted text.
func (s *sender) unanswered(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if text := err.Error(); s.redact(text) != text {
		err = errors.New(s.redact(text))
	}
	return fmt.Errorf("apikeyd: no answer: %w", err)
}

// retryable reports whether a retry may help and does no harm.
func retryable(err error, repeatable bool) bool {
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

// pauseAfter returns how long to wait before the next attempt: the answer's Retry-After plus a
// random time, so that many clients do not return at once. It reports false if the Retry-After is
// too long.
func pauseAfter(err error, retry int) (time.Duration, bool) {
	var asked time.Duration
	if e, ok := errors.AsType[*Error](err); ok {
		asked = e.RetryAfter
	}
	half := min(firstPause<<min(retry, 10), maxPause) / 2
	return asked + half + rand.N(half), asked <= maxRetryAfter //nolint:gosec // G404: nobody gains from guessing it
}
