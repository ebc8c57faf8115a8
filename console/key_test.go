package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// use verifies a key, and has that seen.
func (k *kit) use(used key) {
	k.Helper()
	answer, err := k.as(k.admin).Verify(k.Context(), used.Secret)
	k.must(err)
	if !answer.Valid() {
		k.Fatalf("the key is %s", answer.Code)
	}
	k.must(k.Verifier.Flush(k.Context()))
}

func pathOf(id fmt.Stringer, below ...string) string {
	return strings.Join(append([]string{"/console/keys/" + id.String()}, below...), "/")
}

// keyScreens are the pages of keys in all their conditions, and of what is done to them.
func (k *kit) keyScreens() []screen {
	k.Helper()
	admin := k.as(k.admin)
	plain := k.add("acme", "billing-service", "invoices:read", "invoices:write", apikey.ScopeRead)
	_, err := admin.Update(k.Context(), plain.ID.String(), client.Change{
		Metadata:  &map[string]string{"team": "billing", "ticket": "OPS-1234"},
		RateLimit: &client.RateLimit{Limit: 600, Window: time.Minute},
		Scopes:    &[]string{"invoices:read", "invoices:send", apikey.ScopeRead},
	})
	k.must(err)
	for range 9 {
		k.use(plain)
	}
	_, err = admin.Verify(k.Context(), plain.Secret, "nothing:has-it")
	k.must(err)
	rotated := k.add("acme", "mobile app", "datasets:read")
	_, err = admin.Rotate(k.Context(), rotated.ID.String(), 24*time.Hour)
	k.must(err)
	gone := k.add("acme", "old laptop", "datasets:read")
	_, err = admin.Revoke(k.Context(), gone.ID.String())
	k.must(err)
	many := url.Values{"id": {plain.ID.String(), rotated.ID.String(), gone.ID.String(), k.admin.ID.String()}}
	return []screen{
		{"key-active", pathOf(plain.ID)},
		{"key-rotating", pathOf(rotated.ID)},
		{"key-revoked", pathOf(gone.ID)},
		{"rotate", pathOf(rotated.ID, "rotate")},
		{"revoke", pathOf(plain.ID, "revoke")},
		{"revoke-several", "/console/keys/revoke?" + many.Encode()},
		{"no-keys", "/console/keys?owner=nobody%27s"},
		{"keys-chosen", "/console/keys?status=active"},
	}
}
