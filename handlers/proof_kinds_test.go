package handlers_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"time"

	"apikeyd/apikey"
)

// withLimitProofs adds the proofs of quotas and rate limits, which several operations set.
func withLimitProofs(all map[string]proof) map[string]proof {
	for operation, set := range map[string]func(...fields) proof{
		"createApiKey ": creating, "importApiKeys .keys": imported, "updateApiKey ": changing, "updateOwner ": changingOwner,
	} {
		for part, f := range map[string][]fields{
			".rate_limit":                {rateLimit(1, 60)},
			".rate_limit.limit":          {rateLimit(1, 60), rateLimit(2, 60)},
			".rate_limit.window_seconds": {rateLimit(1, 60), rateLimit(1, 61)},
			".quota":                     {quota(1, "day", 1)},
			".quota.limit":               {quota(1, "day", 1), quota(2, "day", 1)},
			".quota.period":              {quota(1, "day", 1), quota(1, "week", 1)},
			".quota.period=day":          {quota(1, "week", 1), quota(1, "day", 1)},
			".quota.period=week":         {quota(1, "month", 1), quota(1, "week", 1)},
			".quota.period=month":        {quota(1, "day", 1), quota(1, "month", 1)},
			".quota.starts_on":           {quota(1, "month", 1), quota(1, "month", 2)},
		} {
			all[operation+part] = set(f...)
		}
	}
	return all
}

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

// matching changes two keys, one of them with the ETag of another state.
func matching(change func(k *kit, path string, h http.Header) response) proof {
	return func(k *kit) (without, with response) {
		path := keyPath(k.mustCreate(k.admin, fields{"name": "to match"}).ID)
		with = change(k, path, http.Header{"If-Match": {`"another"`}}).want(412)
		without = change(k, path, nil).want(200)
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
	prepareSessions(k)
	prepareWebhooks(k)
	prepareNotices(k)
}

// concludeProofs asks for what else answers can have.
func concludeProofs(k *kit) {
	concludeWebhooks(k)
	concludeLinks(k)
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
