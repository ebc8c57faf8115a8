package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is what a Guard answers in the handler's place, as the service itself would.
type refusal struct {
	status    int
	code      string
	message   string
	challenge string        // WWW-Authenticate, if any
	wait      time.Duration // Retry-After, if any
}

const (
	challengeKey  = `Bearer realm="api"`
	badToken      = challengeKey + `, error="invalid_token"`
	noSuchKey     = "the API key is unknown to this service; check that it is complete"
	cannotBeAsked = "API keys cannot be verified now; try again"
)

// unauthorized refuses a request without a valid key. The challenge names no error if there was
// no key at all (RFC 6750, section 3.1).
func unauthorized(code, message string) *refusal {
	r := &refusal{status: http.StatusUnauthorized, code: code, message: message, challenge: badToken}
	if code == CodeCredentialMissing {
		r.challenge = challengeKey
	}
	return r
}

// refusalOf returns the refusal that a decision means for a request that needs these scopes; nil
// lets it pass.
func refusalOf(v Verification, scopes []string) *refusal {
	switch v.Code {
	case VerifyValid:
		return nil
	case VerifyRevoked:
		return unauthorized(CodeCredentialRevoked, "the API key was revoked; use another one")
	case VerifyDisabled:
		return unauthorized(CodeCredentialDisabled, "the API key or its owner is suspended; have it enabled again or use another one")
	case VerifyExpired:
		return unauthorized(CodeCredentialExpired, "the API key has expired; extend it or use another one")
	case VerifyAddressNotAllowed:
		return &refusal{status: http.StatusForbidden, code: CodeAddressNotAllowed,
			message: "the API key may not be used from your address; use it from its networks"}
	case VerifyInsufficientScope:
		wanted := strings.Join(scopes, " ")
		return &refusal{status: http.StatusForbidden, code: CodeInsufficientScope,
			message:   "this needs an API key with the scopes " + wanted,
			challenge: fmt.Sprintf(`%s, error="insufficient_scope", scope="%s"`, challengeKey, wanted)}
	case VerifyQuotaExceeded:
		return &refusal{status: http.StatusTooManyRequests, code: CodeQuotaExceeded,
			message: fmt.Sprintf("too little of the API key's quota is left for this request; the next period starts in %d s",
				wholeSeconds(v.RetryAfter)),
			wait: v.RetryAfter}
	case VerifyRateLimited:
		return &refusal{status: http.StatusTooManyRequests, code: CodeRateLimited,
			message: fmt.Sprintf("the API key is over its rate limit; try again in %d s", wholeSeconds(v.RetryAfter)),
			wait:    v.RetryAfter}
	}
	return unauthorized(CodeCredentialInvalid, noSuchKey)
}

// unavailable refuses a request because the service could not be asked.
func unavailable(wait time.Duration) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: CodeUnavailable,
		message: cannotBeAsked, wait: max(wait, time.Second)}
}

// ServeHTTP answers with the refusal.
func (f *refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Cache-Control", "no-store")
	if f.challenge != "" {
		header.Set("WWW-Authenticate", f.challenge)
	}
	if f.wait > 0 {
		header.Set("Retry-After", strconv.Itoa(wholeSeconds(f.wait)))
	}
	w.WriteHeader(f.status)
	// An error means that the client has gone.
	_ = json.NewEncoder(w).Encode(struct { // the contract's shape, without the request_id that only the service has
		Code    string `json:"code"`
		Message string `json:"message"`
		Status  int    `json:"status"`
	}{f.code, f.message, f.status})
}

// wholeSeconds rounds up, so that a client that waits so long has waited long enough.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
