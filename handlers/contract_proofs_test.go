package handlers_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	signertest "apikeyd/internal/testkit/signer"
)

const auditPath = "/v1/audit-events"

// proof makes two requests that differ in one part of the contract. Their answers must differ too,
// else the service ignores that part. Whoever adds a part adds its proof.
type proof func(k *kit) (without, with response)

// proofs are by operation and part: "?" is a query parameter, "." a property of the body, "=" one of
// its fixed values. They share the keys that prepareProofs makes.
var proofs = withWebhookProofs(map[string]proof{
	"listApiKeys ?owner":                            asking(keysPath, "", "owner=team"),
	"listApiKeys ?status":                           asking(keysPath, "", "status=ACTIVE"),
	"listApiKeys ?status=ACTIVE":                    asking(keysPath, "status=EXPIRED", "status=ACTIVE"),
	"listApiKeys ?status=EXPIRED":                   asking(keysPath, "status=REVOKED", "status=EXPIRED"),
	"listApiKeys ?status=REVOKED":                   asking(keysPath, "status=ACTIVE", "status=REVOKED"),
	"listApiKeys ?name_contains":                    asking(keysPath, "", "name_contains=rotat"),
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

	"createApiKey .name":       creating(fields{"name": "another"}),
	"createApiKey .expires_at": creating(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"createApiKey .owner":      creating(fields{"owner": "team"}),
	"createApiKey .scopes":     creating(fields{"scopes": []string{"a"}}),
	"createApiKey .metadata":   creating(fields{"metadata": fields{"a": "b"}}),
	"createApiKey .rate_limit": creating(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}}),
	"createApiKey .rate_limit.limit": creating(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}},
		fields{"rate_limit": fields{"limit": 2, "window_seconds": 60}}),
	"createApiKey .rate_limit.window_seconds": creating(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}},
		fields{"rate_limit": fields{"limit": 1, "window_seconds": 61}}),
	"createApiKey .allowed_cidrs":      creating(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),
	"createApiKey .observe_cidrs":      creating(fields{"observe_cidrs": []string{"0.0.0.0/0"}}),
	"createApiKey .quota":              creating(quota(1, "day", 1)),
	"createApiKey .quota.limit":        creating(quota(1, "day", 1), quota(2, "day", 1)),
	"createApiKey .quota.period":       creating(quota(1, "day", 1), quota(1, "week", 1)),
	"createApiKey .quota.period=day":   creating(quota(1, "week", 1), quota(1, "day", 1)),
	"createApiKey .quota.period=week":  creating(quota(1, "month", 1), quota(1, "week", 1)),
	"createApiKey .quota.period=month": creating(quota(1, "day", 1), quota(1, "month", 1)),
	"createApiKey .quota.starts_on":    creating(quota(1, "month", 1), quota(1, "month", 2)),

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

	"importApiKeys .keys.name":                      imported(fields{"name": "another"}),
	"importApiKeys .keys.expires_at":                imported(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"importApiKeys .keys.owner":                     imported(fields{"owner": "team"}),
	"importApiKeys .keys.scopes":                    imported(fields{"scopes": []string{"a"}}),
	"importApiKeys .keys.metadata":                  imported(fields{"metadata": fields{"a": "b"}}),
	"importApiKeys .keys.enabled":                   imported(fields{"enabled": false}),
	"importApiKeys .keys.allowed_cidrs":             imported(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),
	"importApiKeys .keys.rate_limit":                imported(rateLimit(1, 60)),
	"importApiKeys .keys.rate_limit.limit":          imported(rateLimit(1, 60), rateLimit(2, 60)),
	"importApiKeys .keys.rate_limit.window_seconds": imported(rateLimit(1, 60), rateLimit(1, 61)),
	"importApiKeys .keys.quota":                     imported(quota(1, "day", 1)),
	"importApiKeys .keys.quota.limit":               imported(quota(1, "day", 1), quota(2, "day", 1)),
	"importApiKeys .keys.quota.period":              imported(quota(1, "day", 1), quota(1, "week", 1)),
	"importApiKeys .keys.quota.period=day":          imported(quota(1, "week", 1), quota(1, "day", 1)),
	"importApiKeys .keys.quota.period=week":         imported(quota(1, "month", 1), quota(1, "week", 1)),
	"importApiKeys .keys.quota.period=month":        imported(quota(1, "day", 1), quota(1, "month", 1)),
	"importApiKeys .keys.quota.starts_on":           imported(quota(1, "month", 1), quota(1, "month", 2)),

	"revokeApiKey ?reason":                revoking("", "reason=policy"),
	"revokeApiKey ?reason=unspecified":    revoking("reason=key_compromise", "reason=unspecified"),
	"revokeApiKey ?reason=key_compromise": revoking("reason=superseded", "reason=key_compromise"),
	"revokeApiKey ?reason=superseded":     revoking("reason=no_longer_used", "reason=superseded"),
	"revokeApiKey ?reason=no_longer_used": revoking("reason=owner_left", "reason=no_longer_used"),
	"revokeApiKey ?reason=owner_left":     revoking("reason=policy", "reason=owner_left"),
	"revokeApiKey ?reason=policy":         revoking("reason=unspecified", "reason=policy"),

	"updateApiKey .enabled":    changing(fields{"enabled": false}),
	"updateApiKey ?owner":      onKeys(func(k *kit, path string) response { return k.patch(k.admin, path, fields{}) }),
	"updateApiKey .name":       changing(fields{"name": "another"}),
	"updateApiKey .expires_at": changing(fields{"expires_at": "2031-01-31T12:00:00Z"}),
	"updateApiKey .scopes":     changing(fields{"scopes": []string{"a"}}),
	"updateApiKey .metadata":   changing(fields{"metadata": fields{"a": "b"}}),
	"updateApiKey .rate_limit": changing(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}}),
	"updateApiKey .rate_limit.limit": changing(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}},
		fields{"rate_limit": fields{"limit": 2, "window_seconds": 60}}),
	"updateApiKey .rate_limit.window_seconds": changing(fields{"rate_limit": fields{"limit": 1, "window_seconds": 60}},
		fields{"rate_limit": fields{"limit": 1, "window_seconds": 61}}),
	"updateApiKey .allowed_cidrs":      changing(fields{"allowed_cidrs": []string{"0.0.0.0/0"}}),
	"updateApiKey .observe_cidrs":      changing(fields{"observe_cidrs": []string{"0.0.0.0/0"}}),
	"updateApiKey .quota":              changing(quota(1, "day", 1)),
	"updateApiKey .quota.limit":        changing(quota(1, "day", 1), quota(2, "day", 1)),
	"updateApiKey .quota.period":       changing(quota(1, "day", 1), quota(1, "week", 1)),
	"updateApiKey .quota.period=day":   changing(quota(1, "week", 1), quota(1, "day", 1)),
	"updateApiKey .quota.period=week":  changing(quota(1, "month", 1), quota(1, "week", 1)),
	"updateApiKey .quota.period=month": changing(quota(1, "day", 1), quota(1, "month", 1)),
	"updateApiKey .quota.starts_on":    changing(quota(1, "month", 1), quota(1, "month", 2)),

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
	"updateOwner .allowed_cidrs":             changingOwner(fields{"allowed_cidrs": []string{"192.0.2.0/24"}}),
	"updateOwner .enabled":                   changingOwner(fields{"enabled": false}),
	"updateOwner .max_keys":                  changingOwner(fields{"max_keys": 1000}),
	"updateOwner .metadata":                  changingOwner(fields{"metadata": fields{"a": "b"}}),
	"updateOwner .rate_limit":                changingOwner(rateLimit(1, 60)),
	"updateOwner .rate_limit.limit":          changingOwner(rateLimit(1, 60), rateLimit(2, 60)),
	"updateOwner .rate_limit.window_seconds": changingOwner(rateLimit(1, 60), rateLimit(1, 61)),
	"updateOwner .quota":                     changingOwner(quota(1, "day", 1)),
	"updateOwner .quota.limit":               changingOwner(quota(1, "day", 1), quota(2, "day", 1)),
	"updateOwner .quota.period":              changingOwner(quota(1, "day", 1), quota(1, "week", 1)),
	"updateOwner .quota.period=day":          changingOwner(quota(1, "week", 1), quota(1, "day", 1)),
	"updateOwner .quota.period=week":         changingOwner(quota(1, "month", 1), quota(1, "week", 1)),
	"updateOwner .quota.period=month":        changingOwner(quota(1, "day", 1), quota(1, "month", 1)),
	"updateOwner .quota.starts_on":           changingOwner(quota(1, "month", 1), quota(1, "month", 2)),

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

	"listAuditEvents ?owner":               asking(auditPath, "", "owner=team"),
	"listAuditEvents ?actor":               asking(auditPath, "", "actor=operator"),
	"listAuditEvents ?action":              asking(auditPath, "", "action=create"),
	"listAuditEvents ?action=create":       asking(auditPath, "action=update", "action=create"),
	"listAuditEvents ?action=update":       asking(auditPath, "action=rotate", "action=update"),
	"listAuditEvents ?action=rotate":       asking(auditPath, "action=revoke", "action=rotate"),
	"listAuditEvents ?action=revoke":       asking(auditPath, "action=leak", "action=revoke"),
	"listAuditEvents ?action=leak":         asking(auditPath, "action=create", "action=leak"),
	"listAuditEvents ?action=outside":      asking(auditPath, "action=create", "action=outside"),
	"listAuditEvents ?action=update_owner": asking(auditPath, "action=create", "action=update_owner"),
	"listAuditEvents ?since":               asking(auditPath, "", "since=2030-01-01T00:00:00Z"),
	"listAuditEvents ?until":               asking(auditPath, "", "until=2020-01-01T00:00:00Z"),
	"listAuditEvents ?items_per_page":      asking(auditPath, "", "items_per_page=1"),
	"listAuditEvents ?key": func(k *kit) (without, with response) {
		return k.get(k.admin, auditPath), k.get(k.admin, auditPath+"?key="+k.admin.ID)
	},
	"listAuditEvents ?before": func(k *kit) (without, with response) {
		without = k.get(k.admin, auditPath+"?items_per_page=1")
		next := decode[struct{ Next string }](without).Next
		return without, k.get(k.admin, auditPath+"?items_per_page=1&before="+next)
	},
})

