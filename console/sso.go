package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/basepath"
	"apikeyd/internal/sso"
)

// SignIn says how people sign in.
type SignIn struct {
	NoKeys   bool          // keys are not accepted
	Provider *sso.Provider // nil without single sign-on
	// Callback is the address to which the provider sends people back, as it knows it.
	Callback string
}

const (
	ssoPath      = Path + "/sso"
	callbackPath = ssoPath + "/callback"
)

// CallbackPath is the path of the address to which an identity provider sends people back.
const CallbackPath = callbackPath

// ssoCookie carries, encrypted, what must be remembered while somebody signs in at the provider. It is lax, because
// that somebody comes back from another site; it is removed when it is used.
const ssoCookie = "apikeyd_sso"

// ssoFlow is the content of the cookie.
type ssoFlow struct {
	sso.Flow
	Return string `json:"return"`
}

func (v *visit) setFlow(value string, maxAge int) {
	c := cookie(v.r, ssoCookie, value, ssoPath, maxAge) //nolint:gosec // G124: it is Secure if there is TLS
	c.SameSite = http.SameSiteLaxMode
	http.SetCookie(v.w, c)
}

// beginSSO sends the browser to the provider.
func beginSSO(v *visit) error {
	if v.SignIn.Provider == nil {
		return errNotFound
	}
	back := ownPath(v.form.Get("return"))
	address, flow, err := v.SignIn.Provider.Begin(v.ctx(), v.SignIn.Callback)
	if err != nil {
		return v.failSSO(back, err)
	}
	v.setFlow(v.sealer.seal(ssoCookie, ssoFlow{flow, back}), int(flow.Until.Sub(v.now)/time.Second))
	http.Redirect(v.w, v.r, address, http.StatusSeeOther) //nolint:gosec,nolintlint // G710, not always: the operator chose the provider
	return nil
}

// finishSSO starts the session of somebody whom the provider sent back.
func finishSSO(v *visit) error {
	if v.SignIn.Provider == nil {
		return errNotFound
	}
	var flow ssoFlow
	if value, found := cookieValue(v.r, ssoCookie); found {
		v.setFlow("", -1)
		v.sealer.open(ssoCookie, value, &flow)
	}
	if v.used.has(flow.State) { // a copy of the cookie, whose code the provider should refuse too
		flow = ssoFlow{Return: flow.Return}
	}
	v.used.add(flow.State, flow.Until, v.now)
	settings, err := v.askProvider(flow.Flow)
	if err != nil {
		return v.failSSO(flow.Return, err)
	}
	secret, err := v.Sessions.SignIn(v.r, settings)
	if err != nil {
		return err
	}
	v.endSession(v.w, v.r)
	v.session = newSession(secret.Reveal(), v.now)
	v.session.Kind = apikey.SessionSignIn
	v.setSession(v.w, v.r, v.session)
	// The browser comes from another site: it sends the strict cookie only when our own page loads the next one.
	v.w.Header().Set("Refresh", "0; url="+basepath.Of(v.ctx())+ownPath(flow.Return))
	v.showSignIn(http.StatusOK, signInPage{Return: ownPath(flow.Return), Entering: true})
	return nil
}

// maxAsking is how many people may come back from the provider at a time: strangers can make this server call it.
const maxAsking = 16

func (v *visit) askProvider(flow sso.Flow) (apikey.Settings, error) {
	select {
	case v.asking <- struct{}{}:
		defer func() { <-v.asking }()
		return v.SignIn.Provider.Finish(v.ctx(), flow, v.form)
	case <-v.ctx().Done():
		return apikey.Settings{}, v.ctx().Err()
	}
}

// failSSO shows the sign-in page with why nobody was signed in by the provider.
func (v *visit) failSSO(back string, err error) error {
	p := signInPage{Return: ownPath(back)}
	status := http.StatusForbidden
	refused, isRefused := errors.AsType[*sso.RefusedError](err)
	_, isAway := errors.AsType[*sso.AwayError](err)
	switch {
	case isRefused:
		p.Problem = refused.Reason
		counted, _ := errors.AsType[*client.Error](v.countNotASecret()) // as a failed sign-in with a key is
		if counted != nil && counted.Status == http.StatusTooManyRequests {
			status, p.Problem = counted.Status, sentence(counted.Message)
			v.passRetryAfter(counted)
		}
	case isAway:
		status = http.StatusServiceUnavailable
		p.Problem = "The identity provider " + v.SignIn.Provider.Name() + " does not answer as it must. Try again in a moment."
		if !v.SignIn.NoKeys {
			p.Problem += " You can sign in with a key meanwhile."
		}
	default:
		return err
	}
	v.Log.Warn("nobody was signed in by the identity provider", "error", apikey.Redact(err.Error()))
	v.showSignIn(status, p)
	return nil
}

// Keys reports whether people may sign in with a key.
func (p view) Keys() bool { return !p.visit.SignIn.NoKeys }

// Provider is what people know the identity provider by; empty without one.
func (p view) Provider() string {
	if p.visit.SignIn.Provider == nil {
		return ""
	}
	return p.visit.SignIn.Provider.Name()
}

// SSO is the address that leads to the provider, and then to a page of the console.
func (p signInPage) SSO() string { return ssoPath + "?" + url.Values{"return": {p.Return}}.Encode() }

// showSignedOut shows the sign-in page after a session that the identity provider began: there, the person is still
// signed in.
func (v *visit) showSignedOut() error {
	v.me = client.Key{}
	v.showSignIn(http.StatusOK, signInPage{Return: Path, SignedOut: true, AtProvider: v.SignIn.Provider.SignOutURL()})
	return nil
}
