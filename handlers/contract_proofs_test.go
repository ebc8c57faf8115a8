package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	signertest "apikeyd/internal/testkit/signer"
)

const auditPath = "/v1/audit-events"

// proof makes two requests that differ in one part of the contract. Their answers must differ too,
// else the service ignores that part. Whoever adds a part adds its proof.
type proof func(k *kit) (without, with response)

// proofs are by operation and part: "?" is a query parameter, "." a property of the body, "=" one of
// its fixed values. They share the keys that prepareProofs makes.
var proofs = withLimitProofs(withLinkProofs(withWebhookProofs(map[string]proof{
	"listApiKeys ?owner":                            asking(keysPath, "", "owner=team"),
	"listApiKeys ?status":                           asking(keysPath, "", "status=ACTIVE"),
	"listApiKeys ?status=ACTIVE":                    asking(keysPath, "status=EXPIRED", "status=ACTIVE"),
	"listApiKeys ?status=EXPIRED":                   asking(keysPath, "status=REVOKED", "status=EXPIRED"),
	"listApiKeys ?status=REVOKED":                   asking(keysPath, "status=ACTIVE", "status=REVOKED"),
	"listApiKeys ?name_contains":                    asking(keysPath, "", "name_contains=rotat"),
	"listApiKeys ?scope":                            asking(keysPath, "", "scope=keys:admin"),
	"listApiKeys ?metadata":                         asking(keysPath, "", "metadata=no=such"),
	"listApiKeys ?search":                           asking(keysPath, "", "search=ROTAT"),
	"listApiKeys ?expires_before":                   asking(keysPath, "", "expires_before=2026-11-23T12:00:00Z"),
	"listApiKeys ?last_used_before":                 asking(keysPath, "", "last_used_before=2020-01-01T00:00:00Z"),
	"listApiKeys ?revocation_reason=unspecified":    asking(keysPath, "revocation_reason=key_compromise", "revocation_reason=unspecified"),
	"listApiKeys ?revocation_reason=key_compromise": asking(keysPath, "revocation_reason=superseded", "revocation_reason=key_compromise"),
	"listApiKeys ?revocation_reason=superseded":     asking(keysPath, "revocation_reason=no_longer_used", "revocation_reason=superseded"),
	"listApiKeys ?revocation_reason=no_longer_used": asking(keysPath, "revocation_reason=owner_left", "revocation_reason=no_longer_used"),
	"listApiKeys ?revocation_reason=owner_left":     asking(keysPath, "revocation_reason=policy", "revocation_reason=owner_left"),
	"listApiKeys ?revocation_reason=policy":         asking(keysPath, "revocation_reason=unspecified", "revocation_reason=policy"),
	"listApiKeys ?revocation_reason":                asking(keysPath, "", "revocation_reason=policy"),
	"listApiKeys ?enabled":                          asking(keysPath, "", "enabled=false"),
	"listApiKeys ?rotating":                         asking(keysPath, "", "rotating=true"),
	"listApiKeys ?foreign":                          asking(keysPath, "", "foreign=true"),
	"listApiKeys ?page":                             asking(keysPath, "items_per_page=1", "items_per_page=1&page=2"),
	"listApiKeys ?items_per_page":                   asking(keysPath, "", "items_per_page=1"),
	"listApiKeys ?cursor": func(k *kit) (without, with response) {
		without = k.get(k.admin, keysPath+"?items_per_page=1")
		return without, k.get(k.admin, keysPath+"?items_per_page=1&cursor="+without.next())
	},

	"createApiKey .name":          creating(fields{"name": "another"}),
	"createApiKey .expires_at":    creating(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"createApiKey .owner":         creating(fields{"owner": "team"}),
	"createApiKey .scopes":        creating(fields{"scopes": []string{"a"}}),
	"createApiKey .metadata":      creating(fields{"metadata": fields{"a": "b"}}),
	"createApiKey .allowed_cidrs": creating(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),
	"createApiKey .observe_cidrs": creating(fields{"observe_cidrs": []string{"0.0.0.0/0"}}),

	"createApiKey .enabled":   creating(fields{"enabled": false}),
	"createApiKey .recipient": creating(fields{"recipient": testRecipient}),

	"importApiKeys .keys": func(k *kit) (without, with response) {
		row := foreignRow(fields{"name": "imported twice"})
		return k.importKeys(k.admin, fields{"keys": []fields{row}}), k.importKeys(k.admin, fields{"keys": []fields{row}})
	},
	"importApiKeys .dry_run": func(k *kit) (without, with response) {
		body := fields{"keys": []fields{foreignRow(fields{"name": "tried"})}, "dry_run": true}
		k.importKeys(k.admin, body).want(200)
		without = k.importKeys(k.admin, body).want(200)
		body["dry_run"] = false
		k.importKeys(k.admin, body).want(200)
		return without, k.importKeys(k.admin, body).want(200)
	},
	"importApiKeys .keys.secret": importing(fields{}, func(secret string) fields { return fields{"secret": secret} }),
	"importApiKeys .keys.hash":   importing(fields{}, hashed("sha256")),
	"importApiKeys .keys.scheme": importing(fields{"scheme": "sha512"}, hashed("sha256")),

	"importApiKeys .keys.scheme=sha256":      importing(fields{"scheme": "sha512"}, hashed("sha256")),
	"importApiKeys .keys.scheme=sha512":      importing(fields{"scheme": "sha256"}, hashed("sha512")),
	"importApiKeys .keys.scheme=hmac-sha256": importing(fields{"scheme": "sha256"}, hashed("hmac-sha256")),

	"importApiKeys .keys.name":          imported(fields{"name": "another"}),
	"importApiKeys .keys.expires_at":    imported(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"importApiKeys .keys.owner":         imported(fields{"owner": "team"}),
	"importApiKeys .keys.scopes":        imported(fields{"scopes": []string{"a"}}),
	"importApiKeys .keys.metadata":      imported(fields{"metadata": fields{"a": "b"}}),
	"importApiKeys .keys.enabled":       imported(fields{"enabled": false}),
	"importApiKeys .keys.allowed_cidrs": imported(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),

	"revokeApiKey ?reason":                revoking("", "reason=policy"),
	"revokeApiKey ?reason=unspecified":    revoking("reason=key_compromise", "reason=unspecified"),
	"revokeApiKey ?reason=key_compromise": revoking("reason=superseded", "reason=key_compromise"),
	"revokeApiKey ?reason=superseded":     revoking("reason=no_longer_used", "reason=superseded"),
	"revokeApiKey ?reason=no_longer_used": revoking("reason=owner_left", "reason=no_longer_used"),
	"revokeApiKey ?reason=owner_left":     revoking("reason=policy", "reason=owner_left"),
	"revokeApiKey ?reason=policy":         revoking("reason=unspecified", "reason=policy"),

	"updateApiKey ?If-Match": matching(func(k *kit, path string, h http.Header) response {
		return k.do(request{method: "PATCH", path: path, key: k.admin.Secret, body: "{}", header: h})
	}),
	"rotateApiKey ?If-Match": matching(func(k *kit, path string, h http.Header) response {
		return k.do(request{method: "POST", path: path + "/rotate", key: k.admin.Secret, body: "{}", header: h})
	}),
	"revokeApiKey ?If-Match": matching(func(k *kit, path string, h http.Header) response {
		return k.do(request{method: "DELETE", path: path, key: k.admin.Secret, header: h})
	}),
	"updateApiKey .enabled":       changing(fields{"enabled": false}),
	"updateApiKey ?owner":         onKeys(func(k *kit, path string) response { return k.patch(k.admin, path, fields{}) }),
	"updateApiKey .name":          changing(fields{"name": "another"}),
	"updateApiKey .expires_at":    changing(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"updateApiKey .scopes":        changing(fields{"scopes": []string{"a"}}),
	"updateApiKey .metadata":      changing(fields{"metadata": fields{"a": "b"}}),
	"updateApiKey .allowed_cidrs": changing(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),
	"updateApiKey .observe_cidrs": changing(fields{"observe_cidrs": []string{"0.0.0.0/0"}}),

	"listOwners ?search":         asking(ownersPath, "", "search=TEA"),
	"listOwners ?enabled":        asking(ownersPath, "", "enabled=false"),
	"listOwners ?items_per_page": asking(ownersPath, "", "items_per_page=1"),
	"listOwners ?cursor": func(k *kit) (without, with response) {
		without = k.get(k.admin, ownersPath+"?items_per_page=1").want(200)
		next := decode[struct {
			Next string `json:"next_cursor"`
		}](without).Next
		return without, k.get(k.admin, ownersPath+"?items_per_page=1&cursor="+next).want(200)
	},
	"updateOwner .allowed_cidrs": changingOwner(fields{"allowed_cidrs": []string{"192.0.2.0/24"}}),
	"updateOwner .enabled":       changingOwner(fields{"enabled": false}),
	"updateOwner .max_keys":      changingOwner(fields{"max_keys": 1000}),
	"updateOwner .metadata":      changingOwner(fields{"metadata": fields{"a": "b"}}),

	"getApiKey ?owner":    onKeys(func(k *kit, path string) response { return k.get(k.admin, path) }),
	"revokeApiKey ?owner": onKeys(func(k *kit, path string) response { return k.revoke(k.admin, path) }),
	"rotateApiKey ?owner": onKeys(func(k *kit, path string) response { return k.rotate(k.admin, path, nil) }),
	"getApiKeyUsage ?owner": onKeys(func(k *kit, path string) response {
		name, query, _ := strings.Cut(path, "?")
		return k.get(k.admin, name+"/usage?"+query)
	}),
	"getApiKeyReview ?owner": onKeys(func(k *kit, path string) response {
		name, query, _ := strings.Cut(path, "?")
		return k.get(k.admin, name+"/review?"+query)
	}),
	"getApiKeyHistory ?owner": onKeys(func(k *kit, path string) response {
		name, query, _ := strings.Cut(path, "?")
		return k.get(k.admin, name+"/history?"+query)
	}),
	"getApiKeyHistory ?at": func(k *kit) (without, with response) {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "before"}).ID)
		then := k.clock.Now()
		k.clock.Advance(time.Second)
		k.patch(k.admin, path, fields{"name": "after"}).want(200)
		return k.get(k.admin, path+"/history"), k.pastOf(k.admin, path, then)
	},
	"rotateApiKey .grace_seconds": func(k *kit) (without, with response) {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "to rotate"}).ID)
		return k.rotate(k.admin, path, fields{}), k.rotate(k.admin, path, fields{"grace_seconds": 60})
	},
	"rotateApiKey .recipient": func(k *kit) (without, with response) {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "to seal"}).ID)
		return k.rotate(k.admin, path, fields{}), k.rotate(k.admin, path, fields{"recipient": testRecipient})
	},

	"verifyApiKey .key": func(k *kit) (without, with response) {
		return k.ask(k.admin, "other"), k.ask(k.admin, k.admin.Secret)
	},
	"verifyApiKey .scopes": func(k *kit) (without, with response) {
		return k.ask(k.admin, k.admin.Secret), k.ask(k.admin, k.admin.Secret, "a")
	},
	"verifyApiKey .cost": func(k *kit) (without, with response) {
		made := k.mustCreate(k.admin, fields{"name": "costly", "quota": fields{"limit": 9, "period": "day"}})
		defer func() { k.revoke(k.admin, keyPath(made.ID)).want(200) }()
		return k.ask(k.admin, made.Secret), k.askAt(k.admin, made.Secret, 10)
	},
	"verifyApiKey .client_address": func(k *kit) (without, with response) {
		made := k.restricted()
		return k.ask(k.admin, made.Secret), k.askFrom(made.Secret, "192.0.2.7")
	},
	"introspectToken .client_address": func(k *kit) (without, with response) {
		made := k.restricted()
		return k.introspect(k.admin, made.Secret), k.introspectFrom(made.Secret, "192.0.2.7")
	},
	"forwardAuth ?cost": func(k *kit) (without, with response) {
		made := k.mustCreate(k.admin, fields{"name": "costly", "quota": fields{"limit": 9, "period": "day"}})
		defer func() { k.revoke(k.admin, keyPath(made.ID)).want(200) }()
		return k.forward(made.Secret, ""), k.forward(made.Secret, "?cost=10").want(403)
	},
	"forwardAuth ?scope": func(k *kit) (without, with response) {
		return k.forward(k.admin.Secret, ""), k.forward(k.admin.Secret, "?scope=a")
	},
	"forwardAuth ?rate_limited":     limited("", "?rate_limited=429"),
	"forwardAuth ?rate_limited=403": limited("?rate_limited=429", "?rate_limited=403"),
	"forwardAuth ?rate_limited=429": limited("?rate_limited=403", "?rate_limited=429"),
	"introspectToken .token": func(k *kit) (without, with response) {
		return k.introspect(k.admin, "other"), k.introspect(k.admin, k.admin.Secret)
	},
	"introspectToken .token_type_hint": func(k *kit) (without, with response) {
		// RFC 7662 lets a server ignore what it means, not that it comes twice.
		body := url.Values{"token": {k.admin.Secret}, "token_type_hint": {"access_token", "access_token"}}.Encode()
		return k.introspect(k.admin, k.admin.Secret),
			k.do(request{method: "POST", path: introspectPath, key: k.admin.Secret, header: formHeader, body: body})
	},
	"reportLeakedKey .key": func(k *kit) (without, with response) {
		leaked := k.mustCreate(k.admin, fields{"name": "leaked"})
		k.report("other")
		without = k.ask(k.admin, leaked.Secret)
		k.report(leaked.Secret)
		return without, k.ask(k.admin, leaked.Secret)
	},
	"reportScannedSecrets ?Github-Public-Key-Identifier": func(k *kit) (without, with response) {
		return k.signed(signertest.New(k, "another"), "[]"), k.signed(k.github, "[]")
	},
	"reportScannedSecrets ?Github-Public-Key-Signature": func(k *kit) (without, with response) {
		return k.signed(signertest.New(k, k.github.ID), "[]"), k.signed(k.github, "[]")
	},
	"reportScannedSecrets .token":  scanning(find{Token: "a", Type: "t"}, find{Token: "b", Type: "t"}),
	"reportScannedSecrets .type":   scanning(find{Token: "a", Type: "t"}, find{Token: "a", Type: "u"}),
	"reportScannedSecrets .url":    scanningLogs("url"),
	"reportScannedSecrets .source": scanningLogs("source"),

	"getSummary ?owner":               asking(summaryPath, "", "owner=team"),
	"getUsage ?owner":                 asking(usagePath, "", "owner=team"),
	"getUsage ?since":                 asking(usagePath, "", "since=2026-11-23T11:59:00Z"),
	"getUsage ?until":                 asking(usagePath, "", "until=2026-11-23T11:59:00Z"),
	"getUsage ?interval":              asking(usagePath, "", "interval=hour"),
	"getUsage ?interval=minute":       asking(usagePath, "interval=hour", "interval=minute"),
	"getUsage ?interval=hour":         asking(usagePath, "interval=minute", "interval=hour"),
	"getUsage ?interval=day":          asking(usagePath, "interval=hour", "interval=day"),
	"getApiKeyUsage ?since":           asking(keyUsagePath("admin"), "", "since=2026-11-23T11:59:00Z"),
	"getApiKeyUsage ?until":           asking(keyUsagePath("admin"), "", "until=2026-11-23T11:59:00Z"),
	"getApiKeyUsage ?interval":        asking(keyUsagePath("admin"), "", "interval=day"),
	"getApiKeyUsage ?interval=minute": asking(keyUsagePath("admin"), "interval=hour", "interval=minute"),
	"getApiKeyUsage ?interval=hour":   asking(keyUsagePath("admin"), "interval=minute", "interval=hour"),
	"getApiKeyUsage ?interval=day":    asking(keyUsagePath("admin"), "interval=hour", "interval=day"),

	"listAuditEvents ?owner":                asking(auditPath, "", "owner=team"),
	"listAuditEvents ?actor":                asking(auditPath, "", "actor=operator"),
	"listAuditEvents ?action":               asking(auditPath, "", "action=create"),
	"listAuditEvents ?action=create":        asking(auditPath, "action=update", "action=create"),
	"listAuditEvents ?action=update":        asking(auditPath, "action=rotate", "action=update"),
	"listAuditEvents ?action=rotate":        asking(auditPath, "action=revoke", "action=rotate"),
	"listAuditEvents ?action=revoke":        asking(auditPath, "action=leak", "action=revoke"),
	"listAuditEvents ?action=leak":          asking(auditPath, "action=create", "action=leak"),
	"listAuditEvents ?action=outside":       asking(auditPath, "action=create", "action=outside"),
	"listAuditEvents ?action=expiring":      asking(auditPath, "action=create", "action=expiring"),
	"listAuditEvents ?action=expired":       asking(auditPath, "action=create", "action=expired"),
	"listAuditEvents ?action=grace_ending":  asking(auditPath, "action=create", "action=grace_ending"),
	"listAuditEvents ?action=rotation_due":  asking(auditPath, "action=create", "action=rotation_due"),
	"listAuditEvents ?action=quota_reached": asking(auditPath, "action=create", "action=quota_reached"),
	"listAuditEvents ?action=new_network":   asking(auditPath, "action=create", "action=new_network"),
	"listAuditEvents ?action=update_owner":  asking(auditPath, "action=create", "action=update_owner"),
	"listAuditEvents ?since":                asking(auditPath, "", "since=2030-01-01T00:00:00Z"),
	"listAuditEvents ?until":                asking(auditPath, "", "until=2020-01-01T00:00:00Z"),
	"listAuditEvents ?items_per_page":       asking(auditPath, "", "items_per_page=1"),
	"listAuditEvents ?key": func(k *kit) (without, with response) {
		return k.get(k.admin, auditPath), k.get(k.admin, auditPath+"?key="+k.admin.ID)
	},
	"listAuditEvents ?before": func(k *kit) (without, with response) {
		without = k.get(k.admin, auditPath+"?items_per_page=1")
		next := decode[struct{ Next string }](without).Next
		return without, k.get(k.admin, auditPath+"?items_per_page=1&before="+next)
	},
})))