// scanning reports two finds.
func scanning(without, with find) proof {
	return func(k *kit) (response, response) { return k.scan(k.github, without), k.scan(k.github, with) }
}

// scanningLogs reports finds with and without a property that only the log shows, and compares that.
func scanningLogs(property string) proof {
	return func(k *kit) (without, with response) {
		logged := func(f find) response {
			f.Token, f.Type = k.mustCreate(k.admin, fields{"name": "scanned"}).Secret, "t"
			answer := k.scan(k.github, f).want(200)
			_, value, _ := strings.Cut(strings.Join(k.logged(answer.header.Get("X-Request-Id")), ""), " "+property+"=")
			answer.raw, _, _ = bytes.Cut([]byte(value), []byte(" "))
			return answer
		}
		return logged(find{}), logged(find{URL: "here", Source: "here"})
	}
}

// quota is a body with a quota.
func quota(limit int, period string, startsOn int) fields {
	return fields{"quota": fields{"limit": limit, "period": period, "starts_on": startsOn}}
}

// asking gets a path with two queries.
func asking(path, without, with string) proof {
	return func(k *kit) (response, response) {
		return k.get(k.admin, path+"?"+without).want(200), k.get(k.admin, path+"?"+with).want(200)
	}
}

// creating makes two keys: with these fields, and with fewer. None is left.
func creating(f ...fields) proof {
	return func(k *kit) (without, with response) {
		create := func(f fields) response {
			answer := k.create(k.admin, f).want(201)
			k.revoke(k.admin, keyPath(answer.key().ID)).want(200)
			return answer
		}
		if len(f) == 1 {
			return create(nil), create(f[0])
		}
		return create(f[0]), create(f[1])
	}
}

