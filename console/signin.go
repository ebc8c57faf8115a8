package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

// signInPage is the sign-in page.
type signInPage struct {
	Problem string // why it failed, or why it is needed again
	Return  string // the page to return to
	Typed   string // the form that was sent there, to keep it

	Entering   bool   // somebody was just signed in
	SignedOut  bool   // of a session that the identity provider began
	AtProvider string // where to sign out there too; empty if that is impossible
}

// secretFields are the fields of forms that hold a secret. They are never sent back.
var secretFields = []string{"secret", "token"}

func showSignIn(v *visit) error {
	query := v.r.URL.Query()
	why := sessionEnd(query.Get("why"))
	p := signInPage{Return: ownPath(query.Get("return")), Problem: why.problem()}
	if why == notSignedIn && query.Has("return") && v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A link from another site: the browser withheld the strict cookie. It sends the cookie
		// when our own page loads the address.
		v.w.Header().Set("Refresh", "0; url="+p.Return)
	}
	v.showSignIn(http.StatusOK, p)
	return nil
}

// sessionEnd is why there is no session, a parameter of the sign-in page.
type sessionEnd string

const (
	notSignedIn  sessionEnd = ""
	timedOut     sessionEnd = "ended"
	keyRevoked   sessionEnd = "revoked"
	keySuspended sessionEnd = "suspended"
	keyExpired   sessionEnd = "expired"
	keyUnknown   sessionEnd = "unknown"
)

// sessionEndOf returns why the API refused a session's key.
func sessionEndOf(refusal *client.Error) sessionEnd {
	switch refusal.Code {
	case client.CodeCredentialRevoked:
		return keyRevoked
	case client.CodeCredentialDisabled:
		return keySuspended
	case client.CodeCredentialExpired:
		return keyExpired
	}
	return keyUnknown
}

func (e sessionEnd) problem() string {
	const ended = "Your session has ended"
	switch e {
	case timedOut:
		return ended + ". Sign in again to continue."
	case keyRevoked:
		return ended + ": the key that you were signed in with was revoked. Sign in with another one."
	case keySuspended:
		return ended + ": the key that you were signed in with was suspended. Sign in with another one."
	case keyExpired:
		return ended + ": the key that you were signed in with has expired. Sign in with another one."
	case keyUnknown:
		return ended + ": the server no longer knows the key that you were signed in with. Sign in with another one."
	}
	return ""
}

func signInPath(e sessionEnd, back string) string {
	query := url.Values{"return": {back}}
	if e != notSignedIn {
		query.Set("why", string(e))
	}
	return Path + "/sign-in?" + query.Encode()
}

// askToSignIn leads to the sign-in page, and from there back. It never answers 401: that would have to
// challenge the browser (RFC 9110, section 11.6.1), and proxies replace it with their own pages.
func (v *visit) askToSignIn(refusal *client.Error) {
	back, why := ownPath(v.r.URL.RequestURI()), notSignedIn
	if sent, ok := v.sentSession(v.r); ok && sent.Kind != "" {
		v.endSession(v.w, v.r) // with its key
		if sent.Kind == apikey.SessionLink {
			v.endOfLink()
			return
		}
		refusal = nil // the key is of no interest to its reader
	}
	switch {
	case refusal != nil:
		v.endSession(v.w, v.r)
		why = sessionEndOf(refusal)
	case hasSession(v.r):
		why = timedOut
	}
	switch {
	case v.r.Header.Get("Hx-Request") != "":
		v.w.Header().Set("HX-Refresh", "true") // reload the whole page, not a part of it
		v.w.WriteHeader(http.StatusNoContent)
	case v.r.Method == http.MethodPost: // the typed text must not be in an address
		v.showSignIn(http.StatusOK, signInPage{
			Return: back, Typed: withoutSecrets(v.form).Encode(),
			Problem: cmp.Or(why.problem(), "You are signed out.") + " This form has changed nothing; what you typed is kept.",
		})
	default:
		_ = v.redirect(signInPath(why, back)) // never fails
	}
}

func (v *visit) showSignIn(status int, p signInPage) {
	v.me = client.Key{}
	v.show(status, "signin", "Sign in", p)
}

