package handlers

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/verify"
)

// Observer sees every request. Its methods are quick and safe for concurrent use.
type Observer interface {
	// Began is called when a request arrives. It returns the context for the rest of the request.
	Began(ctx context.Context, r *http.Request) context.Context

	// Answered is called with that context when the request was answered. It must not keep a.
	Answered(ctx context.Context, a *Answer)
}

// Answer describes an answered request. The caller controls none of it except by choice among few values.
type Answer struct {
	Operation string        // one of Operations
	Route     string        // the operation's path in the contract, or ""
	RequestID string        // as in the answer, the log and the audit log
	Status    int           // HTTP status
	Code      string        // of the error; "" for none
	Took      time.Duration // on the machine's clock

	Authentication verify.Code // of the caller's own key; "" if it was not verified
	Verification   verify.Code // of the key in the question; "" for none
}

// The operations of answers that are not in the contract.
const (
	Healthz = "healthz"
	Readyz  = "readyz"
	Other   = "other" // documents and unknown paths
)

// Operations returns every value that Answer.Operation can have.
func Operations() ([]string, error) {
	guards, err := new(Server).newGuards()
	if err != nil {
		return nil, err
	}
	return append(slices.Sorted(maps.Keys(guards)), Healthz, Readyz, Other), nil
}

// named returns the middleware that sets the operation and route of requests that have no guard.
func named(operation, route string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			x := exchangeOf(c.Request().Context())
			x.answer.Operation, x.answer.Route = operation, route
			return next(c)
		}
	}
}

// observed calls Answered of all observers.
func (s *Server) observed(x *exchange, status int) {
	if len(s.Observers) == 0 {
		return
	}
	x.answer.RequestID, x.answer.Status, x.answer.Took = x.requestID, status, time.Since(x.arrived)
	if x.err != nil {
		x.answer.Code = x.problem.code
	}
	for _, o := range s.Observers {
		o.Answered(x.Context, &x.answer)
	}
}
