package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
	"apikeyd/verify"
)

// credentialError is a 401: the caller did not prove itself.
type credentialError struct{ code, message string }

func (e *credentialError) Error() string { return e.message }

// scopeError is a 403: the caller's key lacks the operation's scope.
type scopeError struct{ scope string }

func (e *scopeError) Error() string { return "this operation needs a key with the scope " + e.scope }

// caller is who makes a request.
type caller struct {
	key       apikey.Key
	requestID string
}

type callerKey struct{}

// callerFrom returns who makes the request. Only a request that passed
// authentication has a caller.
func callerFrom(ctx context.Context) (caller, bool) {
	c, ok := ctx.Value(callerKey{}).(caller)
	return c, ok
}

// requireCaller is a second lock behind authenticate: a handler that ran without a
// caller would see every owner's keys.
func requireCaller(next gen.StrictHandlerFunc, operationID string) gen.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		if _, ok := callerFrom(c.Request().Context()); !ok {
			return nil, fmt.Errorf("%s was reached without authentication", operationID)
		}
		return next(c, request)
	}
}

// actor is the caller as the store knows it.
func (c caller) actor() store.Actor {
	return store.Actor{Key: c.key.ID, Secret: c.key.SecretHash, Via: "http", RequestID: c.requestID}
}

// authenticate returns the middleware that lets only keys with the operation's
// scope pass. It comes before validation: strangers learn nothing from messages.
func (s *Server) authenticate(op operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			secret, err := credential(r.Header)
			if err != nil {
				return err
			}
			result, err := s.Verifier.Verify(r.Context(), secret, op.scope)
			if err != nil {
				return err
			}
			if result.Code != verify.NotFound {
				c.Set(keyField, result.Key)
			}
			if err := refusal(result.Code, op); err != nil {
				return err
			}
			who := caller{key: result.Key, requestID: requestID(c)}
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
			return next(c)
		}
	}
}

// credential returns the one secret that a request carries, in x-api-key or as a
// bearer token (RFC 6750, section 2.1). Other schemes are ignored.
func credential(h http.Header) (string, error) {
	secrets := h.Values("X-Api-Key")
	for _, value := range h.Values("Authorization") {
		scheme, token, _ := strings.Cut(value, " ")
		if strings.EqualFold(scheme, "Bearer") {
			secrets = append(secrets, strings.TrimLeft(token, " "))
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
		return "", &credentialError{"CREDENTIAL_MISSING",
			"send an API key as x-api-key: SECRET or Authorization: Bearer SECRET"}
	}
	return found, nil
}

func refusal(code verify.Code, op operation) error {
	switch code {
	case verify.Valid:
		return nil
	case verify.InsufficientScope:
		return &scopeError{op.scope}
	case verify.Revoked:
		return &credentialError{"CREDENTIAL_REVOKED", "the API key was revoked; use another one"}
	case verify.Expired:
		return &credentialError{"CREDENTIAL_EXPIRED", "the API key has expired; prolong it or use another one"}
	}
	return &credentialError{"CREDENTIAL_INVALID", "the API key is not one of this service; check that it is whole"}
}
