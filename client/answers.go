package client

import (
	"fmt"
	"time"

	"apikeyd/client/internal/api"
)

// The answers of the service, and what they are to the caller. Only what every use of
// them needs is checked: the service checks the rest.

type keyAnswer api.ApiKeyResponse

func (a *keyAnswer) whole() bool { return a.Id != "" }

func (a *keyAnswer) key() Key {
	return Key{
		ID:         a.Id,
		Name:       a.Name,
		Owner:      a.Owner,
		Prefix:     a.Prefix,
		Scopes:     a.Scopes,
		Status:     Status(a.Status),
		CreatedAt:  a.CreatedAt,
		ExpiresAt:  a.ExpiresAt,
		RevokedAt:  orZero(a.RevokedAt),
		LastUsedAt: orZero(a.LastUsedAt),
	}
}

// createdAnswer is a keyAnswer and its secret, as the contract puts them together.
type createdAnswer struct {
	keyAnswer
	Secret string `json:"secret"`
}

func (a *createdAnswer) whole() bool { return a.keyAnswer.whole() && a.Secret != "" }

func (a *createdAnswer) created() CreatedKey {
	return CreatedKey{Key: a.key(), Secret: Secret{text: &a.Secret}}
}

type listAnswer api.ApiKeyListResponse

func (a *listAnswer) whole() bool { return a.Data != nil }

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// unsendable is the error of a request that could not be made, such as a time that JSON
// cannot hold.
func unsendable(err error) error { return fmt.Errorf("apikeyd: %w", err) }
