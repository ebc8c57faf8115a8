package handlers

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// The answers that are given most often are written by hand, several times as fast as
// encoding/json writes them. TestEncoding and FuzzEncoding hold that the bytes are the
// same.

// answer is an answer with a body that encode appends.
type answer struct {
	status   int
	location string // header, if any
	size     int    // of an ordinary body, or a little more
	encode   func([]byte) []byte
}

// keySize is how long the JSON of an ordinary key is.
const keySize = 512

func keyAnswerOf(r gen.ApiKeyResponse) answer {
	return answer{http.StatusOK, "", keySize, func(b []byte) []byte { return appendKey(b, &r) }}
}

func secretAnswerOf(status int, location string, r gen.ApiKeyWithSecretResponse) answer {
	return answer{status, location, keySize, func(b []byte) []byte { return appendKeyWithSecret(b, &r) }}
}

func listAnswerOf(r gen.ApiKeyListResponse) answer {
	return answer{http.StatusOK, "", keySize * (len(r.Data) + 1), func(b []byte) []byte { return appendList(b, &r) }}
}

func verifyAnswerOf(r gen.VerifyResponse) answer {
	return answer{http.StatusOK, "", keySize, func(b []byte) []byte { return appendVerify(b, &r) }}
}

func (a answer) write(w http.ResponseWriter) error {
	body := append(a.encode(make([]byte, 0, a.size)), '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if a.location != "" {
		header.Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	_, err := w.Write(body)
	return err
}

// VisitCreateApiKeyResponse makes it an answer of createApiKey.
func (a answer) VisitCreateApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListApiKeysResponse makes it an answer of listApiKeys.
func (a answer) VisitListApiKeysResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetApiKeyResponse makes it an answer of getApiKey.
func (a answer) VisitGetApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitVerifyApiKeyResponse makes it an answer of verifyApiKey.
func (a answer) VisitVerifyApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

func appendKey(b []byte, r *gen.ApiKeyResponse) []byte {
	b = appendKeyStart(b, (*keyAnswer)(r))
	return appendStatus(b, r.Status)
}

func appendKeyWithSecret(b []byte, r *gen.ApiKeyWithSecretResponse) []byte {
	b = appendKeyStart(b, &keyAnswer{
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, GraceEndsAt: r.GraceEndsAt, Id: r.Id,
		LastUsedAt: r.LastUsedAt, Metadata: r.Metadata, Name: r.Name, Owner: r.Owner, Prefix: r.Prefix,
		RateLimit: r.RateLimit, RevokedAt: r.RevokedAt, Scopes: r.Scopes,
	})
	b = appendText(append(b, `,"secret":`...), r.Secret)
	return appendStatus(b, r.Status)
}

// appendKeyStart appends all but the end of a key, in the order of the alphabet, as the
// generated types have it.
func appendKeyStart(b []byte, r *keyAnswer) []byte {
	b = appendTime(append(b, `{"created_at":`...), r.CreatedAt)
	b = appendTime(append(b, `,"expires_at":`...), r.ExpiresAt)
	b = appendOptionalTime(b, `,"grace_ends_at":`, r.GraceEndsAt)
	b = appendID(append(b, `,"id":`...), r.Id)
	b = appendOptionalTime(b, `,"last_used_at":`, r.LastUsedAt)
	b = appendMetadata(append(b, `,"metadata":`...), r.Metadata)
	b = appendText(append(b, `,"name":`...), r.Name)
	b = appendText(append(b, `,"owner":`...), r.Owner)
	b = appendText(append(b, `,"prefix":`...), r.Prefix)
	if r.RateLimit != nil {
		b = strconv.AppendInt(append(b, `,"rate_limit":{"limit":`...), int64(r.RateLimit.Limit), 10)
		b = strconv.AppendInt(append(b, `,"window_seconds":`...), int64(r.RateLimit.WindowSeconds), 10)
		b = append(b, '}')
	}
	b = appendOptionalTime(b, `,"revoked_at":`, r.RevokedAt)
	return appendScopes(append(b, `,"scopes":`...), r.Scopes)
}

func appendScopes(b []byte, scopes []string) []byte {
	if scopes == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, scope := range scopes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, scope)
	}
	return append(b, ']')
}

func appendStatus(b []byte, s gen.ApiKeyStatus) []byte {
	b = appendText(append(b, `,"status":`...), string(s))
	return append(b, '}')
}

func appendList(b []byte, r *gen.ApiKeyListResponse) []byte {
	b = append(b, `{"data":[`...)
	for i := range r.Data {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendKey(b, &r.Data[i])
	}
	b = strconv.AppendInt(append(b, `],"pagination":{"current_page":`...), int64(r.Pagination.CurrentPage), 10)
	b = strconv.AppendInt(append(b, `,"items_per_page":`...), int64(r.Pagination.ItemsPerPage), 10)
	if r.Pagination.NextCursor != nil {
		b = appendText(append(b, `,"next_cursor":`...), *r.Pagination.NextCursor)
	}
	b = strconv.AppendInt(append(b, `,"total_pages":`...), int64(r.Pagination.TotalPages), 10)
	return append(b, "}}"...)
}

func appendVerify(b []byte, r *gen.VerifyResponse) []byte {
	b = appendText(append(b, `{"code":`...), string(r.Code))
	if r.Key != nil {
		b = appendKey(append(b, `,"key":`...), r.Key)
	}
	if r.RetryAfterSeconds != nil {
		b = strconv.AppendInt(append(b, `,"retry_after_seconds":`...), int64(*r.RetryAfterSeconds), 10)
	}
	b = strconv.AppendBool(append(b, `,"valid":`...), r.Valid)
	return append(b, '}')
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, '"'), id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return append(b, '"')
}

func appendTime(b []byte, t apikey.Timestamp) []byte {
	return append(t.Append(append(b, '"')), '"')
}

func appendOptionalTime(b []byte, name string, t *apikey.Timestamp) []byte {
	if t == nil {
		return b
	}
	return appendTime(append(b, name...), *t)
}

func appendMetadata(b []byte, m gen.Metadata) []byte {
	if m != nil && len(m) == 0 {
		return append(b, "{}"...)
	}
	return appendAny(b, m)
}

// appendText appends a string. Only the plainest are written by hand.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendAny(b, s)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

// appendAny appends what encoding/json makes of a string, or of a map of them.
func appendAny(b []byte, value any) []byte {
	text, _ := json.Marshal(value) // these are always JSON
	return append(b, text...)
}
