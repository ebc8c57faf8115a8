package console

import (
	"net/http"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// reviewPage shows what a key was used for, and proposes the narrower key.
type reviewPage struct {
	client.Review

	Name, ID string
	Command  string // that makes the proposed change; empty if there is none
	May      bool   // the reader may try to make it
}

func showReview(v *visit) error {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	review, err := v.api.Review(v.ctx(), key.ID)
	if err != nil {
		return err
	}
	p := reviewPage{Review: review, Name: key.Name, ID: key.ID, May: v.may(apikey.ScopeWrite)}
	if review.Proposal != (client.Change{}) {
		p.Command = keyfield.NarrowCommand(key.ID, review.Proposal)
	}
	v.show(http.StatusOK, "review", "What "+key.Name+" needs", p)
	return nil
}

// narrow makes the change that the page proposed, even if another would be proposed by now.
func narrow(v *visit) error {
	return v.editing(func(key client.Key) error {
		var change client.Change
		if scopes, ok := v.form["scope"]; ok {
			change.Scopes = &scopes
		}
		if networks, ok := v.form["network"]; ok {
			change.AllowedCIDRs = &networks
		}
		if _, err := v.api.Update(v.ctx(), key.ID, change); err != nil {
			return err
		}
		v.notify(notice{key.Name, "was narrowed to what it used."})
		return v.redirect(keyPath(key.ID))
	})
}
