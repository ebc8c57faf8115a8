package console

import (
	"maps"
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
	// Metadata are entries that keys have, all of them. Changing it takes a copy.
	Metadata  map[string]string
	Malformed string // an entry that is not NAME=VALUE, and is left out
	Unused    bool   // only active keys that were not used for apikey.UnusedAfter
	Oldest    bool   // the oldest first, and not the newest
	Number    int    // of the page, from 1
}

// Chips are the filters by condition.
func (keyFilter) Chips() []string {
	return []string{"", string(active), string(expiring), string(rotating), string(suspended), string(expired), string(revoked)}
}

func (v *visit) keyFilter() keyFilter {
	form := withoutSecrets(v.form)
	f := keyFilter{Search: searched(form.Get("q")), Status: form.Get("status"), Owner: form.Get("owner"), Scope: strings.TrimSpace(form.Get("scope")), Number: 1}
	f.Metadata, f.Malformed = metadataEntries(form)
	f.Unused, f.Oldest = form.Get("unused") == "1", form.Get("sort") == "oldest"
	if n, err := strconv.Atoi(form.Get("page")); err == nil {
		f.Number = min(max(n, 1), maxPage)
	}
	return f
}

// metadataEntries returns the entries of a form that are NAME=VALUE, and the last one that is not. An entry replaces an
// earlier one of the same name, because a key has each name once.
func metadataEntries(form url.Values) (entries map[string]string, malformed string) {
	entries = make(map[string]string)
	for _, entry := range form["metadata"] {
		name, value, found := strings.Cut(entry, "=")
		switch {
		case found && name != "":
			entries[name] = strings.ReplaceAll(value, "\r\n", "\n") // forms send \r\n
		case strings.TrimSpace(entry) != "":
			malformed = entry
		}
	}
	return entries, malformed
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

// pick is an active filter with the address of the list without it.
type pick struct{ Kind, Text, Without string }

// Picks are the active filters that are chosen under Filters. The search field, the status links and the order show
// their own state.
func (f keyFilter) Picks() (picks []pick) {
	if f.Owner != "" {
		picks = append(picks, pick{"owner", f.Owner, f.but(func(f *keyFilter) { f.Owner = "" })})
	}
	if f.Scope != "" {
		picks = append(picks, pick{"scope", f.Scope, f.but(func(f *keyFilter) { f.Scope = "" })})
	}
	for _, name := range slices.Sorted(maps.Keys(f.Metadata)) {
		picks = append(picks, pick{"metadata", name + "=" + f.Metadata[name], f.but(func(f *keyFilter) {
			f.Metadata = maps.Clone(f.Metadata)
			delete(f.Metadata, name)
		})})
	}
	return picks
}

// count is how many filters are active.
func (f keyFilter) count() int {
	n := len(f.Picks())
	for _, text := range []string{f.Search, f.Kind()} {
		if text != "" {
			n++
		}
	}
	return n
}

// IsAny reports whether a filter is active.
func (f keyFilter) IsAny() bool { return f.count() > 0 }

// AreSeveral reports whether several filters are active.
func (f keyFilter) AreSeveral() bool { return f.count() > 1 }

// OnlyOwner reports whether the only filter is an owner.
func (f keyFilter) OnlyOwner() bool { return f.Owner != "" && f.count() == 1 }

// but returns the address of the first page of the list with other filters.
func (f keyFilter) but(change func(*keyFilter)) string {
	change(&f)
	f.Number = 1
	return f.Address()
}

// WithStatus returns the address with another status.
func (f keyFilter) WithStatus(status string) string {
	return f.but(func(f *keyFilter) { f.Status, f.Unused = status, false })
}

// WithUnused returns the address of the unused keys.
func (f keyFilter) WithUnused() string {
	return f.but(func(f *keyFilter) { f.Status, f.Unused = "", true })
}

// Reversed returns the address of the other order.
func (f keyFilter) Reversed() string { return f.but(func(f *keyFilter) { f.Oldest = !f.Oldest }) }

// Cleared returns the address without filters.
func (f keyFilter) Cleared() string { return keyFilter{Oldest: f.Oldest}.Address() }

// Page returns the address of another page.
func (f keyFilter) Page(number int) string {
	f.Number = number
	return f.Address()
}

// OwnerPage returns the address of the owner's page.
func (f keyFilter) OwnerPage() string {
	return ownerRow{Owner: client.Owner{Name: f.Owner}}.Page("owner")
}

// UnusedFor is how long an unused key was not used.
func (keyFilter) UnusedFor() string { return exactDuration(apikey.UnusedAfter) }

// Address returns the address of the page.
func (f keyFilter) Address() string {
	query := url.Values{}
	for name, value := range map[string]string{"q": f.Search, "status": f.Status, "owner": f.Owner, "scope": f.Scope} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Metadata)) {
		query.Add("metadata", name+"="+f.Metadata[name])
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
	o := client.ListOptions{PageSize: keysPerPage, Search: f.Search, Scope: f.Scope, Metadata: f.Metadata}
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
