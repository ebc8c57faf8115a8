package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
)

// linkTime is how long a link can be opened, and linkSkew how far our clocks may be apart.
const (
	linkTime = 5 * time.Minute
	linkSkew = time.Minute
)

// ownerLink makes links and does not open them: a browser would. They lapse.
func ownerLink(s *session) {
	link := func(f fields) request {
		return request{operation: "createOwnerLink", key: url.PathEscape(s.owner), body: f.json()}
	}
	good := fields{"scopes": []string{apikey.ScopeRead}, "name": s.newName(), "session_seconds": 60}
	before := s.clock.Now()
	a := s.want(http.StatusCreated, link(good))
	text, _ := a.body["url"].(string)
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || address.RawQuery != "" || len(address.Fragment) < 32 || strings.Contains(address.Path, address.Fragment) {
		s.fail("%s: the url is not an address whose fragment is the secret", a.about)
	} else {
		s.keepSecret(address.Fragment)
	}
	ends, _ := a.body["expires_at"].(string)
	if at, err := time.Parse(time.RFC3339, ends); err != nil || at.Sub(before) > linkTime+linkSkew || at.Before(before.Add(-linkSkew)) {
		s.fail("%s: expires_at is %s, want at most %s from now", a.about, ends, linkTime)
	}
	id, _ := a.body["session_id"].(string)
	s.want(http.StatusNotFound, request{operation: "getApiKey", key: url.PathEscape(id), why: "of a link that was not opened"})
	again := s.want(http.StatusCreated, link(good))
	if again.body["url"] == text || again.body["session_id"] == id {
		s.fail("%s: two links are the same", again.about)
	}
	for why, scopes := range map[string][]string{"an admin": {apikey.ScopeRead, apikey.ScopeAdmin}, "nothing": {}} {
		r := link(good.with("scopes", scopes))
		r.why = "a link for " + why
		s.refuses("scopes", r)
	}
	r := link(good.with("session_seconds", 59))
	s.refuses("session_seconds", r)
	reader := s.reader()
	r = link(good)
	r.secret, r.why = reader.secret, "by a key that may only read"
	s.want(http.StatusForbidden, r)
	sessions := s.want(http.StatusOK, request{operation: "listApiKeys", query: "sessions=true&owner=" + url.QueryEscape(s.owner)})
	for _, listed := range list(sessions.body["data"]) {
		if object(listed)["session"] == nil {
			s.fail("%s: a key that belongs to no session is among them", sessions.about)
		}
	}
}
