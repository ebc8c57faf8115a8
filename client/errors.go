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

// The codes of the contract, by the status that they come with. A newer service may
// answer others.
const (
	CodeInvalidRequest      = "INVALID_REQUEST"      // 400; Error.Details names the fields
	CodeCredentialMissing   = "CREDENTIAL_MISSING"   // 401
	CodeCredentialAmbiguous = "CREDENTIAL_AMBIGUOUS" // 401; two different secrets in one request
	CodeCredentialInvalid   = "CREDENTIAL_INVALID"   // 401
	CodeCredentialExpired   = "CREDENTIAL_EXPIRED"   // 401
	CodeCredentialRevoked   = "CREDENTIAL_REVOKED"   // 401
	CodeInsufficientScope   = "INSUFFICIENT_SCOPE"   // 403; the calling key lacks the scope of the operation
	CodeForbidden           = "FORBIDDEN"            // 403; it may not do this to that key
	CodeKeyNotFound         = "KEY_NOT_FOUND"        // 404; or it belongs to another owner
	CodePathNotFound        = "PATH_NOT_FOUND"       // 404; the base URL is wrong, or the service older than the client
	CodeMethodNotAllowed    = "METHOD_NOT_ALLOWED"   // 405
	CodeNameTaken           = "NAME_TAKEN"           // 409
	CodeKeyRevoked          = "KEY_REVOKED"          // 409; a revoked key cannot be changed
	CodeKeyRotated          = "KEY_ROTATED"          // 409; another call rotated the key at the same moment
	CodeBodyTooLarge        = "BODY_TOO_LARGE"       // 413
	CodeBodyEncoded         = "BODY_ENCODED"         // 415; it has a Content-Encoding such as gzip
	CodeRateLimited         = "RATE_LIMITED"         // 429; or 403, as forward-auth was asked to answer
	CodeTooManyRequests     = "TOO_MANY_REQUESTS"    // 429; too many failures from this address, or too many lists and searches at once
	CodeInternal            = "INTERNAL"             // 500; a defect of the service
	CodeUnavailable         = "UNAVAILABLE"          // 503; nothing was changed, and nothing will be
	CodeOutcomeUnknown      = "OUTCOME_UNKNOWN"      // 503; look whether the change was made
)

// Error is an answer that is not the one asked for. Mostly the service refused the
// call. Without a Code, the answer is not the service's: a proxy in between may have
// made it, or the base URL is wrong.
type Error struct {
	Status     int           // the HTTP status, which can be 200 if what came is no API key
	Code       string        // one of the Code constants, or one that is newer; empty in an answer not the service's
	Message    string        // what is wrong and how to mend it, for a person
	RequestID  string        // names the exchange in the service's log; may be empty
	Details    []FieldError  // the fields that are wrong, if the service named any
	RetryAfter time.Duration // how long to wait before trying again; 0 if the answer does not say
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string // the property, query parameter or header, as the contract calls it
	Message string
}

// Error tells the status, code, message and request id.
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

// CodeOf returns the code of the *[Error] in err, and otherwise the empty string.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// errorOf is the error that an answer means. Its texts are somebody else's, so secrets
// are taken out.
func (s *sender) errorOf(answer *http.Response, body []byte) *Error {
	e := &Error{
		Status:     answer.StatusCode,
		RequestID:  s.redact(answer.Header.Get("X-Request-Id")),
		RetryAfter: retryAfter(answer.Header.Get("Retry-After")),
	}
	var told api.ErrorResponse
	if json.Unmarshal(body, &told) != nil || told.Message == "" || answer.StatusCode < 400 {
		e.Message = s.redact(foreign(answer))
		return e
	}
	e.Message = s.redact(told.Message)
	e.Code = s.redact(told.Code)
	if told.RequestId != "" { // an API's own errors have none
		e.RequestID = s.redact(told.RequestId)
	}
	if told.Details != nil {
		for _, d := range *told.Details {
			e.Details = append(e.Details, FieldError{Field: s.redact(d.Field), Message: s.redact(d.Message)})
		}
	}
	return e
}

// foreign describes an answer that is not the service's, without its text.
func foreign(answer *http.Response) string {
	if answer.StatusCode >= 300 && answer.StatusCode < 400 {
		return "the answer is a redirect, which is not followed with the secret; correct the base URL"
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		kind = "of no known type"
	}
	return fmt.Sprintf("the answer (%s) is not what apikeyd says; a proxy may have made it, or the base URL is wrong", kind)
}

// retryAfter reads the header of that name: seconds, or from a proxy a date.
func retryAfter(value string) time.Duration {
	if n, err := strconv.Atoi(value); err == nil {
		return seconds(n)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// seconds is a time to wait, up to a year: far more would not fit a Duration.
func seconds(n int) time.Duration {
	const year = 365 * 24 * 60 * 60
	return time.Duration(min(max(n, 0), year)) * time.Second
}
