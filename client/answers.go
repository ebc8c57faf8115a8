package client

import (
	"fmt"

	"apikeyd/client/internal/api"
)

// The answers of the service. Only what every use of them needs is checked: the service
// checks the rest. Where one holds keys or events, their types are the client's own.

func (k *Key) whole() bool { return k.ID != "" }

// createdAnswer is a key and its secret, as the contract puts them together.
type createdAnswer struct {
	Key
	Secret string `json:"secret"`
}

func (a *createdAnswer) whole() bool { return a.Key.whole() && a.Secret != "" }

type listAnswer struct {
	api.ApiKeyListResponse
	Data []Key `json:"data"`
}

func (a *listAnswer) whole() bool { return a.Data != nil }

type auditAnswer struct {
	api.AuditEventListResponse
	Data []AuditEvent `json:"data"`
}

func (a *auditAnswer) whole() bool { return a.Data != nil }

type verifyAnswer struct {
	api.VerifyResponse
	Key *Key `json:"key"`
}

// A decision that contradicts itself, or says nothing of whose key it is about, is none.
func (a *verifyAnswer) whole() bool {
	if VerifyCode(a.Code) == VerifyNotFound {
		return !a.Valid
	}
	return a.Valid == (VerifyCode(a.Code) == VerifyValid) && a.Code != "" && a.Key != nil && a.Key.whole()
}

func (a *verifyAnswer) verification() Verification {
	v := Verification{Code: VerifyCode(a.Code), Key: orZero(a.Key)}
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
