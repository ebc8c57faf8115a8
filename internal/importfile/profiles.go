package importfile

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// profile makes a key of a row that another service left. Docs/import.md describes each.
type profile struct {
	key func(r record, now time.Time) (client.ImportedKey, error)
	// lost are fields that cannot be taken over, although they limit or grant something.
	lost []string
}

// profiles are by their names.
var profiles = map[string]profile{
	"csv":         {key: ownRow},
	"unkey":       {key: unkeyRow, lost: []string{"credits", "remaining", "remaining_requests", "roles", "refill", "refill_amount"}},
	"better-auth": {key: betterAuthRow, lost: []string{"remaining", "refillAmount", "refillInterval"}},
	"litellm": {key: litellmRow, lost: []string{"max_budget", "soft_budget", "budget_id", "tpm_limit", "max_parallel_requests", "models",
		"model_max_budget", "permissions", "allowed_routes"}},
	"kong": {key: kongRow},
}

// lostOf returns the fields of a row that cannot be taken over and are set.
func (p profile) lostOf(r record) (lost []string) {
	for _, name := range p.lost {
		text, err := json.Marshal(r[name])
		if err == nil && !slices.Contains([]string{"null", `""`, "[]", "{}", `"[]"`, `"{}"`}, string(text)) {
			lost = append(lost, name)
		}
	}
	return lost
}

// ownRow reads our own columns: those of the API, as texts in CSV.
func ownRow(r record, _ time.Time) (key client.ImportedKey, err error) {
	known := []string{"name", "owner", "expires_at", "scopes", "metadata", "rate_limit", "quota", "allowed_cidrs", "enabled", "secret", "scheme", "hash"}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if !slices.Contains(known, name) {
			return key, &rowError{apikey.Redact(name), "is not a known column; the known ones are " + strings.Join(known, ", ")}
		}
	}
	key = client.ImportedKey{
		Name: r.text("name"), Owner: r.text("owner"), Scopes: r.list("scopes"), AllowedCIDRs: r.list("allowed_cidrs"),
		Secret: r.text("secret"), Scheme: client.HashScheme(r.text("scheme")), Hash: r.text("hash"),
	}
	if key.ExpiresAt, err = r.time("expires_at"); err != nil {
		return key, err
	}
	if r["metadata"] != nil {
		object := r.object("metadata")
		if object == nil {
			return key, &rowError{"metadata", "must be a JSON object of texts"}
		}
		key.Metadata = metadataOf(object)
	}
	if r["enabled"] != nil {
		key.Enabled = new(r.is("enabled", true))
	}
	if key.RateLimit, err = limitOf(r, "rate_limit", keyfield.ParseRateLimit); err != nil {
		return key, err
	}
	key.Quota, err = limitOf(r, "quota", keyfield.ParseQuota)
	return key, err
}

// limitOf reads a limit as people type it, or as the API has it.
func limitOf[T any](r record, name string, parse func(string) (T, error)) (limit T, err error) {
	if r[name] == nil {
		return limit, nil
	}
	if written, ok := r[name].(string); ok && !strings.HasPrefix(written, "{") {
		if limit, err = parse(written); err != nil {
			return limit, &rowError{name, err.Error()}
		}
		return limit, nil
	}
	encoded, err := json.Marshal(r.object(name))
	if err == nil {
		err = json.Unmarshal(encoded, &limit)
	}
	if err != nil {
		return limit, &rowError{name, "must be an object as in the API"}
	}
	return limit, nil
}

// unkeyRow reads a key as Unkey's API and tables have it, with the hash from its table or your own records.
func unkeyRow(r record, _ time.Time) (key client.ImportedKey, err error) {
	key = client.ImportedKey{
		Name:     r.text("name", "start", "keyId", "id"),
		Owner:    r.text("externalId", "ownerId", "owner_id"),
		Scopes:   r.list("permissions"),
		Metadata: metadataOf(r.object("meta")),
		Enabled:  disabled(!r.is("enabled", true)),
	}
	if key.Owner == "" {
		key.Owner = r.object("identity").text("externalId")
	}
	if hash := r.object("hash"); hash != nil { // version 1 of the API
		key.Hash = hash.text("value")
	} else {
		key.Hash = r.text("hash")
	}
	if key.Hash != "" {
		key.Scheme = client.SchemeSHA256
	} else {
		key.Secret = r.text("plaintext", "key")
	}
	key.RateLimit = callsIn(r.number("ratelimit_limit"), r.number("ratelimit_duration"))
	limit := r.object("ratelimit")
	if limits, _ := r["ratelimits"].([]any); limit == nil && len(limits) > 0 {
		limit, _ = limits[0].(map[string]any)
	}
	if limit != nil {
		key.RateLimit = callsIn(limit.number("limit"), limit.number("duration", "refillInterval"))
	}
	key.ExpiresAt, err = r.time("expires")
	return key, err
}

