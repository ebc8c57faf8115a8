package handlers

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/verify"
)

// codeMissing is the error code for a request without a key.
const codeMissing = "CREDENTIAL_MISSING"

// credentialError is a 401: authentication failed.
type credentialError struct{ code, message string }

func (e *credentialError) Error() string { return e.message }

// scopeError is a 403: the caller's key lacks these scopes, which are well-formed.
type scopeError struct{ lacking apikey.Scopes }

func (e *scopeError) Error() string { return "this needs a key with the scope " + e.lacking.String() }

// addressError is a 403: the key or its owner is restricted to networks, and this address is in none of them.
type addressError struct{ from netip.Addr }

func (e *addressError) Error() string {
	if !e.from.IsValid() {
		return "the API key may only be used from certain networks, and your address is unknown: " +
			"the proxy in front must be one of --trusted-proxies, and send it in X-Forwarded-For"
	}
	return fmt.Sprintf("the API key may not be used from %s; use it from its networks, "+
		"or have its or its owner's allowed_cidrs changed", e.from)
}

// welcome is the guard of public operations. It lets every request pass.
func welcome(op operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			x := exchangeOf(c.Request().Context())
			x.answer.Operation, x.answer.Route = op.id, op.route
			x.visited = true
			return next(c)
		}
	}
}

// requireCaller is a second check behind the guards: without a caller, only a handler of a public
// operation may run. Others would reach every owner's keys.
func requireCaller(next gen.StrictHandlerFunc, operationID string) gen.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		if x := exchangeOf(c.Request().Context()); !x.called && !x.visited {
			return nil, fmt.Errorf("%s was reached without authentication", operationID)
		}
		return next(c, request)
	}
}

// authenticate returns the middleware that requires a key with the operation's scope. It comes before
// validation, so that strangers learn nothing from its messages.
func (s *Server) authenticate(op operation) echo.MiddlewareFunc {
	want := op.wants()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			x := exchangeOf(r.Context())
			x.answer.Operation, x.answer.Route = op.id, op.route
			x.basic, x.changes = op.basic, op.changes
			if err := s.prove(r, x, op.basic, want); err != nil {
				return s.limitAuthFailure(x, http.StatusTooManyRequests, err)
			}
			if err := x.refuseLink(op); err != nil {
				return err
			}
			if op.id == "createOwnerLink" {
				x.origin = s.originOf(r)
			}
			return next(c)
		}
	}
}

// prove authenticates the caller by the key in the request.
func (s *Server) prove(r *http.Request, x *exchange, basic bool, want apikey.Scopes) error {
	secret, err := credential(r, basic)
	if err != nil {
		return err
	}
	from := x.callerAddress()
	result, err := s.Verifier.Verify(r.Context(), secret, verify.Call{Scopes: want, From: from})
	if err != nil {
		return fmt.Errorf("authenticating the caller: %w", err)
	}
	x.answer.Authentication = result.Code
	return x.enter(result, want, from)
}

// enter sets the caller if the key is valid and has the scopes wanted. Otherwise it returns the refusal.
func (x *exchange) enter(result verify.Result, want apikey.Scopes, from netip.Addr) error {
	x.shown = result.Key
	if err := refusal(result, want, from); err != nil {
		return err
	}
	x.caller, x.called = caller{key: result.Key, hash: result.Hash, address: x.address, requestID: x.requestID}, true
	return nil
}

// credential returns the one secret in a request: in x-api-key, as a bearer token (RFC 6750, section
// 2.1) or, if basic is allowed, as the password of HTTP Basic (RFC 6749, section 2.3.1). Other schemes
// are ignored.
func credential(r *http.Request, basic bool) (string, error) {
	secrets := r.Header.Values("X-Api-Key")
	for _, value := range r.Header.Values("Authorization") {
		scheme, token, _ := strings.Cut(value, " ")
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			secrets = append(secrets, strings.TrimLeft(token, " "))
		case basic:
			secrets = append(secrets, basicPassword(value))
		}
	}
	var found string
	for _, secret := range secrets {
		switch {
		case secret == "" || secret == found:
		case found == "":
			found = secret
		default:
			return "", &credentialError{"CREDENTIAL_AMBIGUOUS",
				"the request carries two different API keys; send one"}
		}
	}
	if found == "" {
		message := "send an API key as x-api-key: SECRET or Authorization: Bearer SECRET"
		if basic {
			message += ", or as the password of HTTP Basic"
		}
		return "", &credentialError{codeMissing, message}
	}
	return found, nil
}

// basicPassword returns the password of HTTP Basic, or "".
func basicPassword(authorization string) string {
	r := http.Request{Header: http.Header{"Authorization": {authorization}}}
	_, password, _ := r.BasicAuth()
	// OAuth clients form-encode it. Decoding leaves a plain secret as it is.
	if decoded, err := url.QueryUnescape(password); err == nil {
		return decoded
	}
	return password
}

// fewOf returns the first few distinct scopes: forward-auth may ask for many, and an answer should not
// repeat them all.
func fewOf(scopes apikey.Scopes) apikey.Scopes {
	const limit = 20
	var few apikey.Scopes
	for _, scope := range scopes {
		if !slices.Contains(few, scope) && len(few) < limit {
			few = append(few, scope)
		}
	}
	return few
}

// refusal returns the error that a decision means for the caller; nil if the key is valid.
func refusal(result verify.Result, want apikey.Scopes, from netip.Addr) error {
	switch result.Code {
	case verify.Valid:
		return nil
	case verify.InsufficientScope:
		return &scopeError{fewOf(result.Key.Scopes.Missing(want))}
	case verify.AddressNotAllowed:
		return &addressError{from}
	case verify.Revoked:
		return &credentialError{"CREDENTIAL_REVOKED", "the API key was revoked; use another one"}
	case verify.Disabled:
		return &credentialError{"CREDENTIAL_DISABLED", "the API key or its owner is suspended; have it enabled again or use another one"}
	case verify.Expired:
		return &credentialError{"CREDENTIAL_EXPIRED", "the API key has expired; extend it or use another one"}
	}
	return &credentialError{"CREDENTIAL_INVALID", "the API key is unknown to this service; check that it is complete"}
}