// importing imports a key with something amiss, and with what these fields say, and verifies its secret.
func importing(amiss fields, whole func(secret string) fields) proof {
	return func(k *kit) (response, response) {
		verified := func(f fields, secret string) response {
			row := foreignRow(f)
			if f["secret"] == nil {
				delete(row, "secret")
			}
			if made := rowsOf(k.importKeys(k.admin, fields{"keys": []fields{row}}))[0]; made.ID != "" {
				defer func() { k.revoke(k.admin, keyPath(made.ID)).want(200) }()
			}
			return k.ask(k.admin, secret).want(200)
		}
		secret := foreignText()
		first := whole(secret)
		for name, value := range amiss {
			first[name] = value
		}
		if len(amiss) == 0 {
			first = fields{}
		}
		return verified(first, secret), verified(whole(secret), secret)
	}
}

// hashed returns a secret's hash in a scheme.
func hashed(scheme string) func(secret string) fields {
	return func(secret string) fields {
		return fields{"scheme": scheme, "hash": digestOf(scheme, secret)}
	}
}

// imported imports two keys: with these fields, and with fewer. None is left.
func imported(f ...fields) proof {
	return func(k *kit) (without, with response) {
		show := func(f fields) response {
			id := k.importOne(f).ID
			defer func() { k.revoke(k.admin, keyPath(id)).want(200) }()
			return k.get(k.admin, keyPath(id)).want(200)
		}
		if len(f) == 1 {
			return show(nil), show(f[0])
		}
		return show(f[0]), show(f[1])
	}
}

