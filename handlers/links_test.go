package handlers_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
)

// ownerLink is a link as the contract shows it.
type ownerLink struct {
	URL       string `json:"url"`
	Session   string `json:"session_id"`
	ExpiresAt string `json:"expires_at"`
}

func (l ownerLink) token() string {
	_, token, _ := strings.Cut(l.URL, "#")
	return token
}

func linksPath(owner string) string { return ownerPath(owner) + "/links" }

// link requests a link, by default for reading and writing.
func (k *kit) link(by key, owner string, f fields) response {
	k.Helper()
	body := fields{"scopes": []string{"keys:read", "keys:write"}}
	for name, value := range f {
		body[name] = value
	}
	return k.post(by, linksPath(owner), body)
}

func (k *kit) mustLink(by key, owner string, f fields) ownerLink {
	k.Helper()
	link := decode[ownerLink](k.link(by, owner, f).want(201))
	k.secrets.add(link.token())
	return link
}

// sessions returns what the console uses.
func (k *kit) sessions(configure ...func(*handlers.Config)) *handlers.Sessions {
	c := handlers.Config{Store: k.db, Log: slog.New(slog.NewTextHandler(k.log, nil)), Now: k.clock.Now}
	for _, f := range configure {
		f(&c)
	}
	return handlers.NewSessions(c)
}

func (k *kit) browser() *http.Request {
	r, err := http.NewRequestWithContext(k.Context(), http.MethodPost, "http://"+k.host+"/console/link", http.NoBody)
	k.must(err)
	r.RemoteAddr = "192.0.2.7:1234"
	return r
}

// openLink opens a link and returns the session's key.
func (k *kit) openLink(l ownerLink) key {
	k.Helper()
	secret, err := k.sessions().Open(k.browser(), l.token())
	k.must(err)
	k.secrets.add(secret.Reveal())
	made := k.get(k.admin, keyPath(secret.ID().String())).want(200).key()
	made.Secret = secret.Reveal()
	return made
}

// signIn starts the session of a person.
func (k *kit) signIn(name string, scopes ...string) key {
	k.Helper()
	secret, err := k.sessions().SignIn(k.browser(), apikey.Settings{
		Owner: "people", Name: name, Scopes: scopes, ExpiresAt: k.clock.Now().Add(time.Hour), Metadata: apikey.Metadata{"subject": "42"},
	})
	k.must(err)
	k.secrets.add(secret.Reveal())
	return key{ID: secret.ID().String(), Owner: "people", Name: name, Scopes: scopes, Secret: secret.Reveal()}
}

