package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"apikeyd/client"
)

// tryPage asks what verify says about a key.
type tryPage struct {
	Scopes  string
	Problem string // of the scopes or of the key
	Result  *tried
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

func (v *visit) mayNotVerify() error {
	return v.needs(apiVerify, "Try it", "Here you ask whether a key is good, as your API does.")
}

func showTry(v *visit) error {
	if !v.may(apiVerify) {
		return v.mayNotVerify()
	}
	v.show(http.StatusOK, "try", "Try it", tryPage{Scopes: withoutSecrets(v.form).Get("scopes")})
	return nil
}

// try verifies the key that was pasted.
func try(v *visit) error {
	if !v.may(apiVerify) {
		return v.mayNotVerify()
	}
	p := tryPage{Scopes: v.form.Get("scopes")}
	secret, scopes := strings.TrimSpace(v.form.Get("secret")), strings.Fields(p.Scopes)
	if kept := withoutSecrets(v.form).Get("scopes"); kept != p.Scopes {
		p.Scopes, p.Problem = kept, "The second field is for scopes, and not for a key."
	}
	if secret == "" {
		p.Problem = "Paste a key into the first field."
	}
	if p.Problem != "" {
		v.show(http.StatusBadRequest, "try", "Try it", p)
		return nil
	}
	found, err := v.api.Verify(v.ctx(), secret, scopes...)
	if err != nil {
		return v.showUntried(p, err)
	}
	p.Result = v.tried(found, scopes)
	v.show(http.StatusOK, "try", "Try it", p)
	return nil
}

// showUntried says why nothing was decided, where the decision would be.
func (v *visit) showUntried(p tryPage, err error) error {
	refusal, refused := errors.AsType[*client.Error](err)
	if refused && refusal.Status == http.StatusUnauthorized {
		return err
	}
	t := v.troubleOf(err, refusal)
	p.Problem = t.Title + ". " + t.Message
	if refused && refusal.Status == http.StatusBadRequest {
		p.Problem = sentence(refusal.Message)
		if len(refusal.Details) > 0 && strings.HasPrefix(refusal.Details[0].Field, "scopes.") {
			p.Problem = sentence("each scope " + refusal.Details[0].Message)
		}
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
		t.Linked = v.may(apiAdmin) || found.Key.Owner == v.me.Owner
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
