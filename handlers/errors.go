package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

var errBodyTooLarge = errors.New("the body must be at most 64 KiB")

// panicError is a panic that was recovered. It does not unwrap: whatever was thrown,
// the answer is a 500.
type panicError struct {
	cause error
	stack string
}

func (e *panicError) Error() string { return "panic: " + e.cause.Error() }

// problem is an error as HTTP tells it.
type problem struct {
	status  int
	code    string
	message string
	fields  []apikey.FieldError
}

// problemOf is the one place where an error becomes an HTTP status.
func problemOf(err error) problem {
	var (
		invalidError *apikey.InvalidError
		credentials  *credentialError
		scope        *scopeError
		denied       *apikey.DeniedError
		httpError    *echo.HTTPError
	)
	switch {
	case errors.As(err, &invalidError):
		return problem{http.StatusBadRequest, "INVALID_REQUEST", invalidError.Error(), invalidError.Fields}
	case errors.As(err, &credentials):
		return problem{http.StatusUnauthorized, credentials.code, credentials.message, nil}
	case errors.Is(err, store.ErrActorGone):
		return problem{http.StatusUnauthorized, "CREDENTIAL_REVOKED",
			"the API key stopped being good while it was used; use another one", nil}
	case errors.As(err, &scope):
		return problem{http.StatusForbidden, "INSUFFICIENT_SCOPE", scope.Error(), nil}
	case errors.As(err, &denied):
		return problem{http.StatusForbidden, "FORBIDDEN", denied.Reason, nil}
	case errors.Is(err, store.ErrNotFound):
		return problem{http.StatusNotFound, "KEY_NOT_FOUND",
			"there is no such key; key_name takes a name or an id, percent-encoded once", nil}
	case errors.Is(err, store.ErrNameTaken):
		return problem{http.StatusConflict, "NAME_TAKEN",
			"name is taken by another key of this owner; choose another, or revoke that key first", nil}
	case errors.Is(err, store.ErrRevoked):
		return problem{http.StatusConflict, "KEY_REVOKED", "a revoked key cannot be changed; create a new one", nil}
	case errors.Is(err, errBodyTooLarge):
		return problem{http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", err.Error(), nil}
	case errors.Is(err, store.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem{http.StatusServiceUnavailable, "UNAVAILABLE", "the store cannot answer now; try again", nil}
	case errors.As(err, &httpError):
		return problemOfRouting(httpError)
	}
	return problem{http.StatusInternalServerError, "INTERNAL",
		"something went wrong here; tell the operator the request_id", nil}
}

// problemOfRouting translates what Echo and the generated binder refuse. Their texts
// can hold the submitted value, so they are not passed on.
func problemOfRouting(err *echo.HTTPError) problem {
	switch err.Code {
	case http.StatusNotFound:
		return problem{err.Code, "PATH_NOT_FOUND", "there is nothing at this path; the contract lists what there is", nil}
	case http.StatusMethodNotAllowed:
		return problem{err.Code, "METHOD_NOT_ALLOWED", "this path does not take this method; see the Allow header", nil}
	}
	return problem{http.StatusBadRequest, "INVALID_REQUEST", "the request does not match the contract", nil}
}

// writeError answers a request with an error.
func (s *Server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	c.Set(errorField, err)
	header := c.Response().Header()
	switch p.status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge(p.code))
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", strconv.Itoa(1))
	}
	id := requestID(c)
	body := gen.ErrorResponse{Status: p.status, Message: p.message, Code: &p.code, RequestId: &id}
	if len(p.fields) > 0 {
		details := make([]gen.ErrorDetail, len(p.fields))
		for i, f := range p.fields {
			details[i] = gen.ErrorDetail{Field: f.Field, Message: f.Message}
		}
		body.Details = &details
	}
	if c.Request().Method == http.MethodHead {
		err = c.NoContent(p.status)
	} else {
		err = c.JSON(p.status, body)
	}
	if err != nil {
		s.Log.Warn("an error could not be answered", "request_id", id, "error", err)
	}
}

// challenge is the WWW-Authenticate header (RFC 6750, section 3): a request that
// carried no credentials is told no error.
func challenge(code string) string {
	if code == "CREDENTIAL_MISSING" {
		return `Bearer realm="apikeyd"`
	}
	return `Bearer realm="apikeyd", error="invalid_token"`
}
