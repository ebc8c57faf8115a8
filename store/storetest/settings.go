package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// add stores a key with these settings, valid for an hour by default.
func (f *fixture) add(d apikey.Settings) apikey.Key {
	f.Helper()
	if d.ExpiresAt.IsZero() {
		d.ExpiresAt = f.clock.Now().Add(time.Hour)
	}
	if d.Scopes == nil {
		d.Scopes = apikey.Scopes{}
	}
	key, _, err := apikey.Policy{}.NewKey(f.clock.Now(), d)
	f.must(err)
	f.must(f.CreateKey(f.ctx(), operator, key))
	return key
}

// metadataSamples would be damaged by a careless encoding.
func metadataSamples() map[string]apikey.Metadata {
	full := apikey.Metadata{}
	for i := range 20 {
		full[fmt.Sprintf("%02d", i)+strings.Repeat("🙂", 38)] = strings.Repeat("🔑", 500)
	}
	return map[string]apikey.Metadata{
		"none":           {},
		"one":            {"plan": "pro"},
		"no value":       {"plan": ""},
		"as much as may": full,
		"odd names":      {".": "1", " ": "2", "$1": "3", "__proto__": "4", `"`: "5", `\`: "6", "'": "7"},
		"odd values": {"a": "\x00\x01\x1f", "b": "\r\n\t", "c": `{"a":"b"}`, "d": `\u0041\`, "e": "<&>'\"",
			"f": "\u2028\u2029\ufeff\ufffd", "g": "null", "h": "%00", "i": "'; DROP TABLE api_keys; --"},
		"letters": {"é": "composed", "e\u0301": "decomposed", "E": "capital", "e": "small", "ключ": "مفتاح"},
	}
}

func testSettings(f *fixture) {
	for name, metadata := range metadataSamples() {
		key := f.add(apikey.Settings{Owner: "acme", Name: name, Metadata: metadata})
		if diff := cmp.Diff(metadata, f.get(store.ByID(key.ID)).Metadata); diff != "" {
			f.Errorf("%s: the metadata differs (-want +got):\n%s", name, diff)
		}
		f.wantKey(f.get(store.ByName("acme", name)), key)
	}
	for _, limit := range []apikey.RateLimit{
		{}, {Limit: 1, Window: time.Second}, {Limit: 1_000_000, Window: 24 * time.Hour}, {Limit: 7, Window: 90 * time.Second},
	} {
		key := f.add(apikey.Settings{Owner: "acme", Name: fmt.Sprint(limit), RateLimit: limit})
		f.wantKey(f.get(store.ByID(key.ID)), key)
	}
	for _, key := range f.all() {
		f.wantKey(key, f.get(store.ByID(key.ID)))
	}
}

func testChangeSettings(f *fixture) {
	const both = "metadata rate_limit"
	slow, fast := apikey.RateLimit{Limit: 1, Window: time.Minute}, apikey.RateLimit{Limit: 9, Window: time.Hour}
	key := f.create("acme", "ci")
	other := f.add(apikey.Settings{Owner: "acme", Name: "other", Metadata: apikey.Metadata{"a": "b"}, RateLimit: slow})
	for _, tt := range []struct {
		name     string
		metadata apikey.Metadata // nil is left out
		limit    *apikey.RateLimit
		changed  string // joined by spaces
	}{
		{"nothing", nil, nil, ""},
		{"to what it is", apikey.Metadata{}, &apikey.RateLimit{}, ""},
		{"metadata", apikey.Metadata{"plan": "pro", "seats": "7"}, nil, "metadata"},
		{"metadata, to the same", apikey.Metadata{"seats": "7", "plan": "pro"}, nil, ""},
		{"metadata, with less", apikey.Metadata{"plan": "pro"}, nil, "metadata"},
		{"a limit", nil, &slow, "rate_limit"},
		{"a limit, to the same", nil, &slow, ""},
		{"both", apikey.Metadata{"plan": "free"}, &fast, both},
		{"one of both", apikey.Metadata{"plan": "free"}, &slow, "rate_limit"},
		{"both away", apikey.Metadata{}, &apikey.RateLimit{}, both},
	} {
		change := apikey.Change{RateLimit: tt.limit}
		if tt.metadata != nil {
			change.Metadata = &tt.metadata
			key.Metadata = tt.metadata
		}
		if tt.limit != nil {
			key.RateLimit = *tt.limit
		}
		events := len(f.events())
		got, err := f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), change)
		f.must(err)
		f.wantKey(got, key)
		f.wantKey(f.get(store.ByID(key.ID)), key)
		switch now := f.events(); {
		case tt.changed == "" && len(now) != events:
			f.Errorf("%s: an event for nothing: %+v", tt.name, now[0])
		case tt.changed != "" && (len(now) != events+1 || changedFields(now[0]) != tt.changed):
			f.Errorf("%s: changed %q by %d events, want %q", tt.name, changedFields(now[0]), len(now)-events, tt.changed)
		}
	}
	f.wantKey(f.get(store.ByID(other.ID)), other)
	// Ending a key or its secret does not change its settings.
	rotated := f.rotate(other, time.Minute)
	revoked := f.revoke(store.ByID(other.ID))
	for _, key := range []apikey.Key{rotated, revoked, f.get(store.ByID(other.ID))} {
		if !cmp.Equal(key.Metadata, other.Metadata) || key.RateLimit != other.RateLimit {
			f.Errorf("the settings are %v and %v now", key.Metadata, key.RateLimit)
		}
	}
}

func testRateLimitAuthority(f *fixture) {
	slow, fast := apikey.RateLimit{Limit: 1, Window: time.Minute}, apikey.RateLimit{Limit: 9, Window: time.Minute}
	writer := f.add(apikey.Settings{Owner: "acme", Name: "writer", RateLimit: slow,
		Scopes: apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite}})
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	create := func(by apikey.Key, limit apikey.RateLimit) error {
		key := f.draft("acme", "key "+apikey.NewID().String())
		key.RateLimit = limit
		return f.CreateKey(f.ctx(), actorOf(by), key)
	}
	change := func(by apikey.Key, limit apikey.RateLimit) error {
		return second(f.UpdateKey(f.ctx(), actorOf(by), store.ByID(writer.ID), apikey.Change{RateLimit: &limit}))
	}
	for _, limit := range []apikey.RateLimit{{}, fast} {
		f.wantDenied(create(writer, limit))
		f.wantDenied(change(writer, limit))
		f.must(create(admin, limit))
	}
	f.wantKey(f.get(store.ByID(writer.ID)), writer)
	f.must(create(writer, slow))
	f.must(change(writer, slow))
	f.must(change(admin, fast))
	// The acting key counts as it is now, not as it was at authentication.
	f.wantDenied(create(writer, slow))
	f.must(create(writer, fast))
}
