package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

func showEdit(v *visit) error {
	return v.editing(func(key client.Key) error {
		v.showKeyForm(http.StatusOK, v.keyForm(key))
		return nil
	})
}

// editKey makes the changes that were made in a key's form.
func editKey(v *visit) error {
	return v.editing(func(key client.Key) error {
		f := v.keyForm(key)
		change := v.changeOf(&f)
		if len(f.Faults) > 0 {
			v.addRules(&f)
			v.showKeyForm(http.StatusBadRequest, f)
			return nil
		}
		done := notice{key.Name, "is unchanged."}
		if change != (client.Change{}) {
			changed, err := v.api.IfMatch(f.ETag).Update(v.ctx(), key.ID, change)
			if err != nil {
				f.ETag = key.ETag // the reader has been told, and may send the form again
				return v.showRefused(f, err)
			}
			done = notice{changed.Name, "was changed."}
		}
		v.notify(done)
		return v.redirect(f.Back())
	})
}

// editing calls do with the key in the address, if it can be changed.
func (v *visit) editing(do func(client.Key) error) error {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	switch {
	case err != nil:
		return err
	case conditionOf(key, v.now) == revoked:
		return v.refuse(errorPage{Status: http.StatusConflict, Title: "This key was revoked",
			Message: "A revoked key cannot be changed. Create a new key instead: the name is free again."})
	case !v.may(apikey.ScopeAdmin) && slices.ContainsFunc(key.Scopes, func(scope string) bool { return !v.may(scope) }):
		return v.refuse(errorPage{Status: http.StatusForbidden, Title: "Your key may not change this one",
			Message: "It has scopes that yours lacks. Sign in with a key that has them, or ask an administrator."})
	}
	return do(key)
}

// changeOf returns the difference between the form as sent and as first shown, so that changes that
// somebody else made in the meantime stay.
func (v *visit) changeOf(f *keyForm) (change client.Change) {
	shown, err := url.ParseQuery(f.Was)
	if err != nil {
		shown = valuesOf(f.Key)
	}
	was, wanted := settingsOf(shown, &faults{}), settingsOf(v.form, &f.Faults)
	for _, text := range keyfield.Texts() {
		if typed := text.InNew(&wanted); *typed != *text.InNew(&was) {
			*text.InChange(&change) = typed
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(*wanted.Scopes)), slices.Sorted(slices.Values(*was.Scopes))) {
		change.Scopes = wanted.Scopes
	}
	if !maps.Equal(wanted.Metadata, was.Metadata) {
		change.Metadata = &wanted.Metadata
	}
	if v.may(apikey.ScopeAdmin) { // others do not have these fields
		if *wanted.RateLimit != *was.RateLimit {
			change.RateLimit = wanted.RateLimit
		}
		if *wanted.Quota != *was.Quota {
			change.Quota = wanted.Quota
		}
	}
	if !slices.Equal(*wanted.AllowedCIDRs, *was.AllowedCIDRs) {
		change.AllowedCIDRs = wanted.AllowedCIDRs
	}
	if !slices.Equal(*wanted.ObserveCIDRs, *was.ObserveCIDRs) {
		change.ObserveCIDRs = wanted.ObserveCIDRs
	}
	if *wanted.Enabled != *was.Enabled {
		change.Enabled = wanted.Enabled
	}
	end, problem := v.endOf(v.form)
	if problem != "" {
		f.Faults.add("expires", problem)
	} else if !end.IsZero() {
		change.ExpiresAt = &end
	}
	return change
}
