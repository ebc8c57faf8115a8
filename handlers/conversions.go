package handlers

import (
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
)

func keyResponse(k apikey.Key, now time.Time) gen.ApiKeyResponse {
	return gen.ApiKeyResponse{
		Id:         [16]byte(k.ID),
		Name:       k.Name,
		Owner:      k.Owner,
		Prefix:     k.Prefix,
		Scopes:     k.Scopes,
		Status:     gen.ApiKeyStatus(k.Status(now)),
		CreatedAt:  apikey.Timestamp(k.CreatedAt),
		ExpiresAt:  apikey.Timestamp(k.ExpiresAt),
		RevokedAt:  timestamp(k.RevokedAt),
		LastUsedAt: timestamp(k.LastUsedAt),
	}
}

func keyResponses(keys []apikey.Key, now time.Time) []gen.ApiKeyResponse {
	responses := make([]gen.ApiKeyResponse, len(keys))
	for i, k := range keys {
		responses[i] = keyResponse(k, now)
	}
	return responses
}

// keyWithSecret is the one answer that holds a secret.
func keyWithSecret(k apikey.Key, secret apikey.Secret, now time.Time) gen.ApiKeyWithSecretResponse {
	r := keyResponse(k, now)
	return gen.ApiKeyWithSecretResponse{
		Id:         r.Id,
		Name:       r.Name,
		Owner:      r.Owner,
		Prefix:     r.Prefix,
		Scopes:     r.Scopes,
		Status:     r.Status,
		CreatedAt:  r.CreatedAt,
		ExpiresAt:  r.ExpiresAt,
		RevokedAt:  r.RevokedAt,
		LastUsedAt: r.LastUsedAt,
		Secret:     secret.Reveal(),
	}
}

// timestamp is an optional instant; the zero time is absent.
func timestamp(t time.Time) *apikey.Timestamp {
	if t.IsZero() {
		return nil
	}
	stamp := apikey.Timestamp(t)
	return &stamp
}

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
