package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// secretCookie carries a new secret, encrypted, from the form that made it to the one page
// that shows it: so the secret is in one answer, and loading that page again does not make
// another.
const secretCookie = "apikeyd_secret"

// secretTime is how long that page may take to be opened.
const secretTime = 2 * time.Minute

// newSecret is what the cookie holds.
type newSecret struct {
	Secret  string    `json:"secret"`
	Rotated bool      `json:"rotated"` // it replaces another one
	Origin  string    `json:"origin"`  // where the reader reaches us
	Until   time.Time `json:"until"`
}

// reveal goes to the page that shows the new secret of a key, once. If it is the key that
// the reader is signed in with, the session goes on with the new secret.
func (v *visit) reveal(created client.CreatedKey) error {
	secret := created.Secret.Reveal()
	if created.ID == v.me.ID { // its old secret may be good no more
		v.session.Secret, v.session.Seen = secret, v.now
		v.setSession(v.w, v.r, v.session)
	}
	path := secretPath(created.Key)
	sealed := v.sealer.seal(secretCookie+v.session.ID+created.ID, newSecret{
		Secret: secret, Until: v.now.Add(secretTime), Origin: originOf(v.r),
		Rotated: v.r.PathValue("id") != "", // a new key has no page yet
	})
	http.SetCookie(v.w, cookie(v.r, secretCookie, sealed, path, int(secretTime/time.Second)))
	return v.redirect(path)
}

func secretPath(k client.Key) string { return keyPath(k.ID) + "/secret" }

// secretPage shows a secret.
type secretPage struct {
	client.Key
	newSecret
	Grace    bool // the secret before it is still good
	Commands []command
}

// command is one to paste into a shell.
type command struct {
	ID    string
	About string
	Text  string
}

// showSecret shows a new secret to whoever made it. After that there is only its key.
func showSecret(v *visit) error {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	p := secretPage{Key: key, Grace: key.GraceEndsAt.After(v.now)}
	value, found := cookieValue(v.r, secretCookie)
	if !found || !v.sealer.open(secretCookie+v.session.ID+key.ID, value, &p.newSecret) || !p.Until.After(v.now) {
		return v.redirect(keyPath(key.ID))
	}
	http.SetCookie(v.w, cookie(v.r, secretCookie, "", secretPath(key), -1))
	p.Commands = v.commandsOf(key, p.newSecret)
	v.show(http.StatusOK, "secret", "The secret of "+key.Name, p)
	return nil
}

// preventPageCache answers the style sheet of that page, which has no styles but changes a cookie:
// then a browser does not keep the page, secret and all, for going back to it. Where scripts
// run, they take the secret away themselves.
func preventPageCache(v *visit) error {
	v.setSession(v.w, v.r, v.session)
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	return nil
}

// commandsOf are ways to use a secret: on this server what its scopes of apikeyd are for, and with
// other scopes, or none, a call of that API.
func (v *visit) commandsOf(k client.Key, s newSecret) (all []command) {
	has := func(scope string) bool { return slices.Contains(k.Scopes, scope) }
	isAdmin := has(apikey.ScopeAdmin)
	begin := `curl -H "x-api-key: ` + s.Secret + `" `
	here := `"` + s.Origin + `/v1/`
	add := func(id, about, text string) { all = append(all, command{id, about + ":", text}) }
	if has(apikey.ScopeVerify) {
		add("verify", "Asks whether a key that somebody showed your API is good (put it in place of THEIR-KEY)",
			begin+`-H "content-type: application/json" -d '{"key": "THEIR-KEY"}' `+here+`verify"`)
	}
	switch {
	case isAdmin:
		add("list", "Lists all keys", begin+here+`api-keys"`)
	case has(apikey.ScopeRead):
		add("list", "Lists the keys of "+k.Owner, begin+here+`api-keys"`)
	case has(apikey.ScopeWrite):
		end := v.now.Add(v.lifetime()).UTC().Format(time.RFC3339)
		add("create", "Makes a key for "+k.Owner, begin+`-H "content-type: application/json" -d '{"name": "another key", "expires_at": "`+end+`"}' `+here+`api-keys"`)
	}
	if len(all) == 0 || slices.ContainsFunc(k.Scopes, func(scope string) bool { return !strings.HasPrefix(scope, "keys:") }) {
		add("there", "Calls your own API (put its address in place of YOUR-API)", begin+`"https://YOUR-API/"`)
	}
	return all
}

// safeOrigin is an origin that means nothing to a shell.
var safeOrigin = regexp.MustCompile(`^https?://[0-9A-Za-z.:_\-\[\]]+$`)

// originOf is where a reader who sent a form reaches us: the browser says it, and a proxy
// in between may have another host for us.
func originOf(r *http.Request) string {
	scheme := "http://"
	if overTLS(r) {
		scheme = "https://"
	}
	for _, origin := range []string{r.Header.Get("Origin"), scheme + r.Host} {
		if safeOrigin.MatchString(origin) {
			return origin
		}
	}
	return "https://YOUR-SERVER"
}