// signIn starts a session with a key that may read keys.
func signIn(v *visit) error {
	if v.SignIn.NoKeys {
		return errNotFound
	}
	p := signInPage{Return: ownPath(v.form.Get("return")), Typed: ownForm(v.form.Get("typed"))}
	secret := apikey.TrimSecret(v.form.Get("secret"))
	err := v.identify(secret)
	if errors.Is(err, errNotASecret) {
		err = errors.Join(v.countNotASecret(), errNotASecret)
	}
	refusal, refused := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, errNotASecret) && (!refused || refusal.Status != http.StatusTooManyRequests):
		p.Problem = notAKey(secret)
		v.showSignIn(http.StatusBadRequest, p)
		return nil
	case refused && refusal.Status == http.StatusForbidden:
		p.Problem = "This key may not read keys, so the console cannot show anything. Use one that has keys:read."
		v.showSignIn(http.StatusForbidden, p)
		return nil
	case refused && refusal.Status < http.StatusInternalServerError:
		p.Problem = sentence(refusal.Message)
		v.passRetryAfter(refusal)
		status := refusal.Status
		if status == http.StatusUnauthorized {
			status = http.StatusForbidden // see askToSignIn
		}
		v.showSignIn(status, p)
		return nil
	case err != nil: // show the page again, so that the secret can be pasted again
		t := v.errorPageOf(err, refusal)
		p.Problem = t.Title + ". " + t.Message
		v.passRetryAfter(refusal)
		v.showSignIn(t.Status, p)
		return nil
	}
	v.endSession(v.w, v.r)
	v.session = newSession(secret, v.now)
	v.setSession(v.w, v.r, v.session)
	if p.Typed != "" {
		return v.showTyped(p)
	}
	return v.redirect(p.Return)
}

// countNotASecret makes the API count an attempt with something that is not a key as a failure of its
// address. The text itself may not fit into a header.
func (v *visit) countNotASecret() error {
	api, err := v.client(v.r, "none")
	if err == nil {
		_, err = api.Get(v.ctx(), "none")
	}
	return err
}

// notAKey explains why a text is not a key.
func notAKey(text string) string {
	return "This is " + apikey.WhyMalformed(text) + ". A key looks like ak_… with 60 letters and digits after the underscore."
}

// showTyped shows the page of a form with what was typed before the session ended.
func (v *visit) showTyped(p signInPage) error {
	page, err := url.ParseRequestURI(p.Return)
	if err != nil {
		return err // cannot happen: ownPath accepted it
	}
	page.RawQuery = p.Typed
	again := v.r.Clone(context.WithValue(v.ctx(), typedAgain{}, true))
	again.Method, again.Body, again.URL = http.MethodGet, http.NoBody, page
	again.Form, again.PostForm = nil, nil
	// The browser gets the new session only with this answer.
	again.Header.Del("Cookie")
	name := cookieName(v.r)
	again.AddCookie(cookie(v.r, name, v.sealer.seal(name, v.session), "/", 0))
	v.pages.ServeHTTP(v.w, again)
	return nil
}

// signOut ends the session. If the session's own key cannot be revoked now, the session goes on.
func signOut(v *visit) error {
	sent, _ := v.sentSession(v.r)
	if err := v.endKey(v.r, sent); err != nil {
		return err
	}
	v.endSession(v.w, v.r)
	switch {
	case sent.Kind == apikey.SessionLink:
		v.endOfLink()
		return nil
	case sent.Kind == apikey.SessionSignIn && v.SignIn.Provider != nil:
		return v.showSignedOut()
	}
	return v.redirect(Path + "/sign-in")
}

// maxReturn bounds the address of the page to return to.
const maxReturn = 4 << 10

// ownPath returns text if it is a path of the console, without secrets, and else Path.
func ownPath(text string) string {
	if len(text) > maxReturn {
		return Path
	}
	u, err := url.ParseRequestURI(apikey.WithoutSecrets(text))
	if err != nil || u.IsAbs() || u.Host != "" || strings.ContainsAny(text, `\#`) || path.Clean(u.Path) != u.Path ||
		!strings.HasPrefix(u.Path, Path+"/") || strings.HasPrefix(u.Path, Path+"/sign-") {
		return Path
	}
	return u.RequestURI()
}

// ownForm returns a kept form, or nothing if it is invalid.
func ownForm(text string) string {
	if len(text) > maxStrangersForm || tooManyFields(text) {
		return ""
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return ""
	}
	return withoutSecrets(form).Encode()
}

// withoutSecrets returns a form without secrets, to show it again.
func withoutSecrets(form url.Values) url.Values {
	kept := url.Values{}
	for name, values := range form {
		for _, value := range values {
			kept.Add(name, apikey.WithoutSecrets(value))
		}
	}
	for _, name := range secretFields {
		kept.Del(name)
	}
	return kept
}
