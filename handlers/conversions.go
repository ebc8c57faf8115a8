package handlers

import (
	"time"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// keyAnswer and createdAnswer repeat the generated types of answers, field by field.
// Where the contract gains or loses a field, the conversions below stop compiling
// until somebody has said what belongs there.
type keyAnswer struct {
	CreatedAt  apikey.Timestamp
	ExpiresAt  apikey.Timestamp
	Id         uuid.UUID
	LastUsedAt *apikey.Timestamp
	Name       string
	Owner      string
	Prefix     string
	RevokedAt  *apikey.Timestamp
	Scopes     []string
	Status     gen.ApiKeyStatus
}

type createdAnswer struct {
	CreatedAt  apikey.Timestamp
	ExpiresAt  apikey.Timestamp
	Id         uuid.UUID
	LastUsedAt *apikey.Timestamp
	Name       string
	Owner      string
	Prefix     string
	RevokedAt  *apikey.Timestamp
	Scopes     []string
	Secret     string
	Status     gen.ApiKeyStatus
}

func keyResponse(k apikey.Key, now time.Time) gen.ApiKeyResponse {
	return gen.ApiKeyResponse(keyAnswer{
		CreatedAt:  apikey.Timestamp(k.CreatedAt),
		ExpiresAt:  apikey.Timestamp(k.ExpiresAt),
		Id:         uuid.UUID(k.ID),
		LastUsedAt: timestamp(k.LastUsedAt),
		Name:       k.Name,
		Owner:      k.Owner,
		Prefix:     k.Prefix,
		RevokedAt:  timestamp(k.RevokedAt),
		Scopes:     k.Scopes,
		Status:     gen.ApiKeyStatus(k.Status(now)),
	})
}

func keyResponses(keys []apikey.Key, now time.Time) []gen.ApiKeyResponse {
	responses := make([]gen.ApiKeyResponse, len(keys))
	for i, k := range keys {
		responses[i] = keyResponse(k, now)
	}
	return responses
}

// createdResponse is the one answer that holds a secret.
func createdResponse(k apikey.Key, secret apikey.Secret, now time.Time) gen.ApiKeyWithSecretResponse {
	r := keyResponse(k, now)
	return gen.ApiKeyWithSecretResponse(createdAnswer{
		CreatedAt:  r.CreatedAt,
		ExpiresAt:  r.ExpiresAt,
		Id:         r.Id,
		LastUsedAt: r.LastUsedAt,
		Name:       r.Name,
		Owner:      r.Owner,
		Prefix:     r.Prefix,
		RevokedAt:  r.RevokedAt,
		Scopes:     r.Scopes,
		Secret:     secret.Reveal(),
		Status:     r.Status,
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
	return change
}
