package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// keyFilter selects the keys in the table. All of it is in the address of the page.
type keyFilter struct {
	Search string
	Status string // a condition, or empty for all
	Owner  string // empty for all that the reader may see
	Scope  string // that keys have; empty for all
	Unused bool   // only active keys that were not used for apikey.UnusedAfter
	Oldest bool   // the oldest first, and not the newest
	Number int    // of the page, from 1
}

// Chips are the filters by condition.
func (keyFilter) Chips() []string {
	return []string{"", string(active), string(expiring), string(rotating), string(suspended), string(expired), string(revoked)}
}

func (v *visit) keyFilter() keyFilter {
	form := withoutSecrets(v.form)
	f := keyFilter{Search: searched(form.Get("q")), Status: form.Get("status"), Owner: form.Get("owner"), Scope: strings.TrimSpace(form.Get("scope")), Number: 1}
	f.Unused, f.Oldest = form.Get("unused") == "1", form.Get("sort") == "oldest"
	if n, err := strconv.Atoi(form.Get("page")); err == nil {
		f.Number = min(max(n, 1), maxPage)
	}
	return f
}

// searched removes the "…" that is copied with a prefix from the table.
func searched(text string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "…"))
}

// NoSuchStatus reports whether the filter names an unknown condition.
func (f keyFilter) NoSuchStatus() bool { return !slices.Contains(f.Chips(), f.Status) }

// Kind is a word for the keys that the filters by condition select, or empty for all.
func (f keyFilter) Kind() string {
	if f.Unused {
		return "unused"
	}
	return f.Status
}

// IsAny reports whether a filter is set.
func (f keyFilter) IsAny() bool {
	return f.Search != "" || f.Status != "" || f.Owner != "" || f.Scope != "" || f.Unused
}

// WithStatus returns the address of the first page with another status.
func (f keyFilter) WithStatus(status string) string {
	f.Status, f.Unused, f.Number = status, false, 1
	return f.Address()
}

// AllOwners returns the address of the first page of all owners' keys.
func (f keyFilter) AllOwners() string {
	f.Owner, f.Number = "", 1
	return f.Address()
}

// OwnerPage returns the address of the owner's page.
func (f keyFilter) OwnerPage() string {
	return ownerRow{Owner: client.Owner{Name: f.Owner}}.Page("owner")
}

// Reversed returns the address of the first page in the other order.
func (f keyFilter) Reversed() string {
	f.Oldest, f.Number = !f.Oldest, 1
	return f.Address()
}

// UnusedFor is how long an unused key was not used.
func (keyFilter) UnusedFor() string { return exactDuration(apikey.UnusedAfter) }

// WithUnused returns the address of the first page of unused keys.
func (f keyFilter) WithUnused() string {
	f.Status, f.Unused, f.Number = "", true, 1
	return f.Address()
}

// Page returns the address of another page.
func (f keyFilter) Page(number int) string {
	f.Number = number
	return f.Address()
}

// OnlyOwner reports whether the only filter is an owner.
func (f keyFilter) OnlyOwner() bool {
	return f.Owner != "" && f.Search == "" && f.Status == "" && f.Scope == "" && !f.Unused
}

// Address returns the address of the page.
func (f keyFilter) Address() string {
	query := url.Values{}
	for name, value := range map[string]string{"q": f.Search, "status": f.Status, "owner": f.Owner, "scope": f.Scope} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.Unused {
		query.Set("unused", "1")
	}
	if f.Oldest {
		query.Set("sort", "oldest")
	}
	if f.Number > 1 {
		query.Set("page", strconv.Itoa(f.Number))
	}
	if len(query) == 0 {
		return Path + "/keys"
	}
	return Path + "/keys?" + query.Encode()
}

// options returns the query for the API.
func (f keyFilter) options(now time.Time) client.ListOptions {
	o := client.ListOptions{PageSize: keysPerPage, Search: f.Search, Scope: f.Scope}
	switch condition(f.Status) {
	case active:
		o.Status = client.StatusActive
	case expiring:
		o.Status, o.ExpiresBefore = client.StatusActive, now.Add(apikey.ExpiringSoon)
	case rotating:
		o.Rotating = true
	case expired:
		o.Status = client.StatusExpired
	case suspended:
		o.Enabled = new(false)
	case revoked:
		o.Status, o.Enabled = client.StatusRevoked, new(true)
	}
	if f.Unused {
		o.Status, o.LastUsedBefore = client.StatusActive, now.Add(-apikey.UnusedAfter)
	}
	return o
}
