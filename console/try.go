package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// tryPage asks what verify says about a key.
type tryPage struct {
	Scopes  string
	Wrong   fault  // with a field
	Problem string // why nothing was decided, if that is about no field
	Result  *tried
}

// Fault is what is wrong with a field.
func (p tryPage) Fault(field string) fault {
	if p.Wrong.Field == field {
		return p.Wrong
	}
	return fault{Field: field}
}

// tried is what verify said.
type tried struct {
	Code      client.VerifyCode
	Means, Do string
	Key       *keyLink // whose secret it is
	Owner     string
	Linked    bool // the reader may look at it
	Curl      string
}

// Good reports whether the key passes.
func (t tried) Good() bool { return t.Code == client.VerifyValid }

func (v *visit) refuseTry() error {
	return v.refuseScope(apikey.ScopeVerify, "Try it", "Here you ask whether a key is good, as your API does.")
}

func showTry(v *visit) error {
	if !v.may(apikey.ScopeVerify) {
		return v.refuseTry()
	}
	v.show(http.StatusOK, "try", "Try it", tryPage{Scopes: withoutSecrets(v.form).Get("scopes")})
	return nil
}

// try verifies the key that was pasted.
func try(v *visit) error {
	if !v.may(apikey.ScopeVerify) {
		return v.refuseTry()
	}
	p := tryPage{Scopes: v.form.Get("scopes")}
	secret, scopes := apikey.TrimSecret(v.form.Get("secret")), scopeList(p.Scopes)
	if kept := withoutSecrets(v.form).Get("scopes"); kept != p.Scopes {
		p.Scopes, p.Wrong = kept, fault{"scopes", "This field is for scopes, and not for a key."}
	}
	if secret == "" {
		p.Wrong = fault{"secret", "Paste a key here."}
	}
	if p.Wrong.Message != "" {
		v.show(http.StatusBadRequest, "try", "Try it", p)
		return nil
	}
	found, err := v.api.Verify(v.ctx(), secret, scopes...)
	if err != nil {
		return v.showUntried(p, err)
	}
	p.Result = v.tried(found, scopes)
	if why := apikey.WhyMalformed(secret); why != "" {
		p.Result.Means = "This is " + why + "."
	}
	v.show(http.StatusOK, "try", "Try it", p)
	return nil
}

// showUntried says why nothing was decided, where the decision would be.
func (v *visit) showUntried(p tryPage, err error) error {
	refusal, refused := errors.AsType[*client.Error](err)
	if refused && refusal.Status == http.StatusUnauthorized {
		return err
	}
	t := v.errorPageOf(err, refusal)
	if refused && len(refusal.Details) > 0 {
		switch d := refusal.Details[0]; {
		case strings.HasPrefix(d.Field, "scopes"):
			p.Wrong = fault{"scopes", faultMessage(d)}
		case d.Field == "key":
			p.Wrong = fault{"secret", sentence(d.Message)}
		}
	}
	if p.Wrong.Message == "" {
		p.Problem = t.Title + ". " + t.Message
	}
	v.show(t.Status, "try", "Try it", p)
	return nil
}

// tried puts a decision into words.
func (v *visit) tried(found client.Verification, scopes []string) *tried {
	t := &tried{Code: found.Code, Curl: v.curlVerify(scopes)}
	t.Means, t.Do = verdict(found, v.now)
	if found.Key.ID != "" {
		t.Key, t.Owner = &keyLink{found.Key.ID, found.Key.Name}, found.Key.Owner
		t.Linked = v.may(apikey.ScopeAdmin) || found.Key.Owner == v.me.Owner
	}
	return t
}

// verdict says what a decision means and what to do.
func verdict(found client.Verification, now time.Time) (means, do string) {
	when := func(at time.Time) string { return relative(at.Sub(now)) }
	switch k := found.Key; found.Code {
	case client.VerifyValid:
		return "The key is good, and holds the scopes that were asked for.",
			"Let the call pass. This counted as a use of the key, and against its rate limit if it has one."
	case client.VerifyNotFound:
		return "No key has this secret now: it is mistyped, was replaced by a rotation, or was never made here.",
			"Refuse the call. Its owner looks for a newer secret, or makes a new key."
	case client.VerifyExpired:
		return "The key expired " + when(k.ExpiresAt) + ".",
			"Refuse the call. Edit the key to give it a later end, or make a new one."
	case client.VerifyRevoked:
		return "The key was revoked " + when(k.RevokedAt) + ".", "Refuse the call. A revoked key stays so: make a new one."
	case client.VerifyInsufficientScope:
		return "The key is good, but lacks one of the scopes that were asked for.",
			"Refuse the call. Edit the key to give it the scope, if its owner should have it."
	case client.VerifyRateLimited:
		return "The key is good, but was used too often.",
			fmt.Sprintf("Refuse the call for now: one passes again in %s.", plural(max(int(found.RetryAfter/time.Second), 1), "second"))
	}
	return "The key is not good.", "Refuse the call."
}
