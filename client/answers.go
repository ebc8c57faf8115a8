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
	k := Key{
		ID:          a.Id,
		Name:        a.Name,
		Owner:       a.Owner,
		Prefix:      a.Prefix,
		Scopes:      a.Scopes,
		Metadata:    a.Metadata,
		Status:      Status(a.Status),
		CreatedAt:   a.CreatedAt,
		ExpiresAt:   a.ExpiresAt,
		RevokedAt:   orZero(a.RevokedAt),
		GraceEndsAt: orZero(a.GraceEndsAt),
		LastUsedAt:  orZero(a.LastUsedAt),
	}
	if r := rateLimit(a.RateLimit); r != nil {
		k.RateLimit = *r
	}
	return k
}

func rateLimit(r *api.RateLimit) *RateLimit {
	if r == nil {
		return nil
	}
	return &RateLimit{Limit: r.Limit, Window: time.Duration(r.WindowSeconds) * time.Second}
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

type verifyAnswer api.VerifyResponse

// A decision that contradicts itself, or says nothing of whose key it is about, is none.
func (a *verifyAnswer) whole() bool {
	if VerifyCode(a.Code) == VerifyNotFound {
		return !a.Valid
	}
	return a.Valid == (VerifyCode(a.Code) == VerifyValid) && a.Code != "" && a.Key != nil && (*keyAnswer)(a.Key).whole()
}

func (a *verifyAnswer) verification() Verification {
	v := Verification{Code: VerifyCode(a.Code)}
	if a.Key != nil {
		v.Key = (*keyAnswer)(a.Key).key()
	}
	if a.RetryAfterSeconds != nil {
		v.RetryAfter = seconds(*a.RetryAfterSeconds)
	}
	return v
}

type leakAnswer api.LeakReportResponse

func (a *leakAnswer) whole() bool { return a.Message != "" }

func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// unsendable is the error of a request that could not be made, such as a time that JSON
// cannot hold.
func unsendable(err error) error { return fmt.Errorf("apikeyd: %w", err) }
