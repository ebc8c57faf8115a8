package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
)

// maxAddresses is how many addresses a failureLimiter remembers.
const maxAddresses = 10_000

// failureLimiter limits failed attempts per network. Successful calls do not ask it, so nobody
// is locked out by others at the same address.
type failureLimiter struct {
	table *ratelimit.Table[netip.Prefix]
	limit apikey.RateLimit // the zero RateLimit limits nothing
	kind  string           // of attempt, in messages
}

func newFailureLimiter(limit apikey.RateLimit, kind string) failureLimiter {
	return failureLimiter{ratelimit.New[netip.Prefix](maxAddresses), limit, kind}
}

// check counts one failure. It returns a *tooManyFailuresError if there were too many.
func (s failureLimiter) check(from netip.Addr, now time.Time) error {
	if s.limit.IsNone() {
		return nil
	}
	quota := s.table.Take(network(from), s.limit, now)
	if quota.Allowed {
		return nil
	}
	return &tooManyFailuresError{status: http.StatusTooManyRequests, kind: s.kind, wait: quota.RetryAfter}
}

// tooManyFailuresError says that an address made too many failed attempts of a kind.
type tooManyFailuresError struct {
	status int // 429, or 403 for gateways that do not understand 429
	kind   string
	wait   time.Duration
}

func (e *tooManyFailuresError) Error() string {
	return fmt.Sprintf("too many %s came from your address; try again in %d s", e.kind, wholeSeconds(e.wait))
}

// limitAuthFailure counts a failed authentication and returns the error to answer it with: err, or a
// *tooManyFailuresError with this status. A request without a key does not count: it tried no secret.
func (s *Server) limitAuthFailure(x *exchange, status int, err error) error {
	failure, failed := errors.AsType[*credentialError](err)
	if !failed || failure.code == codeMissing {
		return err
	}
	if tooMany, ok := errors.AsType[*tooManyFailuresError](s.authFailures.check(x.address, s.Now())); ok {
		tooMany.status = status
		return tooMany
	}
	return err
}

// limitBadRequests counts a public operation's bad requests (400, 413, 415) against the limit of
// ineffective leak reports: they cost as much.
func (s *Server) limitBadRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		switch problemOf(err).status {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			if tooMany := s.leakReports.check(exchangeOf(c.Request().Context()).address, s.Now()); tooMany != nil {
				return tooMany
			}
		}
		return err
	}
}