func TestOwnerLink(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	backend := k.add("acme", "backend", "keys:read", "keys:write", "data:read")
	link := k.mustLink(backend, "acme", fields{
		"scopes": []string{"keys:read", "keys:write", "data:read"}, "name": "bob", "metadata": fields{"a": "b"}, "session_seconds": 600,
	})
	if !strings.HasPrefix(link.URL, "http://"+k.host+"/console/link#link_") || link.ExpiresAt != "2026-11-23T12:05:00.000Z" {
		t.Errorf("the link is %+v", link)
	}
	k.ask(k.admin, link.token()).want(200)
	if got := decode[map[string]any](k.ask(k.admin, link.token())); got["code"] != "NOT_FOUND" {
		t.Errorf("the token of a link is a key: %v", got)
	}
	session := k.openLink(link)
	got := k.get(session, keyPath(session.ID)).want(200)
	shown := decode[map[string]any](got)
	if shown["session"] != "link" || shown["name"] != "bob" || shown["expires_at"] != "2026-11-23T12:10:00.000Z" || session.ID != link.Session {
		t.Errorf("the session is %v", shown)
	}
	// It manages the owner's keys.
	made := k.mustCreate(session, fields{"name": "made", "scopes": []string{"data:read"}})
	k.rotate(session, keyPath(made.ID), nil).want(200)
	k.patch(session, keyPath(made.ID), fields{"name": "renamed"}).want(200)
	k.get(session, keyUsagePath(made.ID)).want(200)
	k.revoke(session, keyPath(made.ID)).want(200)
	k.get(session, keysPath).want(200)
	k.sessionsListed(k.admin, session.ID)

	// Whoever has it gets no further.
	for what, r := range map[string]response{
		"a key that manages keys":  k.create(session, fields{"name": "n", "scopes": []string{"keys:read"}}),
		"by default":               k.create(session, fields{"name": "n"}),
		"an admin":                 k.create(session, fields{"name": "n", "scopes": []string{"keys:admin"}}),
		"another owner's key":      k.create(session, fields{"name": "n", "owner": "other", "scopes": []string{"data:read"}}),
		"no rate limit":            k.create(session, fields{"name": "n", "scopes": []string{}, "rate_limit": fields{"limit": 1000, "window_seconds": 1}}),
		"its creator's secret":     k.rotate(session, keyPath(backend.ID), nil),
		"its creator's end":        k.revoke(session, keyPath(backend.ID)),
		"a longer session":         k.patch(session, keyPath(session.ID), fields{"expires_at": k.in(time.Hour * 24)}),
		"another name":             k.patch(session, keyPath(session.ID), fields{"name": "somebody else"}),
		"a secret of its own":      k.rotate(session, keyPath(session.ID), nil),
		"another link":             k.link(session, "acme", nil),
		"sessions of others":       k.get(session, keysPath+"?sessions=true"),
		"other owners' keys":       k.get(session, keysPath+"?owner=other"),
		"what was set for it":      k.get(session, ownerPath("acme")),
		"the audit log":            k.get(session, auditPath),
		"what a key was":           k.get(session, keyPath(backend.ID)+"/history?at=2026-11-23T12:00:00Z"),
		"what a key needs":         k.get(session, keyPath(backend.ID)+"/review"),
		"the summary":              k.get(session, summaryPath),
		"everybody's use":          k.get(session, usagePath),
		"whether a secret is good": k.ask(session, backend.Secret),
	} {
		if r.status != 403 {
			t.Errorf("a link gives %s: %s", what, r.raw)
		}
	}
	k.get(session, keyPath("admin")).refused(404, "KEY_NOT_FOUND")
	k.clock.Advance(10 * time.Minute)
	k.get(session, keysPath).refused(401, "CREDENTIAL_EXPIRED")
}

// sessionsListed wants exactly these sessions in the list of them, and none in the others.
func (k *kit) sessionsListed(by key, ids ...string) {
	k.Helper()
	list := k.get(by, keysPath+"?sessions=true").want(200).list().Data
	if len(list) != len(ids) {
		k.Fatalf("%d sessions are listed, want %d", len(list), len(ids))
	}
	for i, id := range ids {
		if list[i].ID != id {
			k.Errorf("session %d is %s, want %s", i, list[i].ID, id)
		}
	}
	for _, listed := range k.get(by, keysPath).want(200).list().Data {
		for _, id := range ids {
			if listed.ID == id {
				k.Errorf("the session %s is among the keys", id)
			}
		}
	}
}

