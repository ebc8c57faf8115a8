package handlers

import (
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// keyAnswer and createdAnswer repeat the generated types of answers, field by field.
// Where the contract gains or loses a field, the conversions below stop compiling
// until somebody has said what belongs there.
type keyAnswer struct {
	CreatedAt   apikey.Timestamp
	ExpiresAt   apikey.Timestamp
	GraceEndsAt *apikey.Timestamp
	Id          uuid.UUID
	LastUsedAt  *apikey.Timestamp
	Metadata    gen.Metadata
	Name        string
	Owner       string
	Prefix      string
	RateLimit   *gen.RateLimit
	RevokedAt   *apikey.Timestamp
	Scopes      []string
	Status      gen.ApiKeyStatus
}

type createdAnswer struct {
	CreatedAt   apikey.Timestamp
	ExpiresAt   apikey.Timestamp
	GraceEndsAt *apikey.Timestamp
	Id          uuid.UUID
	LastUsedAt  *apikey.Timestamp
	Metadata    gen.Metadata
	Name        string
	Owner       string
	Prefix      string
	RateLimit   *gen.RateLimit
	RevokedAt   *apikey.Timestamp
	Scopes      []string
	Secret      string
	Status      gen.ApiKeyStatus
}

func keyResponse(k *apikey.Key, now time.Time) gen.ApiKeyResponse {
	return gen.ApiKeyResponse(keyAnswer{
		CreatedAt:   apikey.Timestamp(k.CreatedAt),
		ExpiresAt:   apikey.Timestamp(k.ExpiresAt),
		GraceEndsAt: timestamp(k.GraceEnd(now)),
		Id:          uuid.UUID(k.ID),
		LastUsedAt:  timestamp(k.LastUsedAt),
		Metadata:    gen.Metadata(k.Metadata),
		Name:        k.Name,
		Owner:       k.Owner,
		Prefix:      k.Prefix,
		RateLimit:   rateLimit(k.RateLimit),
		RevokedAt:   timestamp(k.RevokedAt),
		Scopes:      k.Scopes,
		Status:      gen.ApiKeyStatus(k.Status(now)),
	})
}

func keyResponses(keys []apikey.Key, now time.Time) []gen.ApiKeyResponse {
	responses := make([]gen.ApiKeyResponse, len(keys))
	for i := range keys {
		responses[i] = keyResponse(&keys[i], now)
	}
	return responses
}

// secretResponse is the one answer that holds a secret.
func secretResponse(k *apikey.Key, secret apikey.Secret, now time.Time) gen.ApiKeyWithSecretResponse {
	r := keyResponse(k, now)
	return gen.ApiKeyWithSecretResponse(createdAnswer{
		CreatedAt:   r.CreatedAt,
		ExpiresAt:   r.ExpiresAt,
		GraceEndsAt: r.GraceEndsAt,
		Id:          r.Id,
		LastUsedAt:  r.LastUsedAt,
		Metadata:    r.Metadata,
		Name:        r.Name,
		Owner:       r.Owner,
		Prefix:      r.Prefix,
		RateLimit:   r.RateLimit,
		RevokedAt:   r.RevokedAt,
		Scopes:      r.Scopes,
		Secret:      secret.Reveal(),
		Status:      r.Status,
	})
}

// timestamp is an optional instant; the zero time is absent.
func timestamp(t time.Time) *apikey.Timestamp {
	if t.IsZero() {
		return nil
	}
	stamp := apikey.Timestamp(t)
	return &stamp
}

// rateLimit is an optional limit; none is absent.
func rateLimit(r apikey.RateLimit) *gen.RateLimit {
	if r.IsNone() {
		return nil
	}
	return &gen.RateLimit{Limit: r.Limit, WindowSeconds: int(r.Window / time.Second)}
}

// rateLimitOf takes a limit out of a body: nil if it is absent, none if it is null.
func rateLimitOf(setting nullable.Nullable[gen.RateLimitSetting]) *apikey.RateLimit {
	if !setting.IsSpecified() {
		return nil
	}
	s, _ := setting.Get() // null is the zero limit, which is none
	return &apikey.RateLimit{Limit: s.Limit, Window: time.Duration(s.WindowSeconds) * time.Second}
}

// changeOf takes a change out of its body. What is absent stays nil.
func changeOf(body *gen.ApiKeyUpdate) apikey.Change {
	change := apikey.Change{Name: body.Name}
	if body.ExpiresAt != nil {
		expiresAt := body.ExpiresAt.Time()
		change.ExpiresAt = &expiresAt
	}
	if body.Scopes != nil {
		scopes := apikey.Scopes(*body.Scopes)
		change.Scopes = &scopes
	}
	if body.Metadata != nil {
		metadata := apikey.Metadata(*body.Metadata)
		change.Metadata = &metadata
	}
	change.RateLimit = rateLimitOf(body.RateLimit)
	return change
}
