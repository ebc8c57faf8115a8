package client

import (
	"context"
	"net/http"
	"strings"
	"time"

	"apikeyd/client/internal/api"
)

// VerifyCode is what the service decided about a secret.
type VerifyCode string

// The decisions. Where several apply, the first is told. A newer service may make
// others: only VerifyValid is a yes.
const (
	VerifyNotFound          VerifyCode = "NOT_FOUND" // no key has this secret now
	VerifyRevoked           VerifyCode = "REVOKED"
	VerifyExpired           VerifyCode = "EXPIRED"
	VerifyInsufficientScope VerifyCode = "INSUFFICIENT_SCOPE" // the key lacks one of the scopes
	VerifyRateLimited       VerifyCode = "RATE_LIMITED"       // see Verification.RetryAfter
	VerifyValid             VerifyCode = "VALID"
)

// Verification is a decision about a secret.
type Verification struct {
	Code       VerifyCode
	Key        Key           // whose secret it is, whatever the decision; zero with VerifyNotFound
	RetryAfter time.Duration // with VerifyRateLimited: after so long one call will pass
}

// Valid reports whether the secret is good for what was asked.
func (v Verification) Valid() bool { return v.Code == VerifyValid }

// Verify asks whether a secret that somebody showed you is good now, and its key holds
// all the scopes; whose key it is does not matter. Any string may be asked about. A
// refusal is a Verification, and no error; an error says that nothing is known. The
// calling key needs keys:verify.
//
// A decision of VerifyValid counts as a use of the key, and against its rate limit. So
// where it may have been made already (the connection broke), Verify does not ask again.
//
// To protect a service, let a [Guard] ask.
func (c *Client) Verify(ctx context.Context, secret string, scopes ...string) (Verification, error) {
	body := api.VerifyRequest{Key: secret}
	if len(scopes) > 0 {
		body.Scopes = &scopes
	}
	request, err := api.NewVerifyApiKeyRequest(c.base, body)
	if err != nil {
		return Verification{}, unsendable(err)
	}
	var answer verifyAnswer
	if err := c.hiding(secret).send(ctx, request, false, http.StatusOK, &answer); err != nil {
		return Verification{}, err
	}
	return answer.verification(), nil
}

// ReportLeak tells the service of a secret that was found where it should not be. The
// secret of a key ends the key for good; one that is being rotated out stops, and its key
// stays; any other string does nothing. Which of them it was is not told. Too many that
// do nothing fail with [CodeTooManyRequests].
func (c *Client) ReportLeak(ctx context.Context, secret string) error {
	request, err := api.NewReportLeakedKeyRequest(c.base, api.LeakReport{Key: secret})
	if err != nil {
		return unsendable(err)
	}
	// Twice the same report does what one does.
	return c.hiding(secret).send(ctx, request, true, http.StatusAccepted, &leakAnswer{})
}

// hiding is the sender of a request whose body holds somebody's secret: that is taken out
// of errors too.
func (s *sender) hiding(secret string) *sender {
	const shortest = 16 // what is shorter is no secret, and may be part of a word
	if len(secret) < shortest {
		return s
	}
	hiding := *s
	hiding.redact = func(text string) string {
		return strings.ReplaceAll(s.redact(text), secret, redacted)
	}
	return &hiding
}
