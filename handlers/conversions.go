package handlers

import (
	"time"

	"github.com/oapi-codegen/nullable"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// settingsOf are the settings of a key that creator makes with this body. What is absent has the
// contract's default.
func settingsOf(body *gen.ApiKeyCreate, creator *apikey.Key) apikey.Settings {
	return apikey.Settings{
		Owner:     or(body.Owner, creator.Owner),
		Name:      body.Name,
		ExpiresAt: body.ExpiresAt.Time(),
		Scopes:    or((*apikey.Scopes)(body.Scopes), creator.Scopes.Inherited()),
		Metadata:  apikey.Metadata(or(body.Metadata, nil)),
		RateLimit: or(rateLimitOf(body.RateLimit), creator.RateLimit),
	}
}

// changeOf is the change that a body asks for. What is absent stays nil.
func changeOf(body *gen.ApiKeyUpdate) apikey.Change {
	return apikey.Change{
		Name:      body.Name,
		ExpiresAt: (*time.Time)(body.ExpiresAt),
		Scopes:    (*apikey.Scopes)(body.Scopes),
		Metadata:  (*apikey.Metadata)(body.Metadata),
		RateLimit: rateLimitOf(body.RateLimit),
	}
}

// rateLimitOf returns nil if the limit is absent, and none if it is null.
func rateLimitOf(setting nullable.Nullable[gen.RateLimitSetting]) *apikey.RateLimit {
	if !setting.IsSpecified() {
		return nil
	}
	s, _ := setting.Get() // null is the zero limit, which is none
	return &apikey.RateLimit{Limit: s.Limit, Window: time.Duration(s.WindowSeconds) * time.Second}
}
