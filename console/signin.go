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

// signInPage is what the sign-in page shows.
type signInPage struct {
	Problem string // why it failed, or why it is needed again
	Return  string // the page to go on with
	Typed   string // the form that was being sent there, which must not be lost
}

// secretFields are those of our forms that hold somebody's secret: they are never sent
// back.
var secretFields = []string{"secret"}

func showSignIn(v *visit) error {
	query := v.r.URL.Query()
	why := sessionEnd(query.Get("why"))
	p := signInPage{Return: ownPath(query.Get("return")), Problem: why.problem()}
	if why == notSignedIn && query.Has("return") && v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A link from another site: the browser kept a strict cookie back. It sends it when our
		// own page asks.
		v.w.Header().Set("Refresh", "0; url="+p.Return)
	}
	v.showSignIn(http.StatusOK, p)
	return nil
}

// sessionEnd is why there is no session, as the address of the sign-in page has it.
type sessionEnd string

const (
	notSignedIn sessionEnd = ""
	timedOut    sessionEnd = "ended"
	keyRevoked  sessionEnd = "revoked"
	keyExpired  sessionEnd = "expired"
	keyUnknown  sessionEnd = "unknown"
)

// sessionEndOf is why the API refused the key of a session.
func sessionEndOf(refusal *client.Error) sessionEnd {
	switch refusal.Code {
	case client.CodeCredentialRevoked:
		return keyRevoked
	case client.CodeCredentialExpired:
		return keyExpired
	}
	return keyUnknown
}

func (e sessionEnd) problem() string {
	const ended = "Your session has ended"
	switch e {
	case timedOut:
		return ended + ". Sign in again to go on."
	case keyRevoked:
		return ended + ": the key that you were signed in with was revoked. Sign in with another one."
	case keyExpired:
		return ended + ": the key that you were signed in with has expired. Sign in with another one."
	case keyUnknown:
		return ended + ": the server does not know the key that you were signed in with any more. Sign in with another one."
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

// askToSignIn leads to the sign-in page, and from there back. No answer is a 401: that would have
// to challenge the browser (RFC 9110, section 11.6.1), and proxies put pages of their own in its place.
func (v *visit) askToSignIn(refusal *client.Error) {
	back, why := ownPath(v.r.URL.RequestURI()), notSignedIn
	switch {
	case refusal != nil:
		v.endSession(v.w, v.r)
		why = sessionEndOf(refusal)
	case hasSession(v.r):
		why = timedOut
	}
	switch {
	case v.r.Header.Get("Hx-Request") != "":
		v.w.Header().Set("HX-Refresh", "true") // the whole page asks, not a part of it
		v.w.WriteHeader(http.StatusNoContent)
	case v.r.Method == http.MethodPost: // what was typed cannot be in an address
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

// signIn begins a session with a key that may read keys.
func signIn(v *visit) error {
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
		p.Problem = "This key may not read keys, so the console can show it nothing. Use one that has keys:read."
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
	case err != nil: // the same page, where the secret can be pasted again
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

// countNotASecret has the API count what was typed in place of a key with the bad keys of its
// address. The text itself may be none that a header can hold.
func (v *visit) countNotASecret() error {
	api, err := v.client(v.r, "none")
	if err == nil {
		_, err = api.Get(v.ctx(), "none")
	}
	return err
}

// notAKey says what was typed in place of a key.
func notAKey(text string) string {
	return "This is " + apikey.WhyMalformed(text) + ". A key looks like ak_… with 60 letters and digits behind the underscore."
}

// showTyped shows the page of a form as it was typed before the session ended.
func (v *visit) showTyped(p signInPage) error {
	page, err := url.ParseRequestURI(p.Return)
	if err != nil {
		return err // ownPath took it
	}
	page.RawQuery = p.Typed
	again := v.r.Clone(context.WithValue(v.ctx(), typedAgain{}, true))
	again.Method, again.Body, again.URL = http.MethodGet, http.NoBody, page
	again.Form, again.PostForm = nil, nil
	// The browser learns of the new session with this very answer.
	again.Header.Del("Cookie")
	name := cookieName(v.r)
	again.AddCookie(cookie(v.r, name, v.sealer.seal(name, v.session), "/", 0))
	v.pages.ServeHTTP(v.w, again)
	return nil
}

// signOut ends the session.
func signOut(v *visit) error {
	v.endSession(v.w, v.r)
	return v.redirect(Path + "/sign-in")
}

// maxReturn bounds the address of a page to go back to.
const maxReturn = 4 << 10

// ownPath returns a path of the console, and of nobody else, without a secret in it.
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

// ownForm returns a form as our pages keep it, or nothing if it is none.
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

// withoutSecrets is a form as it may be shown again.
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
