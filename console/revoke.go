package console

import (
	"cmp"
	"net/http"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

// recentUse is how recent the last use of a key must be for its revocation to need a confirmation.
const recentUse = day

// revokePage asks whether to revoke a key.
type revokePage struct {
	keyRow
	Typed    string // its name, to confirm
	Reason   client.RevocationReason
	Problem  string
	Mistyped string // what is wrong with what was typed
}

func (v *visit) revokePage() (revokePage, error) {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	reason := client.RevocationReason(cmp.Or(v.form.Get("reason"), string(client.ReasonUnspecified)))
	return revokePage{keyRow: v.row(key), Typed: v.confirmed("name"), Reason: reason}, err
}

// Reasons are the reasons to choose from.
func (revokePage) Reasons() (all []client.RevocationReason) {
	for _, reason := range apikey.Reasons() {
		all = append(all, client.RevocationReason(reason))
	}
	return all
}

// reasonText returns a reason in words.
func reasonText(reason client.RevocationReason) string {
	return strings.ReplaceAll(string(reason), "_", " ")
}

func (p revokePage) show(v *visit, status int) error {
	v.show(status, "revoke", "Revoke "+p.Name, p)
	return nil
}

func showRevoke(v *visit) error {
	p, err := v.revokePage()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

func revoke(v *visit) error {
	p, err := v.revokePage()
	switch {
	case err != nil:
		return err
	case p.Condition == revoked:
		v.notify(notice{p.Name, "was already revoked; nothing was changed."})
		return v.redirect(keyPath(p.ID))
	case p.UsedRecently() && p.Typed != p.Name:
		p.Problem = "Nothing was revoked."
		p.Mistyped = "This is not the name. Type it exactly as shown above."
		if p.Typed == "" {
			p.Mistyped = "Type the name to confirm."
		}
		return p.show(v, http.StatusBadRequest)
	}
	_, err = v.api.RevokeFor(v.ctx(), p.ID, p.Reason)
	if refusal, ok := refused(err); ok {
		p.Problem = "Nothing was revoked. " + sentence(refusal.Message)
		return p.show(v, refusal.Status)
	}
	if err != nil {
		return err
	}
	if p.Own {
		return v.endOwnSession()
	}
	v.notify(wasRevoked(p.Key))
	return v.redirect(keyPath(p.ID))
}

func wasRevoked(k client.Key) notice {
	return notice{k.Name, "was revoked: its secret is refused from now on."}
}

// endOwnSession ends the session of a reader who revoked the key that they are signed in with.
func (v *visit) endOwnSession() error {
	v.endSession(v.w, v.r)
	return v.redirect(signInPath(keyRevoked, Path))
}
