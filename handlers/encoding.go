package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/verify"
)

// answer is an answer about keys. It appends its JSON field by field, from apikey's one list of fields,
// instead of converting keys to the generated types and encoding these by reflection. That saves about
// 10 % of a request for one key, and 25 % of one for a list of 20 (BenchmarkShortcuts). TestEncoding compares both.
type answer struct {
	status   int
	location string // header, if not empty
	etag     string // header, if not empty
	size     int    // capacity for a typical body
	encode   func([]byte) []byte
}

// jsonKey is an *apikey.Key, or an entry of the cache.
type jsonKey interface {
	AppendJSON(b []byte, now time.Time) []byte
	ETag() string
}

// keySize is the size of a typical key's JSON.
const keySize = 512

func keyAnswer(k jsonKey, now time.Time) answer {
	return answer{http.StatusOK, "", k.ETag(), keySize, func(b []byte) []byte { return k.AppendJSON(b, now) }}
}

// secretAnswer is the only answer that holds a secret.
func secretAnswer(status int, location string, k *apikey.Key, secret shownSecret, now time.Time) answer {
	return answer{status, location, k.ETag(), keySize, func(b []byte) []byte {
		b = k.AppendJSON(b, now)
		return append(secret.append(append(b[:len(b)-1], ',')), '}')
	}}
}

// shownSecret is a new secret as its answer shows it: sealed if the request names a recipient, else in clear.
type shownSecret struct {
	clear  apikey.Secret
	sealed string
}

// show seals a secret. It is called before the key is changed, so that a recipient without sense changes nothing.
func show(secret apikey.Secret, recipient *gen.Recipient) (shown shownSecret, err error) {
	if recipient == nil {
		return shownSecret{clear: secret}, nil
	}
	to, err := apikey.ParseRecipient(*recipient)
	if err == nil {
		shown.sealed, err = secret.SealTo(to)
	}
	return shown, err
}

func (s shownSecret) append(b []byte) []byte {
	if s.sealed == "" {
		b = append(append(b, `"secret":"`...), s.clear.Reveal()...)
		return append(b, '"')
	}
	b, _ = jsontext.AppendQuote(append(b, `"sealed_secret":`...), s.sealed) // ASCII, so without an error
	return b
}

func listAnswer[K jsonKey](keys []K, p gen.Pagination, now time.Time) answer {
	return answer{http.StatusOK, "", "", keySize * (len(keys) + 1), func(b []byte) []byte {
		return appendList(b, keys, p, now)
	}}
}

func verifyAnswer(r verify.Result, k jsonKey) answer {
	return answer{http.StatusOK, "", "", keySize, func(b []byte) []byte { return appendVerify(b, r, k) }}
}

func (a answer) write(w http.ResponseWriter) error {
	body := append(a.encode(make([]byte, 0, a.size)), '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if a.location != "" {
		header.Set("Location", a.location)
	}
	if a.etag != "" {
		header.Set("ETag", a.etag)
	}
	w.WriteHeader(a.status)
	_, err := w.Write(body)
	return err
}

// VisitCreateApiKeyResponse writes an answer of createApiKey.
func (a answer) VisitCreateApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListApiKeysResponse writes an answer of listApiKeys.
func (a answer) VisitListApiKeysResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetApiKeyResponse writes an answer of getApiKey.
func (a answer) VisitGetApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitUpdateApiKeyResponse writes an answer of updateApiKey.
func (a answer) VisitUpdateApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitRotateApiKeyResponse writes an answer of rotateApiKey.
func (a answer) VisitRotateApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitRevokeApiKeyResponse writes an answer of revokeApiKey.
func (a answer) VisitRevokeApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitVerifyApiKeyResponse writes an answer of verifyApiKey.
func (a answer) VisitVerifyApiKeyResponse(w http.ResponseWriter) error { return a.write(w) }

func appendList[K jsonKey](b []byte, keys []K, p gen.Pagination, now time.Time) []byte {
	b = append(b, `{"data":[`...)
	for i := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = keys[i].AppendJSON(b, now)
	}
	b = strconv.AppendInt(append(b, `],"pagination":{"current_page":`...), int64(p.CurrentPage), 10)
	b = strconv.AppendInt(append(b, `,"items_per_page":`...), int64(p.ItemsPerPage), 10)
	if p.NextCursor != nil {
		b = append(append(append(b, `,"next_cursor":"`...), *p.NextCursor...), '"') // base64
	}
	b = strconv.AppendInt(append(b, `,"total_pages":`...), int64(p.TotalPages), 10)
	return append(b, "}}"...)
}

// appendVerify appends a decision. The key is nil if none has the secret.
func appendVerify(b []byte, r verify.Result, k jsonKey) []byte {
	b = append(append(append(b, `{"code":"`...), r.Code...), '"')
	if k != nil {
		b = k.AppendJSON(append(b, `,"key":`...), r.At)
	}
	if state := r.LeastQuota(); state != (quota.State{}) {
		b = appendQuotaState(append(b, `,"quota":`...), state)
	}
	if r.Code == verify.QuotaExceeded || r.Code == verify.RateLimited {
		b = strconv.AppendInt(append(b, `,"retry_after_seconds":`...), int64(wholeSeconds(r.RetryAfter())), 10)
	}
	b = strconv.AppendBool(append(b, `,"valid":`...), r.Code == verify.Valid)
	return append(b, '}')
}

func appendQuotaState(b []byte, state quota.State) []byte {
	b = strconv.AppendInt(append(b, `{"remaining":`...), int64(state.Remaining), 10)
	return append(apikey.Timestamp(state.ResetsAt).Append(append(b, `,"resets_at":"`...)), `"}`...)
}
