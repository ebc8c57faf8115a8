package console

import (
	"errors"
	"net/http"
	"net/url"

	"apikeyd/apikey"
	"apikeyd/client"
)

// ownersPerPage is how many owners a page shows. The service reads all of their keys to count them.
const ownersPerPage = 25

// ownerRow is an owner as pages show it.
type ownerRow struct {
	client.Owner
	Own bool // whether the reader's key belongs to it
}

func (v *visit) ownerRow(o client.Owner) ownerRow { return ownerRow{o, o.Name == v.me.Owner} }

// Limit describes the rate limit.
func (o ownerRow) Limit() string { return limitText(o.RateLimit) }

// Quota describes the quota.
func (o ownerRow) Quota() string { return quotaText(o.Owner.Quota) }

// Living is how many keys are not revoked for good.
func (o ownerRow) Living() int { return o.Keys.Active + o.Keys.Expired + o.Keys.Suspended }

// Page returns the address of a page about the owner.
func (o ownerRow) Page(name string) string {
	return Path + "/owners/" + name + "?" + url.Values{"owner": {o.Name}}.Encode()
}

// AllKeys returns the address of the owner's keys.
func (o ownerRow) AllKeys() string { return keyFilter{Owner: o.Name}.Address() }

// Changes returns the address of the events that changed the owner.
func (o ownerRow) Changes() string {
	return auditFilter{}.with("owner", o.Name).with("action", string(client.AuditUpdateOwner)).address("/audit")
}

// ownersPage is the table of owners.
type ownersPage struct {
	ownerFilter
	Rows   []ownerRow
	Next   string // the address of the next page; empty on the last one
	Secret bool   // the search field held a secret, which is not searched for
}

// ownerFilter selects the owners in the table. All of it is in the address of the page.
type ownerFilter struct {
	Search string
	State  string // enabled, suspended, or empty for all
	After  string // the cursor of the page before
}

// Chips are the filters by state.
func (ownerFilter) Chips() []string { return []string{"", "enabled", string(suspended)} }

// IsAny reports whether a filter is set.
func (f ownerFilter) IsAny() bool { return f.Search != "" || f.State != "" }

// WithState returns the address of the first page with another state.
func (f ownerFilter) WithState(state string) string {
	f.State, f.After = state, ""
	return f.Address()
}

// First returns the address of the first page.
func (f ownerFilter) First() string { return f.WithState(f.State) }

// Address returns the address of the page.
func (f ownerFilter) Address() string {
	query := url.Values{}
	for name, value := range map[string]string{"q": f.Search, "state": f.State, "after": f.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return Path + "/owners"
	}
	return Path + "/owners?" + query.Encode()
}

func showOwners(v *visit) error {
	form := withoutSecrets(v.form)
	p := ownersPage{
		ownerFilter: ownerFilter{Search: searched(form.Get("q")), State: form.Get("state"), After: form.Get("after")},
		Secret:      apikey.WithoutSecrets(v.form.Get("q")) != v.form.Get("q"),
	}
	options := client.OwnerOptions{PageSize: ownersPerPage, Search: p.Search}
	if p.State != "" {
		options.Enabled = new(p.State == "enabled")
	}
	page, err := v.api.OwnersAfter(v.ctx(), p.After, options)
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusBadRequest {
		err = nil // no owner can be found by such a text, or the address was changed by hand
	}
	if err != nil {
		return err
	}
	for _, o := range page.Owners {
		p.Rows = append(p.Rows, v.ownerRow(o))
	}
	if page.NextCursor != "" {
		next := p.ownerFilter
		next.After = page.NextCursor
		p.Next = next.Address()
	}
	if v.r.Header.Get("Hx-Request") != "" {
		v.w.Header().Set("HX-Push-Url", p.Address()) // without empty parameters
	}
	v.show(http.StatusOK, "owners", "Owners", p)
	return nil
}

// owner returns the owner in the address or the form.
func (v *visit) owner() (ownerRow, error) {
	o, err := v.api.Owner(v.ctx(), withoutSecrets(v.form).Get("owner"))
	return v.ownerRow(o), err
}

func showOwner(v *visit) error {
	o, err := v.owner()
	if err != nil {
		return err
	}
	v.show(http.StatusOK, "owner", o.Name, o)
	return nil
}

func suspendOwner(v *visit) error {
	return v.enableOwner(false, "was suspended: all its keys are refused until somebody resumes it.")
}

func resumeOwner(v *visit) error {
	return v.enableOwner(true, "is no longer suspended.")
}

// enableOwner ends the suspension of the owner in the form, or suspends it.
func (v *visit) enableOwner(enabled bool, done string) error {
	o, err := v.owner()
	if err != nil {
		return err
	}
	if _, err := v.api.UpdateOwner(v.ctx(), o.Name, client.OwnerChange{Enabled: &enabled}); err != nil {
		return err
	}
	v.notify(notice{o.Name, done})
	return v.redirect(o.Page("owner"))
}