// revoking revokes two keys, with these queries.
func revoking(without, with string) proof {
	return func(k *kit) (response, response) {
		revoke := func(query string) response {
			path := keyPath(k.mustCreate(k.admin, fields{"name": "to revoke"}).ID)
			return k.revoke(k.admin, path+"?"+query).want(200)
		}
		return revoke(without), revoke(with)
	}
}

// changing changes a key twice in these ways, or in this way and not at all.
func changing(f ...fields) proof {
	return func(k *kit) (without, with response) {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "to change"}).ID)
		if len(f) == 1 {
			f = append([]fields{{}}, f...)
		}
		without, with = k.patch(k.admin, path, f[0]).want(200), k.patch(k.admin, path, f[1]).want(200)
		k.revoke(k.admin, path).want(200)
		return without, with
	}
}

// rateLimit is a body with a rate limit.
func rateLimit(limit, seconds int) fields {
	return fields{"rate_limit": fields{"limit": limit, "window_seconds": seconds}}
}

// changingOwner changes an owner twice in these ways, or in this way and not at all.
func changingOwner(f ...fields) proof {
	return func(k *kit) (without, with response) {
		if len(f) == 1 {
			f = append([]fields{{}}, f...)
		}
		path := ownerPath("team")
		without, with = k.patch(k.admin, path, f[0]).want(200), k.patch(k.admin, path, f[1]).want(200)
		k.patch(k.admin, path, fields{"enabled": true, "max_keys": nil, "rate_limit": nil, "quota": nil, "metadata": fields{},
			"allowed_cidrs": nil}).want(200)
		return without, with
	}
}

// onKeys calls an operation on a key of another owner, by its name.
func onKeys(call func(k *kit, path string) response) proof {
	return func(k *kit) (without, with response) {
		made := k.mustCreate(k.admin, fields{"name": "theirs", "owner": "team"})
		without, with = call(k, keyPath("theirs")).want(404), call(k, keyPath("theirs")+"?owner=team").want(200)
		k.revoke(k.admin, keyPath(made.ID))
		return without, with
	}
}

// limited asks for a key over its rate limit.
func limited(without, with string) proof {
	return func(k *kit) (response, response) {
		made := k.mustCreate(k.admin, fields{"name": "limited", "rate_limit": fields{"limit": 1, "window_seconds": 86400}})
		k.forward(made.Secret, "").want(200)
		defer func() { k.revoke(k.admin, keyPath(made.ID)).want(200) }()
		return k.forward(made.Secret, without), k.forward(made.Secret, with)
	}
}

// prepareProofs makes keys and events of every kind, so that filters have something to find.
func prepareProofs(k *kit) {
	client := k.mustCreate(k.admin, fields{"name": "client", "owner": "team"})
	k.ask(k.admin, client.Secret).want(200)
	k.patch(k.admin, keyPath(client.ID), fields{"metadata": fields{"a": "b"}}).want(200)
	k.rotate(k.admin, keyPath(k.mustCreate(k.admin, fields{"name": "rotating"}).ID), fields{"grace_seconds": 600}).want(200)
	expired := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(time.Second)})
	k.clock.Advance(2 * time.Second)
	k.revoke(k.admin, keyPath(k.mustCreate(k.admin, fields{"name": "revoked"}).ID)).want(200)
	k.report(k.mustCreate(k.admin, fields{"name": "leaked"}).Secret).want(202)
	for _, reason := range apikey.Reasons() {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "revoked"}).ID)
		k.revoke(k.admin, path+"?reason="+string(reason)).want(200)
	}
	observed := k.mustCreate(k.admin, fields{"name": "observed", "observe_cidrs": []string{"192.0.2.0/24"}})
	k.askFrom(observed.Secret, "198.51.100.1").want(200)
	k.must(k.verifier.Close(k.Context())) // reports the use from outside
	suspended := k.mustCreate(k.admin, fields{"name": "suspended", "enabled": false})
	k.ask(k.admin, suspended.Secret).want(200)
	k.ask(k.admin, expired.Secret).want(200)
	k.patch(k.admin, ownerPath("suspended"), fields{"enabled": false}).want(200)
	k.importOne(fields{"name": "foreign"})
	prepareWebhooks(k)
}