// Attacks on links.
func TestOwnerLinkAttacks(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) { c.AuthFailures = apikey.RateLimit{Limit: 5, Window: time.Minute} })
	backend := k.add("acme", "backend", "keys:read", "keys:write")
	refuses := func(what string, sessions *handlers.Sessions, token string, want error) {
		t.Helper()
		if _, err := sessions.Open(k.browser(), token); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	replayed := k.mustLink(backend, "acme", nil)
	k.openLink(replayed)
	old := k.mustLink(backend, "acme", nil)
	k.clock.Advance(apikey.LinkTime)
	byGone := k.mustLink(backend, "acme", nil)
	k.revoke(k.admin, keyPath(backend.ID)).want(200)
	for what, token := range map[string]string{
		"a replay": replayed.token(), "after five minutes": old.token(), "of a revoked creator": byGone.token(), "a guess": "link",
		"a key's secret": k.admin.Secret, "another link": apikey.NewSecret("link", apikey.NewSessionID()).Reveal(), "nothing": "",
	} {
		refuses(what, k.sessions(), token, apikey.ErrNoLink)
	}

	// Who guesses is slowed down, and a good link opens all the same.
	guessing := k.sessions(func(c *handlers.Config) { c.AuthFailures = apikey.RateLimit{Limit: 5, Window: time.Minute} })
	for range 5 {
		refuses("guessing", guessing, "link", apikey.ErrNoLink)
	}
	refuses("guessing on", guessing, "link", apikey.ErrTooManyLinks)
	good := k.mustLink(k.admin, "acme", nil)
	_, err := guessing.Open(k.browser(), good.token())
	k.must(err)

	alice := k.add("alice", "alice", "keys:read", "keys:write")
	for what, r := range map[string]response{
		"for another owner":              k.link(alice, "acme", nil),
		"for an owner that cannot be":    k.link(alice, " ", nil),
		"with a scope that alice lacks":  k.link(alice, "alice", fields{"scopes": []string{"keys:read", "data:read"}}),
		"by a key that may not write":    k.link(k.add("alice", "reader", "keys:read"), "alice", fields{"scopes": []string{"keys:read"}}),
		"by a key that may only verify":  k.link(k.add("alice", "verifier", "keys:verify"), "alice", nil),
		"by the session of another link": k.link(k.openLink(k.mustLink(alice, "alice", nil)), "alice", nil),
	} {
		if r.status != 403 {
			t.Errorf("a link %s: %s", what, r.raw)
		}
	}
	k.link(k.admin, " ", nil).refused(404, "OWNER_NOT_FOUND")
	for _, scopes := range [][]string{{"keys:read", "keys:admin"}, {"keys:read", "keys:verify"}, {"keys:write"}, {}} {
		k.link(k.admin, "alice", fields{"scopes": scopes}).invalid("scopes")
	}
	for _, seconds := range []any{0, 59, 43201, "60", nil, 60.5} {
		k.link(k.admin, "alice", fields{"session_seconds": seconds}).invalid("session_seconds")
	}
	k.link(k.admin, "alice", fields{"name": " "}).invalid("name")
	k.post(k.admin, linksPath("alice"), fields{}).invalid("scopes")

	// A suspended owner's people do nothing, either.
	session := k.openLink(k.mustLink(k.admin, "alice", nil))
	k.patch(k.admin, ownerPath("alice"), fields{"enabled": false}).want(200)
	k.get(session, keysPath).refused(401, "CREDENTIAL_DISABLED")
}

func TestLinkKeepsLimits(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) { c.Policy.MaxLifetime = time.Hour })
	k.patch(k.admin, ownerPath("acme"), fields{"max_keys": 1}).want(200)
	limited := k.mustCreate(k.admin, fields{"name": "backend", "owner": "acme", "scopes": []string{"keys:read", "keys:write"},
		"rate_limit": fields{"limit": 7, "window_seconds": 60}, "allowed_cidrs": []string{"127.0.0.0/8"}})
	least, most := int(apikey.LeastSession/time.Second), int(apikey.MostSession/time.Second)
	k.link(limited, "acme", fields{"session_seconds": least - 1}).invalid("session_seconds")
	k.link(limited, "acme", fields{"session_seconds": most + 1}).invalid("session_seconds")
	k.mustLink(limited, "acme", fields{"session_seconds": least})
	secret, err := k.sessions(func(c *handlers.Config) { c.Policy.MaxLifetime = time.Hour }).
		Open(k.browser(), k.mustLink(limited, "acme", fields{"session_seconds": most}).token())
	k.must(err)
	session := key{ID: secret.ID().String(), Secret: secret.Reveal()}
	made := decode[map[string]any](k.get(k.admin, keyPath(session.ID)).want(200))
	if made["expires_at"] != apikey.Timestamp(k.clock.Now().Add(time.Hour)).String() {
		t.Errorf("the session lasts until %s, past the longest lifetime", made["expires_at"])
	}
	k.create(session, fields{"name": "one more", "scopes": []string{}}).refused(409, "TOO_MANY_KEYS")
	k.patch(k.admin, ownerPath("acme"), fields{"max_keys": 2}).want(200)
	k.create(session, fields{"name": "n", "scopes": []string{}, "expires_at": k.in(2 * time.Hour)}).invalid("expires_at")
	child := decode[map[string]any](k.create(session, fields{"name": "n", "scopes": []string{}}).want(201))
	limit, _ := child["rate_limit"].(map[string]any)
	networks, _ := child["allowed_cidrs"].([]any)
	if limit["limit"] != 7.0 || len(networks) != 1 {
		t.Errorf("a key made by a link is free of its creator's limits: %v", child)
	}
}

