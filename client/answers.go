package client

import (
	"fmt"

	"apikeyd/client/internal/api"
)

// The service's answers. complete checks only what every caller relies on. Keys and events in
// them have the client's own types.

func (k *Key) complete() bool { return k.ID != "" }

// setETag implements tagged.
func (k *Key) setETag(etag string) { k.ETag = etag }

// createdAnswer is a key and its secret, in one object as in the contract.
type createdAnswer struct {
	Key
	Secret       string `json:"secret"`
	SealedSecret string `json:"sealed_secret"`
}

func (a *createdAnswer) complete() bool {
	return a.Key.complete() && (a.Secret == "") != (a.SealedSecret == "")
}

type listAnswer struct {
	api.ApiKeyListResponse
	Data []Key `json:"data"`
}

func (a *listAnswer) complete() bool { return a.Data != nil }

type auditAnswer struct {
	api.AuditEventListResponse
	Data []AuditEvent `json:"data"`
}

func (a *auditAnswer) complete() bool { return a.Data != nil }

func (a *importAnswer) complete() bool { return a.Rows != nil }

func (o *Owner) complete() bool { return o.Name != "" }

func (l *OwnerLink) complete() bool { return l.URL != "" }

func (p *OwnerPage) complete() bool { return p.Owners != nil }

type verifyAnswer struct {
	api.VerifyResponse
	Key *Key `json:"key"`
}

// A decision that contradicts itself or lacks the key does not count.
func (a *verifyAnswer) complete() bool {
	if VerifyCode(a.Code) == VerifyNotFound {
		return !a.Valid
	}
	return a.Valid == (VerifyCode(a.Code) == VerifyValid) && a.Code != "" && a.Key != nil && a.Key.complete()
}

func (a *verifyAnswer) verification() Verification {
	v := Verification{Code: VerifyCode(a.Code), Key: orZero(a.Key)}
	if a.RetryAfterSeconds != nil {
		v.RetryAfter = seconds(*a.RetryAfterSeconds)
	}
	v.Quota = quotaState(a.Quota)
	return v
}

func quotaState(q *api.QuotaState) QuotaState {
	if q == nil {
		return QuotaState{}
	}
	return QuotaState{Remaining: int(q.Remaining), ResetsAt: q.ResetsAt}
}

type leakAnswer api.LeakReportResponse

func (a *leakAnswer) complete() bool { return a.Message != "" }

func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// unsendable wraps the error of a request that could not be built, for example because JSON
// cannot represent a time in it.
func unsendable(err error) error { return fmt.Errorf("apikeyd: %w", err) }
