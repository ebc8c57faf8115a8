package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/history"
	"apikeyd/store"
	"apikeyd/verify"
)

var errBodyTooLarge = errors.New("the body must be at most 64 KiB")

// errOutside refuses a request that is not below the base path.
var errOutside = errors.New("this service is served below another path (--base-path); paths begin with it, " +
	"unless a trusted proxy removes it and reports it in X-Forwarded-Prefix")

// panicError is a recovered panic. It does not unwrap: the answer is always a 500.
type panicError struct {
	cause error
	stack string
}

func (e *panicError) Error() string { return "panic: " + e.cause.Error() }

// problem is an error as an HTTP answer.
type problem struct {
	status  int
	code    string
	message string
	fields  []apikey.FieldError // for 400
	lacking apikey.Scopes       // for 403: scopes that the key lacks
	wait    time.Duration       // for Retry-After; 0 sends none
}

// isRefusal reports whether the caller caused the error, rather than the service.
func (p problem) isRefusal() bool { return p.status < http.StatusInternalServerError }

// problems are the answers to errors that need nothing but their kind. The first that matches counts.
var problems = []struct {
	err error
	problem
}{
	{store.ErrActorGone, problem{status: http.StatusUnauthorized, code: "CREDENTIAL_INVALID",
		message: "the API key was revoked, suspended, rotated or restricted to other networks, or expired, during this request; use another one"}},
	{store.ErrNotFound, problem{status: http.StatusNotFound, code: "KEY_NOT_FOUND",
		message: "there is no such key; key_name takes a name or an id, percent-encoded once"}},
	{errScanningOff, problem{status: http.StatusNotFound, code: "SCANNING_OFF", message: errScanningOff.Error()}},
	{store.ErrNoOwner, problem{status: http.StatusNotFound, code: "OWNER_NOT_FOUND",
		message: "there is no such owner: it has no keys, and nothing was set for it; percent-encode it once"}},
	{store.ErrNoWebhook, problem{status: http.StatusNotFound, code: "WEBHOOK_NOT_FOUND",
		message: "there is no webhook with this id; list them to see which there are"}},
	{store.ErrNoDelivery, problem{status: http.StatusNotFound, code: "DELIVERY_NOT_FOUND",
		message: "this webhook has no delivery of this event, or the event is no longer in the audit log; list its deliveries"}},
	{store.ErrTooManyWebhooks, problem{status: http.StatusConflict, code: "TOO_MANY_WEBHOOKS",
		message: fmt.Sprintf("there are %d webhooks, which is the most; delete one first", store.MaxWebhooks)}},
	{store.ErrWebhookDisabled, problem{status: http.StatusConflict, code: "WEBHOOK_DISABLED",
		message: "the webhook is disabled; enable it first"}},
	{store.ErrTooManyKeys, problem{status: http.StatusConflict, code: "TOO_MANY_KEYS",
		message: "the owner has as many keys as it may have, revoked and expired ones not counted; " +
			"revoke one first, or have an admin raise the owner's max_keys"}},
	{store.ErrNameTaken, problem{status: http.StatusConflict, code: "NAME_TAKEN",
		message: "name is taken by another key of this owner; choose another, or revoke that key first"}},
	{store.ErrChanged, problem{status: http.StatusPreconditionFailed, code: "KEY_CHANGED",
		message: "the key is not as If-Match says, because it was changed meanwhile; get it again, and repeat the change if it still applies"}},
	{store.ErrRevoked, problem{status: http.StatusConflict, code: "KEY_REVOKED",
		message: "a revoked key cannot be changed; create a new one"}},
	{store.ErrRotated, problem{status: http.StatusConflict, code: "KEY_ROTATED",
		message: "the key was rotated by another call at the same moment; " +
			"use the secret that it got, or rotate it again"}},
	{errBodyTooLarge, problem{status: http.StatusRequestEntityTooLarge, code: "BODY_TOO_LARGE", message: errBodyTooLarge.Error()}},
	{errBodyEncoded, problem{status: http.StatusUnsupportedMediaType, code: "BODY_ENCODED", message: errBodyEncoded.Error()}},
	{store.ErrTooManyScans, problem{status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS",
		message: "too many lists and searches are in progress; try again after Retry-After seconds", wait: time.Second}},
	{store.ErrDamaged, problem{status: http.StatusServiceUnavailable, code: "UNAVAILABLE",
		message: "the database is damaged; its operator must restore a backup"}},
	{store.ErrUncertain, problem{status: http.StatusServiceUnavailable, code: "OUTCOME_UNKNOWN",
		message: "the database failed during the change, whose outcome is unknown; check it before you repeat the change"}},
	{store.ErrUnavailable, unavailable},
	{context.Canceled, unavailable},
	{context.DeadlineExceeded, unavailable},
	{errOutside, problem{status: http.StatusNotFound, code: "PATH_NOT_FOUND", message: errOutside.Error()}},
}

var unavailable = problem{status: http.StatusServiceUnavailable, code: "UNAVAILABLE",
	message: "the database cannot answer now, and nothing was changed; try again after Retry-After seconds",
	wait:    time.Second}

