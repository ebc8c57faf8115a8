package handlers

import (
	"time"

	"github.com/oapi-codegen/nullable"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// settingsOf returns the settings of the key that creator creates with this body. Absent properties get
// the contract's defaults.
func settingsOf(body *gen.ApiKeyCreate, creator *apikey.Key) apikey.Settings {
	return apikey.Settings{
		Owner:     or(body.Owner, creator.Owner),
		Name:      body.Name,
		ExpiresAt: body.ExpiresAt.Time(),
		Scopes:    or((*apikey.Scopes)(body.Scopes), creator.Scopes.Inherited()),
		Metadata:  apikey.Metadata(or(body.Metadata, nil)),
		RateLimit: or(rateLimitOf(body.RateLimit), creator.RateLimit),
		Suspended: !or(body.Enabled, true),
		Quota:     or(quotaOf(body.Quota), creator.Quota),

		AllowedCIDRs: or(cidrsOf(body.AllowedCidrs), creator.GrantableCIDRs()),
		ObserveCIDRs: or(cidrsOf(body.ObserveCidrs), nil),
	}
}

// changeOf returns the change that a body requests. Absent properties stay nil.
func changeOf(body *gen.ApiKeyUpdate) apikey.Change {
	return apikey.Change{
		Name:      body.Name,
		ExpiresAt: (*time.Time)(body.ExpiresAt),
		Scopes:    (*apikey.Scopes)(body.Scopes),
		Metadata:  (*apikey.Metadata)(body.Metadata),
		RateLimit: rateLimitOf(body.RateLimit),
		Suspended: not(body.Enabled),
		Quota:     quotaOf(body.Quota),

		AllowedCIDRs: cidrsOf(body.AllowedCidrs),
		ObserveCIDRs: cidrsOf(body.ObserveCidrs),
	}
}

// not negates a boolean unless it is absent.
func not(value *bool) *bool {
	if value == nil {
		return nil
	}
	return new(!*value)
}

// rateLimitOf returns nil if the limit is absent, and the zero RateLimit if it is null.
func rateLimitOf(setting nullable.Nullable[gen.RateLimitSetting]) *apikey.RateLimit {
	if !setting.IsSpecified() {
		return nil
	}
	s, _ := setting.Get() // zero if null
	return &apikey.RateLimit{Limit: s.Limit, Window: time.Duration(s.WindowSeconds) * time.Second}
}

// cidrsOf returns nil if the list is absent, and an empty one if it is null.
func cidrsOf(setting nullable.Nullable[[]gen.Network]) *apikey.CIDRs {
	if !setting.IsSpecified() {
		return nil
	}
	texts, _ := setting.Get() // nil if null
	return new(apikey.ParseCIDRs(texts))
}

// quotaOf returns nil if the quota is absent, and the zero Quota if it is null.
func quotaOf(setting nullable.Nullable[gen.QuotaSetting]) *apikey.Quota {
	if !setting.IsSpecified() {
		return nil
	}
	if setting.IsNull() {
		return &apikey.Quota{}
	}
	s := setting.MustGet()
	return &apikey.Quota{Limit: int(s.Limit), Period: apikey.Period(s.Period), StartsOn: or(s.StartsOn, 1)}
}