// concludeProofs asks for what else answers can have.
func concludeProofs(k *kit) {
	concludeWebhooks(k)
	all := fields{"max_keys": 1, "allowed_cidrs": []string{"127.0.0.0/8"}, "rate_limit": fields{"limit": 9, "window_seconds": 60}, "quota": fields{"limit": 9, "period": "day"}}
	k.patch(k.admin, ownerPath("full"), all).want(200)
	k.ask(k.admin, k.mustCreate(k.admin, fields{"name": "one", "owner": "full"}).Secret).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	k.get(k.admin, ownerPath("full")).want(200)
	k.create(k.admin, fields{"name": "two", "owner": "full"}).want(409)
	k.get(k.admin, ownerPath("nobody")).want(404)
	k.patch(k.admin, ownerPath("nobody"), fields{}).want(404)
	k.patch(k.admin, ownerPath("full"), fields{"max_keys": 0}).want(400)
	k.get(k.admin, ownerPath("full")+"?verbose=1").want(400)
	k.get(k.admin, ownersPath+"?verbose=1").want(400)
	reader := k.add("team", "reader", apikey.ScopeRead)
	k.get(reader, ownersPath).want(403)
	k.get(reader, ownerPath("full")).want(403)
	k.patch(reader, ownerPath("team"), fields{}).want(403)
	used := k.mustCreate(k.admin, fields{"name": "used", "quota": fields{"limit": 1, "period": "day"}})
	k.ask(k.admin, used.Secret).want(200)
	k.ask(k.admin, used.Secret).want(200) // QUOTA_EXCEEDED
	k.get(k.admin, keyUsagePath(used.ID)).want(200)
	then := k.clock.Now()
	k.pastOf(k.admin, keyPath(used.ID), then).want(200)
	k.clock.Advance(time.Second)
	k.patch(k.admin, keyPath(used.ID), fields{"name": "used once"}).want(200)
	k.removeHistory()
	k.pastOf(k.admin, keyPath(used.ID), then).want(409)
	limited := k.mustCreate(k.admin, fields{"name": "limited", "rate_limit": fields{"limit": 1, "window_seconds": 60}})
	k.forward(limited.Secret, "").want(200)
	k.ask(k.admin, limited.Secret).want(200) // RATE_LIMITED
	k.ask(k.admin, k.admin.Secret, "a")      // INSUFFICIENT_SCOPE
	k.forward(k.admin.Secret, "?scope=a").want(403)
	k.forward(k.admin.Secret, "?scope=a,b").want(400)
	k.get(k.admin, keysPath+"?verbose=1").want(400)
	k.create(k.admin, fields{"name": ""}).want(400)
	k.get(k.add("team", "none"), keysPath).want(403)
	k.get(k.admin, keyPath("nobody")).want(404)
	k.create(k.admin, fields{"name": "limited"}).want(409)
	k.importKeys(k.admin, fields{"keys": []fields{foreignRow(fields{"name": "limited"}), foreignRow(fields{"expires_at": "2020-01-31T12:00:00Z"})}}).want(200)
	k.patch(k.admin, keyPath(limited.ID), fields{"name": "rotating"}).want(409)
	k.revoke(k.admin, keyPath(limited.ID)).want(200)
	k.rotate(k.admin, keyPath(limited.ID), nil).want(409)
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	_, err := writer.Write([]byte("{}"))
	k.must(err)
	k.must(writer.Close())
	k.do(request{method: "POST", path: keysPath, key: k.admin.Secret, body: zipped.String(),
		header: http.Header{"Content-Encoding": {"gzip"}}}).want(415)
	for range most {
		k.get(key{Secret: "wrong"}, keysPath).want(401)
	}
	k.get(key{Secret: "wrong"}, keysPath).slowed(429, "12")
	for answer := k.report("nothing"); answer.status != 429; answer = k.report("nothing") {
	}
}