// problemOf maps every error to its HTTP answer.
func problemOf(err error) problem {
	var (
		invalid     *apikey.InvalidError
		credentials *credentialError
		scope       *scopeError
		address     *addressError
		limited     *limitError
		tooMany     *tooManyFailuresError
		denied      *apikey.DeniedError
		removed     *history.RemovedError
		routing     *echo.HTTPError
	)
	switch {
	case errors.As(err, &invalid):
		return problem{status: http.StatusBadRequest, code: "INVALID_REQUEST",
			message: invalid.Error(), fields: invalid.Fields}
	case errors.As(err, &credentials):
		return problem{status: http.StatusUnauthorized, code: credentials.code, message: credentials.message}
	case errors.As(err, &scope):
		return problem{status: http.StatusForbidden, code: "INSUFFICIENT_SCOPE",
			message: apikey.Redact(scope.Error()), lacking: scope.lacking}
	case errors.As(err, &address):
		return problem{status: http.StatusForbidden, code: string(verify.AddressNotAllowed), message: address.Error()}
	case errors.As(err, &limited):
		return problem{status: limited.status, code: string(limited.result.Code), message: limited.Error(), wait: limited.result.RetryAfter()}
	case errors.As(err, &tooMany):
		return problem{status: tooMany.status, code: "TOO_MANY_REQUESTS", message: tooMany.Error(), wait: tooMany.wait}
	case errors.As(err, &denied):
		// The reason quotes scopes from the request, which may hold a secret.
		return problem{status: http.StatusForbidden, code: "FORBIDDEN", message: apikey.Redact(denied.Reason)}
	case errors.As(err, &removed):
		return problem{status: http.StatusConflict, code: "HISTORY_REMOVED",
			message: "at: " + removed.Error() + "; retention removed the events before; ask for a later time"}
	}
	for _, p := range problems {
		if errors.Is(err, p.err) {
			return p.problem
		}
	}
	if errors.As(err, &routing) {
		return problemOfRouting(routing.Code)
	}
	return problem{status: http.StatusInternalServerError, code: "INTERNAL",
		message: "something went wrong here; tell the operator the request_id"}
}

// problemOfRouting maps the errors of Echo and the generated binder. Their texts may quote the
// request, so they are not passed on.
func problemOfRouting(status int) problem {
	switch status {
	case http.StatusNotFound:
		return problem{status: status, code: "PATH_NOT_FOUND",
			message: "no operation has this path; the contract lists them all"}
	case http.StatusMethodNotAllowed:
		return problem{status: status, code: "METHOD_NOT_ALLOWED",
			message: "this path does not accept this method; see the Allow header"}
	}
	return problem{status: http.StatusBadRequest, code: "INVALID_REQUEST",
		message: "the request does not match the contract"}
}

// writeError answers a request with an error.
func (s *Server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	x := exchangeOf(c.Request().Context())
	p := problemOf(err)
	if path := c.Request().URL.EscapedPath(); p.code == "PATH_NOT_FOUND" && strings.HasPrefix(path, "/v1/api-keys/") {
		p.message = "there is nothing at this path; percent-encode a key's name (/ is %2F), or use its id, which always works"
	}
	x.err, x.problem = err, p
	header := c.Response().Header()
	if challenge := challenge(p); challenge != "" {
		header.Add("WWW-Authenticate", challenge)
	}
	if x.basic && p.status == http.StatusUnauthorized {
		// A 401 names the scheme that the client tried (RFC 6749, section 5.2).
		header.Add("WWW-Authenticate", `Basic realm="apikeyd"`)
	}
	if p.wait > 0 {
		header.Set("Retry-After", strconv.Itoa(wholeSeconds(p.wait)))
	}
	body := gen.ErrorResponse{Status: p.status, Message: p.message, Code: p.code, RequestId: x.requestID}
	if len(p.fields) > 0 {
		details := make([]gen.ErrorDetail, len(p.fields))
		for i, f := range p.fields {
			details[i] = gen.ErrorDetail{Field: f.Field, Message: f.Message}
		}
		body.Details = &details
	}
	text, err := json.Marshal(body)
	if err == nil { // c.JSON would obey ?pretty
		err = c.JSONBlob(p.status, append(text, '\n'))
	}
	if err != nil {
		s.Log.Warn("an error could not be answered", "request_id", x.requestID, "error", err)
	}
}

// challenge returns the WWW-Authenticate header of an answer, or "". A request without credentials
// gets no error in it (RFC 6750, section 3).
func challenge(p problem) string {
	const realm = `Bearer realm="apikeyd"`
	switch {
	case p.code == codeMissing:
		return realm
	case p.code == codeSignature:
		return `Signature realm="apikeyd"`
	case p.status == http.StatusUnauthorized:
		return realm + `, error="invalid_token"`
	case len(p.lacking) > 0:
		return fmt.Sprintf(`%s, error="insufficient_scope", scope="%s"`, realm, apikey.Redact(p.lacking.String()))
	}
	return ""
}
