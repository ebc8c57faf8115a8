package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// tryPage verifies a key.
type tryPage struct {
	Scopes  string
	Cost    string
	Address string
	Wrong   fault  // of a field
	Problem string // why there is no decision, if not because of a field
	Result  *tried
}

// Fault returns the fault of a field.
func (p tryPage) Fault(field string) fault {
	if p.Wrong.Field == field {
		return p.Wrong
	}
	return fault{Field: field}
}

// tried is a decision of verify.
type tried struct {
	Code      client.VerifyCode
	Means, Do string
	Key       *keyLink // the key with this secret
	Owner     string
	Linked    bool // the reader may see the key
	Curl      string
}

// Good reports whether the key is valid.
func (t tried) Good() bool { return t.Code == client.VerifyValid }

func (v *visit) refuseTry() error {
	return v.refuseScope(apikey.ScopeVerify, "Try it", "Here you check whether a key is valid, as your API does. Your key may not do that:")
}

func showTry(v *visit) error {
	if !v.may(apikey.ScopeVerify) {
		return v.refuseTry()
	}
	v.show(http.StatusOK, "try", "Try it", tryPage{
		Scopes: withoutSecrets(v.form).Get("scopes"), Cost: withoutSecrets(v.form).Get("cost"), Address: withoutSecrets(v.form).Get("address"),
	})
	return nil
}

// try verifies a pasted key.
func try(v *visit) error {
	if !v.may(apikey.ScopeVerify) {
		return v.refuseTry()
	}
	p := tryPage{
		Scopes: v.form.Get("scopes"), Cost: strings.TrimSpace(withoutSecrets(v.form).Get("cost")),
		Address: strings.TrimSpace(withoutSecrets(v.form).Get("address")),
	}
	call := client.Call{Secret: apikey.TrimSecret(v.form.Get("secret")), Scopes: separated(p.Scopes), ClientAddress: p.Address}
	if p.Cost != "" {
		cost, err := strconv.Atoi(p.Cost)
		if err != nil {
			p.Wrong = fault{"cost", notWholeNumber}
		}
		call.Cost = &cost
	}
	if kept := withoutSecrets(v.form).Get("scopes"); kept != p.Scopes {
		p.Scopes, p.Wrong = kept, fault{"scopes", "This field is for scopes, not for a key."}
	}
	if call.Secret == "" {
		p.Wrong = fault{"secret", "Paste a key here."}
	}
	if p.Wrong.Message != "" {
		v.show(http.StatusBadRequest, "try", "Try it", p)
		return nil
	}
	found, err := v.api.VerifyCall(v.ctx(), call)
	if err != nil {
		return v.showUntried(p, err)
	}
	p.Result = v.tried(found, call)
	if why := apikey.WhyMalformed(call.Secret); why != "" && found.Code == client.VerifyNotFound { // others were imported
		p.Result.Means = "This is " + why + "."
	}
	v.show(http.StatusOK, "try", "Try it", p)
	return nil
}

// showUntried says why there is no decision, in its place.
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
		case d.Field == "cost":
			p.Wrong = fault{"cost", sentence(d.Message)}
		case d.Field == "client_address":
			p.Wrong = fault{"address", sentence(d.Message)}
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
func (v *visit) tried(found client.Verification, call client.Call) *tried {
	t := &tried{Code: found.Code, Curl: v.curlVerify(call)}
	t.Means, t.Do = verdict(found, v.now)
	if found.Key.ID != "" {
		t.Key, t.Owner = &keyLink{found.Key.ID, found.Key.Name}, found.Key.Owner
		t.Linked = v.may(apikey.ScopeAdmin) || found.Key.Owner == v.me.Owner
	}
	return t
}

// verdict explains what a decision means and what to do.
func verdict(found client.Verification, now time.Time) (means, do string) {
	when := func(at time.Time) string { return relative(at.Sub(now)) }
	switch k := found.Key; found.Code {
	case client.VerifyValid:
		return "The key is valid and has the requested scopes.",
			"Let the call pass. This counted as a use of the key, and against its quota and rate limit if it has them." + left(found.Quota)
	case client.VerifyNotFound:
		return "No key has this secret: it is mistyped, was replaced by a rotation, or was never issued here.",
			"Refuse the call. Its owner needs the newer secret or a new key."
	case client.VerifyExpired:
		return "The key expired " + when(k.ExpiresAt) + ".",
			"Refuse the call. Edit the key to extend it, or create a new one."
	case client.VerifyRevoked:
		return "The key was revoked " + when(k.RevokedAt) + ".", "Refuse the call. A revocation is final: create a new key."
	case client.VerifyDisabled:
		if k.Enabled {
			return "The key's owner is suspended.", "Refuse the call. Resume the owner to let all its keys work again."
		}
		return "The key is suspended.", "Refuse the call. Resume the key to let it work again."
	case client.VerifyAddressNotAllowed:
		networks := "its owner's allowed networks do not include it"
		if len(k.AllowedCIDRs) > 0 {
			networks = "its allowed networks are " + strings.Join(k.AllowedCIDRs, ", ") + ", as far as its owner's include them"
		}
		return "The key may not be used from that address: " + networks + ".",
			"Refuse the call. If its owner should be there, allow the network."
	case client.VerifyInsufficientScope:
		return "The key is valid but lacks one of the scopes.",
			"Refuse the call. If its owner should have the scope, edit the key to add it."
	case client.VerifyQuotaExceeded:
		return "The key is valid but too little of its quota is left for this call." + left(found.Quota),
			"Refuse the call. Its quota is whole again " + when(found.Quota.ResetsAt) + "; an administrator can raise it before."
	case client.VerifyRateLimited:
		return "The key is valid but was used too often.",
			fmt.Sprintf("Refuse the call for now: the next call passes in %s.", plural(max(int(found.RetryAfter/time.Second), 1), "second"))
	}
	return "The key is not valid.", "Refuse the call."
}

// left says what is left of a quota, in a sentence after another one.
func left(q client.QuotaState) string {
	if q == (client.QuotaState{}) {
		return ""
	}
	return " Left of its quota: " + plural(q.Remaining, "unit") + "."
}
