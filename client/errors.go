package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"

	"apikeyd/client/internal/api"
)

// The contract's codes, by status. A newer service may send others.
const (
	CodeInvalidRequest      = "INVALID_REQUEST"      // 400; Error.Details names the fields
	CodeCredentialMissing   = "CREDENTIAL_MISSING"   // 401
	CodeCredentialAmbiguous = "CREDENTIAL_AMBIGUOUS" // 401; two different secrets in one request
	CodeCredentialInvalid   = "CREDENTIAL_INVALID"   // 401
	CodeCredentialExpired   = "CREDENTIAL_EXPIRED"   // 401
	CodeCredentialRevoked   = "CREDENTIAL_REVOKED"   // 401
	CodeCredentialDisabled  = "CREDENTIAL_DISABLED"  // 401; the key or its owner is suspended
	CodeSignatureInvalid    = "SIGNATURE_INVALID"    // 401; a report of GitHub's secret scanning is not signed as it must be
	CodeAddressNotAllowed   = "ADDRESS_NOT_ALLOWED"  // 403; the calling key may not be used from this address
	CodeInsufficientScope   = "INSUFFICIENT_SCOPE"   // 403; the calling key lacks the scope of the operation
	CodeForbidden           = "FORBIDDEN"            // 403; the calling key may not do this
	CodeKeyNotFound         = "KEY_NOT_FOUND"        // 404; no such key, or it belongs to another owner
	CodeOwnerNotFound       = "OWNER_NOT_FOUND"      // 404; it has no keys, and nothing was set for it
	CodeScanningOff         = "SCANNING_OFF"         // 404; the service does not receive GitHub's secret scanning
	CodeWebhookNotFound     = "WEBHOOK_NOT_FOUND"    // 404
	CodeDeliveryNotFound    = "DELIVERY_NOT_FOUND"   // 404; or its event is no longer in the audit log
	CodePathNotFound        = "PATH_NOT_FOUND"       // 404; the base URL is wrong, or the service is older than the client
	CodeMethodNotAllowed    = "METHOD_NOT_ALLOWED"   // 405
	CodeNameTaken           = "NAME_TAKEN"           // 409
	CodeTooManyKeys         = "TOO_MANY_KEYS"        // 409; the owner has as many keys as it may have
	CodeKeyRevoked          = "KEY_REVOKED"          // 409; a revoked key cannot be changed
	CodeHistoryRemoved      = "HISTORY_REMOVED"      // 409; retention removed audit events that would be needed
	CodeKeyRotated          = "KEY_ROTATED"          // 409; another call rotated the key at the same moment
	CodeTooManyWebhooks     = "TOO_MANY_WEBHOOKS"    // 409; there are 100
	CodeWebhookDisabled     = "WEBHOOK_DISABLED"     // 409; enable it first
	CodeKeyChanged          = "KEY_CHANGED"          // 412; the key has another ETag than Client.IfMatch says
	CodeBodyTooLarge        = "BODY_TOO_LARGE"       // 413
	CodeBodyEncoded         = "BODY_ENCODED"         // 415; the body has a Content-Encoding such as gzip
	CodeQuotaExceeded       = "QUOTA_EXCEEDED"       // 429; as CodeRateLimited
	CodeRateLimited         = "RATE_LIMITED"         // 429; or 403 from forward-auth, unless it was asked for 429
	CodeTooManyRequests     = "TOO_MANY_REQUESTS"    // 429; too many failures from this address, or too many lists and searches at once
	CodeInternal            = "INTERNAL"             // 500; a defect of the service
	CodeUnavailable         = "UNAVAILABLE"          // 503; nothing was changed, and nothing will be
	CodeOutcomeUnknown      = "OUTCOME_UNKNOWN"      // 503; check whether the change was made
)

// Error is an unexpected answer, usually the service's refusal. An Error without a Code did not
// come from the service: a proxy in between may have sent it, or the base URL is wrong.
type Error struct {
	Status     int           // the HTTP status; it can be 200 if the body is not what apikeyd sends
	Code       string        // one of the Code constants or a newer one; empty if the answer is not the service's
	Message    string        // what is wrong and how to fix it, for a person
	RequestID  string        // identifies the request in the service's log; may be empty
	Details    []FieldError  // the fields that are wrong, if the service named any
	RetryAfter time.Duration // how long to wait before a retry; 0 if the answer does not say
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string // the name of the property, query parameter or header in the contract
	Message string
}

// Error returns the status, code, message and request id.
func (e *Error) Error() string {
	text := "apikeyd: " + strconv.Itoa(e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	text += ": " + e.Message
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// CodeOf returns the code of the *[Error] in err, or the empty string if there is none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// errorOf turns an answer into an error. The texts come from outside, so secrets in them are
// redacted.
func (s *sender) errorOf(answer *http.Response, body []byte) *Error {
	e := &Error{
		Status:     answer.StatusCode,
		RequestID:  s.redact(answer.Header.Get("X-Request-Id")),
		RetryAfter: retryAfter(answer.Header.Get("Retry-After")),
	}
	var response api.ErrorResponse
	if json.Unmarshal(body, &response) != nil || response.Message == "" || answer.StatusCode < 400 {
		e.Message = s.redact(describeForeign(answer))
		return e
	}
	e.Message = s.redact(response.Message)
	e.Code = s.redact(response.Code)
	if response.RequestId != "" { // an API's own errors have none
		e.RequestID = s.redact(response.RequestId)
	}
	if response.Details != nil {
		for _, d := range *response.Details {
			e.Details = append(e.Details, FieldError{Field: s.redact(d.Field), Message: s.redact(d.Message)})
		}
	}
	return e
}

// describeForeign describes an answer that is not the service's, without quoting it.
func describeForeign(answer *http.Response) string {
	if answer.StatusCode >= 300 && answer.StatusCode < 400 {
		return "the answer is a redirect, which is not followed because it would leak the secret; correct the base URL"
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		kind = "unknown type"
	}
	return fmt.Sprintf("the answer (%s) does not come from apikeyd; a proxy may have sent it, or the base URL is wrong", kind)
}

// retryAfter parses a Retry-After header: seconds, or a date from a proxy.
func retryAfter(value string) time.Duration {
	if n, err := strconv.Atoi(value); err == nil {
		return seconds(n)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// seconds converts a number of seconds. It is at most a year, because much more would overflow.
func seconds(n int) time.Duration {
	const year = 365 * 24 * 60 * 60
	return time.Duration(min(max(n, 0), year)) * time.Second
}
