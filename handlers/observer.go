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

// Observer is told of every request. Its methods are safe for concurrent use, and quick.
type Observer interface {
	// Began is told of a request, and returns the context in which it goes on.
	Began(ctx context.Context, r *http.Request) context.Context

	// Answered is told, in that context, how the request was answered. It must not keep a.
	Answered(ctx context.Context, a *Answer)
}

// Answer is how a request was answered. Nothing in it is of the caller's choosing but what
// has few values.
type Answer struct {
	Operation string        // one of Operations
	Route     string        // the operation's path in the contract; empty for no operation
	RequestID string        // as in the answer, the log and the audit log
	Status    int           // of HTTP
	Code      string        // of the error that was answered; empty for none
	Took      time.Duration // by the clock of the machine

	Authentication verify.Code // of the caller's own key; empty if it was not looked at
	Verification   verify.Code // of the key that was asked about; empty for none
}

// What an Answer calls what is no operation of the contract.
const (
	Healthz = "healthz"
	Readyz  = "readyz"
	Other   = "other" // the documents, and what there is not
)

// Operations returns all that an Answer can have for its Operation.
func Operations() ([]string, error) {
	guards, err := new(Server).newGuards()
	if err != nil {
		return nil, err
	}
	return append(slices.Sorted(maps.Keys(guards)), Healthz, Readyz, Other), nil
}

// named returns the middleware that says what is asked, where there is no guard to say so.
// Echo makes its functions anew for each request.
func named(operation, route string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			x := exchangeOf(c.Request().Context())
			x.answer.Operation, x.answer.Route = operation, route
			return next(c)
		}
	}
}

// observed tells all observers how a request was answered.
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
