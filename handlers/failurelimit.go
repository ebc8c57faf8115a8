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

// maxAddresses bounds how many addresses each kind of failure remembers.
const maxAddresses = 10_000

// failureLimiter counts by address what is done there in vain. Whatever succeeds does not ask it:
// so nobody is locked out by the noise that others make from the same address.
type failureLimiter struct {
	table *ratelimit.Table[netip.Prefix]
	limit apikey.RateLimit // the zero RateLimit is without limit
	kind  string           // of what is done, for people
}

func newFailureLimiter(limit apikey.RateLimit, kind string) failureLimiter {
	return failureLimiter{ratelimit.New[netip.Prefix](maxAddresses), limit, kind}
}

// check counts one failure, and returns a *tooManyFailuresError if there were too many.
func (s failureLimiter) check(from netip.Addr, now time.Time) error {
	if s.limit == (apikey.RateLimit{}) {
		return nil
	}
	quota := s.table.Take(network(from), s.limit, now)
	if quota.Allowed {
		return nil
	}
	return &tooManyFailuresError{status: http.StatusTooManyRequests, kind: s.kind, wait: quota.RetryAfter}
}

// tooManyFailuresError says that too much of a kind came from one address.
type tooManyFailuresError struct {
	status int // 429; or 403 for a gateway that knows no other
	kind   string
	wait   time.Duration
}

func (e *tooManyFailuresError) Error() string {
	return fmt.Sprintf("too many %s came from your address; try again in %d s", e.kind, wholeSeconds(e.wait))
}

// limitAuthFailure is what a failed authentication is answered with: its error, or too many of
// them from its address with this status. Who showed no key at all tried nothing.
func (s *Server) limitAuthFailure(x *exchange, status int, err error) error {
	failure, failed := errors.AsType[*credentialError](err)
	if !failed || failure.code == codeMissing {
		return err
	}
	if slow, ok := errors.AsType[*tooManyFailuresError](s.authFailures.check(x.address, s.Now())); ok {
		slow.status = status
		return slow
	}
	return err
}

// limitBadRequests counts the refused requests of a public operation (400, 413, 415) against the same
// limit as reports that do nothing: they cost as much.
func (s *Server) limitBadRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		switch problemOf(err).status {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			if slow := s.leakReports.check(exchangeOf(c.Request().Context()).address, s.Now()); slow != nil {
				return slow
			}
		}
		return err
	}
}
