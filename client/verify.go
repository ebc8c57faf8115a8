package client

import (
	"context"
	"net/http"
	"strings"
	"time"

	"apikeyd/client/internal/api"
)

// VerifyCode is the service's decision about a secret.
type VerifyCode string

// The decisions. If several apply, the first in this order is returned. A newer service may
// return others; only VerifyValid lets a key pass.
const (
	VerifyNotFound          VerifyCode = "NOT_FOUND" // no key has this secret
	VerifyRevoked           VerifyCode = "REVOKED"
	VerifyDisabled          VerifyCode = "DISABLED" // suspended
	VerifyExpired           VerifyCode = "EXPIRED"
	VerifyAddressNotAllowed VerifyCode = "ADDRESS_NOT_ALLOWED" // or Call.ClientAddress is empty
	VerifyInsufficientScope VerifyCode = "INSUFFICIENT_SCOPE"  // the key lacks one of the scopes
	VerifyQuotaExceeded     VerifyCode = "QUOTA_EXCEEDED"      // see Verification.Quota and RetryAfter
	VerifyRateLimited       VerifyCode = "RATE_LIMITED"        // see Verification.RetryAfter
	VerifyValid             VerifyCode = "VALID"
)

// Verification is a decision about a secret.
type Verification struct {
	Code       VerifyCode
	Key        Key           // the key with this secret; zero with VerifyNotFound
	RetryAfter time.Duration // with VerifyRateLimited and VerifyQuotaExceeded: how long until one call passes
	Quota      QuotaState    // of the key's quota after this call; zero if it has none or a code before VerifyQuotaExceeded applies
}

// Valid reports whether the decision is VerifyValid.
func (v Verification) Valid() bool { return v.Code == VerifyValid }

// Call is a call to your service, made with somebody's key.
type Call struct {
	Secret string   // any string
	Scopes []string // that the key must have
	Cost   *int     // in units of the key's quota, 0 to 1,000,000; nil is one

	// ClientAddress is the IP address that the call came from, with or without a port. Without it, keys
	// that may only be used from some networks are refused.
	ClientAddress string
}

// Verify asks whether a secret is valid now and its key has all the scopes. The key may belong to
// any owner, and the secret may be any string. A refusal is a Verification and not an error; an
// error means that nothing is known about the secret. The calling key needs keys:verify.
//
// A decision of VerifyValid counts as a use of the key, against its rate limit and, as one unit,
// against its quota. So Verify does not retry if the decision may already have been made (the
// connection broke).
//
// Use a [Guard] to protect a service.
func (c *Client) Verify(ctx context.Context, secret string, scopes ...string) (Verification, error) {
	return c.VerifyCall(ctx, Call{Secret: secret, Scopes: scopes})
}

// VerifyCall is [Client.Verify] for a call that may cost more or less than one unit of a quota, or whose
// client's address is known.
func (c *Client) VerifyCall(ctx context.Context, call Call) (Verification, error) {
	body := api.VerifyRequest{Key: call.Secret, Cost: call.Cost}
	if len(call.Scopes) > 0 {
		body.Scopes = &call.Scopes
	}
	if call.ClientAddress != "" {
		body.ClientAddress = &call.ClientAddress
	}
	request, err := api.NewVerifyApiKeyRequest(c.base, body)
	if err != nil {
		return Verification{}, unsendable(err)
	}
	var answer verifyAnswer
	if err := c.hiding(call.Secret).send(ctx, request, false, http.StatusOK, &answer); err != nil {
		return Verification{}, err
	}
	return answer.verification(), nil
}

// ReportLeak reports a secret that was found where it should not be. A current secret revokes its
// key for good. A secret in its grace after a rotation stops working, and its key stays valid.
// Any other string has no effect. The answer does not reveal which of these applied. Too many
// reports without effect fail with [CodeTooManyRequests].
func (c *Client) ReportLeak(ctx context.Context, secret string) error {
	request, err := api.NewReportLeakedKeyRequest(c.base, api.LeakReport{Key: secret})
	if err != nil {
		return unsendable(err)
	}
	// Repeatable: a second report has no further effect.
	return c.hiding(secret).send(ctx, request, true, http.StatusAccepted, &leakAnswer{})
}

// hiding returns a sender that redacts this secret in errors too.
func (s *sender) hiding(secret string) *sender {
	const shortest = 16 // a shorter string is not a secret and may be part of a word
	if len(secret) < shortest {
		return s
	}
	hiding := *s
	hiding.redact = func(text string) string {
		return strings.ReplaceAll(s.redact(text), secret, redacted)
	}
	return &hiding
}
