package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"apikeyd/client"
)

// ownerForm is the page on which an owner is edited.
type ownerForm struct {
	formState
	Owner ownerRow
}

// Subject is what the limits in the form apply to.
func (ownerForm) Subject() string { return "all keys of the owner together" }

// ownerForm returns the form of an owner, filled with what was typed, if anything.
func (v *visit) ownerForm(o ownerRow) ownerForm {
	before := ownerValuesOf(o.Owner)
	f := ownerForm{formState{Values: before, Was: before.Encode()}, o}
	if v.form.Has("was") {
		f.Values = withoutSecrets(v.form)
		f.Was = f.Values.Get("was")
	}
	return f
}

func ownerValuesOf(o client.Owner) url.Values {
	form := url.Values{}
	if o.MaxKeys > 0 {
		form.Set("max_keys", strconv.Itoa(o.MaxKeys))
	}
	showRateLimit(form, o.RateLimit)
	showQuota(form, o.Quota)
	form.Set("allowed_cidrs", strings.Join(o.AllowedCIDRs, " "))
	return form
}

// ownerSettingsOf reads all settings in an owner's form, and adds faults for what cannot be read.
func ownerSettingsOf(form url.Values, f *faults) client.OwnerChange {
	return client.OwnerChange{
		MaxKeys: new(maxKeysOf(form, f)), RateLimit: new(rateLimitOf(form, f)), Quota: new(quotaOf(form, f)),
		AllowedCIDRs: new(separated(form.Get("allowed_cidrs"))),
	}
}

func maxKeysOf(form url.Values, f *faults) int {
	text := strings.TrimSpace(form.Get("max_keys"))
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		f.add("max_keys", notWholeNumber)
	} else if n < 1 {
		f.add("max_keys", "Must be at least 1. Suspend the owner to refuse all its keys, or leave it empty for the server's default.")
	}
	return n
}

// ownerChangeOf returns the difference between the form as sent and as first shown.
func (v *visit) ownerChangeOf(f *ownerForm) (change client.OwnerChange) {
	shown, err := url.ParseQuery(f.Was)
	if err != nil {
		shown = ownerValuesOf(f.Owner.Owner)
	}
	was, wanted := ownerSettingsOf(shown, &faults{}), ownerSettingsOf(v.form, &f.Faults)
	if *wanted.MaxKeys != *was.MaxKeys {
		change.MaxKeys = wanted.MaxKeys
	}
	if *wanted.RateLimit != *was.RateLimit {
		change.RateLimit = wanted.RateLimit
	}
	if *wanted.Quota != *was.Quota {
		change.Quota = wanted.Quota
	}
	if !slices.Equal(*wanted.AllowedCIDRs, *was.AllowedCIDRs) {
		change.AllowedCIDRs = wanted.AllowedCIDRs
	}
	return change
}

func (f ownerForm) show(v *visit, status int) error {
	v.show(status, "ownerform", "Edit "+f.Owner.Name, f)
	return nil
}

func showEditOwner(v *visit) error {
	o, err := v.owner()
	if err != nil {
		return err
	}
	return v.ownerForm(o).show(v, http.StatusOK)
}

// editOwner makes the changes that were made in an owner's form.
func editOwner(v *visit) error {
	o, err := v.owner()
	if err != nil {
		return err
	}
	f := v.ownerForm(o)
	change := v.ownerChangeOf(&f)
	if len(f.Faults) > 0 {
		return f.show(v, http.StatusBadRequest)
	}
	done := notice{o.Name, "is unchanged."}
	if change != (client.OwnerChange{}) {
		if _, err := v.api.UpdateOwner(v.ctx(), o.Name, change); err != nil {
			status := v.explain(&f.formState, err)
			if status == 0 {
				return err
			}
			return f.show(v, status)
		}
		done.Text = "was changed."
	}
	v.notify(done)
	return v.redirect(o.Page("owner"))
}
