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

// The buttons of the page that shows what changes.
const (
	saveStep = "save"
	backStep = "back" // to the form
)

// editConfirmation shows what changes before it is saved.
type editConfirmation struct {
	client.Key
	Form    url.Values // as it was sent
	Changes []fieldChange
}

// editKey shows the changes that were made in a key's form, and makes them once they are confirmed.
func editKey(v *visit) error {
	return v.editing(func(key client.Key) error {
		f := v.keyForm(key)
		step := v.form.Get("step")
		if step == backStep {
			v.showKeyForm(http.StatusOK, f)
			return nil
		}
		change := v.changeOf(&f)
		if len(f.Faults) > 0 || step != saveStep { // the API would say the rest only after the confirmation
			v.addRules(&f)
		}
		if len(f.Faults) > 0 {
			v.showKeyForm(http.StatusBadRequest, f)
			return nil
		}
		done := notice{key.Name, "is unchanged."}
		switch {
		case change == (client.Change{}):
		case step != saveStep && f.ETag != "" && f.ETag != key.ETag: // the API would say so only after the confirmation
			f.ETag = key.ETag
			return v.showRefused(f, &client.Error{Status: http.StatusPreconditionFailed, Code: client.CodeKeyChanged})
		case step != saveStep:
			v.show(http.StatusOK, "editconfirm", "Save these changes?", editConfirmation{key, withoutSecrets(v.form), v.changesOf(key, change)})
			return nil
		default:
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

// changesOf puts a change of a key into words, as the audit log will.
func (v *visit) changesOf(key client.Key, c client.Change) (all []fieldChange) {
	for _, text := range keyfield.Texts() {
		all = append(all, fieldChanges(text.Label(), changeFrom(text.Of(key), *text.InChange(&c)), inWords)...)
	}
	return append(all, v.changes(client.AuditChanges{
		ExpiresAt: changeFrom(key.ExpiresAt, c.ExpiresAt), Scopes: changeFrom(key.Scopes, c.Scopes), Metadata: changeFrom(key.Metadata, c.Metadata),
		RateLimit: changeFrom(key.RateLimit, c.RateLimit), Quota: changeFrom(key.Quota, c.Quota), Enabled: changeFrom(key.Enabled, c.Enabled),
		AllowedCIDRs: changeFrom(key.AllowedCIDRs, c.AllowedCIDRs), ObserveCIDRs: changeFrom(key.ObserveCIDRs, c.ObserveCIDRs),
	})...)
}

// changeFrom returns the change of one field, or nil if it stays.
func changeFrom[T any](from T, to *T) *client.AuditChange[T] {
	if to == nil {
		return nil
	}
	return &client.AuditChange[T]{From: &from, To: to}
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
