package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/basepath"
)

// secretCookie carries a new secret, encrypted, from the form that made it to the page that shows it.
// So the secret is in one answer, and reloading that page does not make another one.
const secretCookie = "apikeyd_secret"

// secretTime is how long the cookie is valid.
const secretTime = 2 * time.Minute

// newSecret is the content of the cookie.
type newSecret struct {
	Secret  string    `json:"secret"`
	Rotated bool      `json:"rotated"` // it replaces another one
	Server  string    `json:"server"`  // its URL, as the reader sees it
	Until   time.Time `json:"until"`
}

// reveal redirects to the page that shows a key's new secret, once. If the reader is signed in with
// that key, the session continues with the new secret.
func (v *visit) reveal(created client.CreatedKey) error {
	secret := created.Secret.Reveal()
	if created.ID == v.me.ID { // its old secret may no longer work
		v.session.Secret, v.session.Seen = secret, v.now
		v.setSession(v.w, v.r, v.session)
	}
	return v.pass(secret, created.ID, keyPath(created.ID)+"/secret")
}

// revealOfWebhook redirects to the page that shows a webhook's new secret, once.
func (v *visit) revealOfWebhook(created client.CreatedWebhook) error {
	return v.pass(created.Secret.Reveal(), created.ID, webhookPath(created.ID)+"/secret")
}

// pass redirects to the page that shows a secret, which belongs to what has an id.
func (v *visit) pass(secret, id, path string) error {
	sealed := v.sealer.seal(secretCookie+v.session.ID+id, newSecret{
		Secret: secret, Until: v.now.Add(secretTime), Server: serverURL(v.r),
		Rotated: v.r.PathValue("id") != "", // a form that creates something has no id in its path
	})
	http.SetCookie(v.w, v.forFrame(v.session, cookie(v.r, secretCookie, sealed, path, int(secretTime/time.Second))))
	return v.redirect(path)
}

// passed returns the secret that was passed to this page, once.
func (v *visit) passed(id string) (s newSecret, ok bool) {
	value, ok := cookieValue(v.r, secretCookie)
	if !ok || !v.sealer.open(secretCookie+v.session.ID+id, value, &s) || !s.Until.After(v.now) {
		return newSecret{}, false
	}
	http.SetCookie(v.w, v.forFrame(v.session, cookie(v.r, secretCookie, "", v.r.URL.Path, -1)))
	return s, true
}

// secretPage shows a secret.
type secretPage struct {
	client.Key
	newSecret
	Grace    bool // the previous secret still works
	Commands []command
}

// command is a command to paste into a shell.
type command struct {
	ID    string
	About string
	Text  string
}

// showSecret shows a new secret once. After that, it redirects to the key's page.
func showSecret(v *visit) error {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	secret, ok := v.passed(key.ID)
	if !ok {
		return v.redirect(keyPath(key.ID))
	}
	p := secretPage{Key: key, newSecret: secret, Grace: key.GraceEndsAt.After(v.now), Commands: v.commandsOf(key, secret)}
	v.show(http.StatusOK, "secret", "The secret of "+key.Name, p)
	return nil
}

// webhookSecretPage shows the secret of a webhook.
type webhookSecretPage struct {
	webhookRow
	newSecret
}

// showWebhookSecret shows a webhook's new secret once. After that, it redirects to the webhook's page.
func showWebhookSecret(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	secret, ok := v.passed(w.ID)
	if !ok {
		return v.redirect(w.Page())
	}
	v.show(http.StatusOK, "webhooksecret", "The secret of a webhook", webhookSecretPage{w, secret})
	return nil
}

// preventPageCache serves an empty style sheet for that page which changes a cookie. That keeps
// browsers from putting the page with its secret into their back-forward cache. Where scripts run,
// they remove the secret themselves.
func preventPageCache(v *visit) error {
	v.setSession(v.w, v.r, v.session)
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	return nil
}

// commandsOf returns commands that use a secret: calls of this server for apikeyd's own scopes, and a
// call of the reader's API for other scopes or none.
func (v *visit) commandsOf(k client.Key, s newSecret) (all []command) {
	has := func(scope string) bool { return slices.Contains(k.Scopes, scope) }
	isAdmin := has(apikey.ScopeAdmin)
	begin := `curl -H "x-api-key: ` + s.Secret + `" `
	here := `"` + s.Server + `/v1/`
	add := func(id, about, text string) { all = append(all, command{id, about + ":", text}) }
	if has(apikey.ScopeVerify) {
		add("verify", "Verifies a key that somebody showed your API (replace THEIR-KEY)",
			begin+`-H "content-type: application/json" -d '{"key": "THEIR-KEY"}' `+here+`verify"`)
	}
	switch {
	case isAdmin:
		add("list", "Lists all keys", begin+here+`api-keys"`)
	case has(apikey.ScopeRead):
		add("list", "Lists the keys of "+k.Owner, begin+here+`api-keys"`)
	case has(apikey.ScopeWrite):
		end := v.now.Add(v.lifetime()).UTC().Format(time.RFC3339)
		add("create", "Creates a key for "+k.Owner, begin+`-H "content-type: application/json" -d '{"name": "another key", "expires_at": "`+end+`"}' `+here+`api-keys"`)
	}
	if len(all) == 0 || slices.ContainsFunc(k.Scopes, func(scope string) bool { return !strings.HasPrefix(scope, "keys:") }) {
		add("there", "Calls your own API (replace YOUR-API with its address)", begin+`"https://YOUR-API/"`)
	}
	return all
}

// safeOrigin matches origins without special characters for a shell.
var safeOrigin = regexp.MustCompile(`^https?://[0-9A-Za-z.:_\-\[\]]+$`)

// serverURL returns this server's URL as the reader's browser sees it, with its base path: from the
// Origin of a form, because a proxy may change the Host.
func serverURL(r *http.Request) string {
	scheme := "http://"
	if overTLS(r) {
		scheme = "https://"
	}
	for _, origin := range []string{r.Header.Get("Origin"), scheme + r.Host} {
		if safeOrigin.MatchString(origin) {
			return origin + basepath.Of(r.Context())
		}
	}
	return "https://YOUR-SERVER"
}