func TestSignedInSession(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	session := k.signIn("alice@example.com", apikey.ScopeAdmin)
	k.sessionsListed(k.admin, session.ID)
	k.mustCreate(session, fields{"name": "by alice"})
	events := decode[struct{ Data []map[string]any }](k.get(k.admin, auditPath+"?actor="+session.ID).want(200)).Data
	if len(events) != 1 || events[0]["name"] != "by alice" {
		t.Errorf("alice did %v", events)
	}
	events = decode[struct{ Data []map[string]any }](k.get(k.admin, auditPath+"?key="+session.ID).want(200)).Data
	if len(events) != 1 || events[0]["name"] != "alice@example.com" || events[0]["via"] != "single sign-on" || events[0]["address"] != "192.0.2.7" {
		t.Errorf("who alice is: %v", events)
	}
	k.patch(k.admin, keyPath(session.ID), fields{"scopes": []string{}}).refused(403, "FORBIDDEN")
	k.rotate(k.admin, keyPath(session.ID), nil).refused(403, "FORBIDDEN")
	sessions := k.sessions()
	for range 2 {
		k.must(sessions.End(k.browser(), session.Secret))
		k.get(session, keysPath).refused(401, "CREDENTIAL_REVOKED")
	}
	k.must(sessions.End(k.browser(), k.admin.Secret)) // which is not a session's
	k.get(k.admin, keysPath).want(200)
	revoked := k.signIn("bob", apikey.ScopeRead)
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	k.get(revoked, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

// withLinkProofs adds the proofs of links and sessions to others.
func withLinkProofs(all map[string]proof) map[string]proof {
	opened := func(with fields) proof {
		return func(k *kit) (response, response) {
			shown := func(f fields) response {
				session := k.openLink(k.mustLink(k.admin, "team", f))
				defer func() { k.revoke(k.admin, keyPath(session.ID)).want(200) }()
				return k.get(session, keyPath(session.ID)).want(200)
			}
			return shown(nil), shown(with)
		}
	}
	for part, f := range map[string]fields{
		"scopes": {"scopes": []string{"keys:read"}}, "name": {"name": "other"}, "metadata": {"metadata": fields{"a": "b"}},
		"session_seconds": {"session_seconds": 60},
	} {
		all["createOwnerLink ."+part] = opened(f)
	}
	all["listApiKeys ?sessions"] = asking(keysPath, "", "sessions=true")
	all["listAuditEvents ?action=create_link"] = asking(auditPath, "action=update", "action=create_link")
	all["listAuditEvents ?action=start_session"] = asking(auditPath, "action=update", "action=start_session")
	return all
}

// prepareSessions makes a session of each kind.
func prepareSessions(k *kit) {
	k.openLink(k.mustLink(k.admin, "team", nil))
	k.signIn("alice", "keys:read")
}

// concludeLinks gets every answer about links.
func concludeLinks(k *kit) {
	k.mustLink(k.admin, "team", nil)
	k.link(k.admin, "team", fields{"scopes": []string{}}).want(400)
	k.link(k.add("team", "links", "keys:write"), "other", nil).want(403)
	k.link(k.admin, " ", nil).want(404)
	k.link(key{}, "team", nil).want(401)
	k.get(k.admin, keysPath+"?sessions=true").want(200)
	for _, action := range []string{"create_link", "start_session"} {
		k.get(k.admin, auditPath+"?action="+action).want(200)
	}
}