// betterAuthRow reads a row of the table of Better Auth's API key plugin.
func betterAuthRow(r record, _ time.Time) (key client.ImportedKey, err error) {
	key = client.ImportedKey{
		Name:     r.text("name", "start", "id"),
		Owner:    r.text("referenceId", "userId"),
		Metadata: metadataOf(r.object("metadata")),
		Enabled:  disabled(!r.is("enabled", true)),
	}
	if hash := r.text("key"); isSHA256(hash) {
		key.Scheme, key.Hash = client.SchemeSHA256, hash
	} else {
		key.Secret = hash // of a service that does not hash
	}
	for resource, actions := range r.object("permissions") {
		for _, action := range (record{"of": actions}).list("of") {
			key.Scopes = append(key.Scopes, resource+":"+action)
		}
	}
	slices.Sort(key.Scopes)
	if r.is("rateLimitEnabled", false) {
		key.RateLimit = callsIn(r.number("rateLimitMax"), r.number("rateLimitTimeWindow"))
	}
	key.ExpiresAt, err = r.time("expiresAt")
	return key, err
}

// litellmRow reads a row of LiteLLM's table of verification tokens.
func litellmRow(r record, _ time.Time) (key client.ImportedKey, err error) {
	key = client.ImportedKey{
		Name:     r.text("key_alias", "key_name"),
		Owner:    r.text("user_id", "team_id", "organization_id"),
		Metadata: metadataOf(r.object("metadata")),
		Enabled:  disabled(r.is("blocked", false)),
		Scheme:   client.SchemeSHA256, Hash: r.text("token"),
	}
	if rpm := r.number("rpm_limit"); rpm > 0 {
		key.RateLimit = client.RateLimit{Limit: rpm, Window: time.Minute}
	}
	key.ExpiresAt, err = r.time("expires")
	return key, err
}

// kongRow reads a credential of Kong's key-auth plugin, which keeps keys in clear.
func kongRow(r record, now time.Time) (key client.ImportedKey, err error) {
	consumer := r.object("consumer")
	key = client.ImportedKey{Owner: consumer.text("custom_id", "username", "id"), Secret: r.text("key")}
	if key.Owner == "" {
		key.Owner = r.text("consumer", "consumer_id")
	}
	if id := r.text("id"); id != "" {
		key.Name = "kong " + id
	}
	if tags := r.list("tags"); len(tags) > 0 {
		key.Metadata = map[string]string{"tags": strings.Join(tags, " ")}
	}
	if ttl := r.number("ttl"); ttl > 0 {
		key.ExpiresAt = time.Unix(now.Unix()+int64(ttl), 0).UTC() // a Duration ends after 292 years
	}
	return key, nil
}

// metadataOf returns an object's values as texts: others than texts as their JSON.
func metadataOf(object record) map[string]string {
	if len(object) == 0 {
		return nil
	}
	all := make(map[string]string, len(object))
	for name, value := range object {
		text, ok := value.(string)
		if !ok {
			encoded, _ := json.Marshal(value) // it came from JSON
			text = string(encoded)
		}
		all[name] = text
	}
	return all
}

// callsIn returns a rate limit whose window is in milliseconds; shorter ones than a second cannot be kept exactly.
func callsIn(limit, ms int) client.RateLimit {
	window := time.Duration(ms) * time.Millisecond
	if limit < 1 || window < time.Second {
		return client.RateLimit{}
	}
	return client.RateLimit{Limit: limit, Window: window.Truncate(time.Second)}
}

func disabled(is bool) *bool {
	if !is {
		return nil
	}
	return new(false)
}

func isSHA256(text string) bool {
	_, err := apikey.ForeignHash(apikey.SchemeSHA256, text)
	return err == nil
}
