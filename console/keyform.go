package console

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

const (
	maxMetadataRows = 20
	spareRows       = 2 // empty rows to fill in
)

// formState is what a form holds, and what is wrong with it.
type formState struct {
	Values  url.Values // the values of the fields
	Was     string     // their values when the page was first shown, to tell what was changed
	Faults  faults
	Problem *errorPage // why it failed, if not because of a field
}

// Value returns the value of a field.
func (f formState) Value(field string) string { return f.Values.Get(field) }

// Ticked reports whether a choice is selected.
func (f formState) Ticked(field, choice string) bool { return slices.Contains(f.Values[field], choice) }

// Fault returns the fault of a field.
func (f formState) Fault(field string) fault { return fault{Field: field, Message: f.Faults.Of(field)} }

// keyForm is the page on which a key is created or edited.
type keyForm struct {
	formState
	Key  client.Key // the key to edit; zero for a new one
	ETag string     // of the key as the reader has seen it; empty for a new one

	Ends      []preset
	Longest   string        // a key's maximum lifetime; empty if there is none
	OwnScopes []scopeChoice // of apikeyd itself
	APIScopes []scopeChoice // of the reader's key; for an admin, of this and other keys
	Owners    []string      // suggestions for an admin

	now time.Time
}

// scopeChoice is a scope with a checkbox.
type scopeChoice struct {
	Name, Help string
	Ticked     bool
}

// ownScopes are apikeyd's own scopes.
var ownScopes = []scopeChoice{
	{Name: apikey.ScopeRead, Help: "See the keys of its owner."},
	{Name: apikey.ScopeWrite, Help: "Create, change, rotate and revoke them."},
	{Name: apikey.ScopeVerify, Help: "Verify keys of any owner. For the servers of your API."},
	{Name: apikey.ScopeAdmin, Help: "All of that for every owner, and the audit log. For administrators."},
}

// keyForm returns the form of a key, filled with what was typed, if anything.
func (v *visit) keyForm(key client.Key) keyForm {
	f := keyForm{Key: key, ETag: key.ETag, Ends: v.presets(), now: v.now}
	before := valuesOf(key)
	f.Values, f.Was = before, before.Encode()
	if f.IsNew() {
		f.Values.Set("owner", v.me.Owner)
		f.Values.Set("expires", v.defaultEnd())
		if !v.may(apikey.ScopeAdmin) { // it can only allow networks within its own
			f.Values.Set("allowed_cidrs", strings.Join(v.me.AllowedCIDRs, " "))
		}
	}
	if len(v.form) > 0 {
		f.Values = withoutSecrets(v.form)
		if was := f.Values.Get("was"); was != "" {
			f.Was, f.ETag = was, f.Values.Get("etag")
		}
	}
	if !f.Values.Has("expires") {
		f.Values.Set("expires", before.Get("expires"))
	}
	if v.MaxKeyLifetime > 0 {
		f.Longest = exactDuration(v.MaxKeyLifetime)
	}
	v.offerScopes(&f)
	return f
}

// isOwnScope reports whether a scope is one of apikeyd's own.
func isOwnScope(name string) bool {
	return slices.ContainsFunc(ownScopes, func(c scopeChoice) bool { return c.Name == name })
}

// offerScopes adds the scopes that the reader's key may grant. An admin may grant any, so the form suggests those of
// other keys, and takes more as text.
func (v *visit) offerScopes(f *keyForm) {
	for _, choice := range ownScopes {
		if choice.Ticked = f.Ticked("scope", choice.Name); choice.Ticked || v.may(choice.Name) && !v.byLink() {
			f.OwnScopes = append(f.OwnScopes, choice)
		}
	}
	ticked, offered := f.Values["scope"], v.me.Scopes
	if v.may(apikey.ScopeAdmin) {
		if len(v.form) == 0 { // the key's own have boxes too
			ticked = slices.Concat(ticked, separated(f.Values.Get("scopes")))
			f.Values.Del("scopes")
		}
		offered, f.Owners = v.inUse()
		offered = slices.Concat(f.Key.Scopes, offered)
	} else {
		ticked = slices.Concat(ticked, separated(f.Values.Get("scopes")))
	}
	boxes := make(map[string]bool, len(ticked))
	for _, name := range ticked {
		boxes[name] = true
	}
	for _, name := range distinct(offered, ticked) {
		if !isOwnScope(name) {
			f.APIScopes = append(f.APIScopes, scopeChoice{Name: name, Ticked: boxes[name]})
		}
	}
}

const (
	// suggestFrom is how many of the newest keys suggestions come from.
	suggestFrom = 100
	// maxSuggestions is how many scopes, and how many owners, a form suggests.
	maxSuggestions = 12
)

// inUse returns scopes and owners of the newest keys, the most frequent first. Without an answer there are none: the form
// works all the same.
func (v *visit) inUse() (scopes, owners []string) {
	list, err := v.api.ListPage(v.ctx(), 1, client.ListOptions{PageSize: suggestFrom})
	if err != nil {
		return nil, nil
	}
	for _, k := range list.Keys {
		owners = append(owners, k.Owner)
		scopes = append(scopes, slices.DeleteFunc(slices.Clone(k.Scopes), isOwnScope)...)
	}
	return mostFrequent(scopes), mostFrequent(owners)
}

// mostFrequent returns the most frequent texts, those that are equally frequent in alphabetical order.
func mostFrequent(texts []string) []string {
	count := make(map[string]int)
	for _, text := range texts {
		count[text]++
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	return all[:min(len(all), maxSuggestions)]
}

// OwnTicked reports whether the key may use apikeyd itself.
func (f keyForm) OwnTicked() bool {
	return slices.ContainsFunc(f.OwnScopes, func(c scopeChoice) bool { return c.Ticked })
}

// distinct returns the elements of the lists in order, without duplicates. It is fast for the many
// fields that a form may have.
func distinct(lists ...[]string) (all []string) {
	known := make(map[string]bool)
	for _, text := range slices.Concat(lists...) {
		if !known[text] {
			known[text] = true
			all = append(all, text)
		}
	}
	return all
}

// IsNew reports whether the form creates a key.
func (f keyForm) IsNew() bool { return f.Key.ID == "" }

// Action is where the form is sent.
func (f keyForm) Action() string {
	if f.IsNew() {
		return Path + "/keys/new"
	}
	return f.Back() + "/edit"
}

// Back is where Cancel leads.
func (f keyForm) Back() string {
	if f.IsNew() {
		return Path + "/keys"
	}
	return keyPath(f.Key.ID)
}

// Texts are the fields that are a line of text.
func (keyForm) Texts() []keyfield.Text { return keyfield.Texts() }

// Subject is what the limits in the form apply to.
func (keyForm) Subject() string { return "the key" }

// End returns when a key with this lifetime would expire.
func (f keyForm) End(p preset) time.Time { return f.now.Add(p.Lifetime) }

// metadataRow is an entry of a key's metadata.
type metadataRow struct{ Name, Text string }

// Rows returns the entries of the metadata by their number, and some empty ones.
func (f keyForm) Rows() map[int]metadataRow {
	filled := metadataRows(f.Values)
	rows := make(map[int]metadataRow)
	for i := range max(len(filled), min(len(filled)+spareRows, maxMetadataRows)) {
		rows[i+1] = metadataRow{}
		if i < len(filled) {
			rows[i+1] = filled[i]
		}
	}
	return rows
}

// metadataRows returns the entries that are filled in.
func metadataRows(form url.Values) (rows []metadataRow) {
	texts := form["metadata-text"]
	for i, name := range form["metadata-name"] {
		row := metadataRow{Name: strings.TrimSpace(name)}
		if i < len(texts) {
			row.Text = strings.ReplaceAll(texts[i], "\r\n", "\n") // forms send \r\n
		}
		if row != (metadataRow{}) {
			rows = append(rows, row)
		}
	}
	return rows
}

// valuesOf returns the values of the form's fields for a key.
func valuesOf(k client.Key) url.Values {
	form := url.Values{"expires": {keepEnd}}
	for _, text := range keyfield.Texts() {
		form.Set(text.Name, text.Of(k))
	}
	var own, other []string
	for _, scope := range k.Scopes {
		if isOwnScope(scope) {
			own = append(own, scope)
		} else {
			other = append(other, scope)
		}
	}
	form["scope"] = own
	form.Set("scopes", strings.Join(other, " "))
	for _, name := range slices.Sorted(maps.Keys(k.Metadata)) {
		form.Add("metadata-name", name)
		form.Add("metadata-text", k.Metadata[name])
	}
	showRateLimit(form, k.RateLimit)
	if !k.Enabled && k.ID != "" {
		form.Set("suspended", "1")
	}
	showQuota(form, k.Quota)
	form.Set("allowed_cidrs", strings.Join(k.AllowedCIDRs, " "))
	form.Set("observe_cidrs", strings.Join(k.ObserveCIDRs, " "))
	return form
}

// showRateLimit puts a rate limit into a form.
func showRateLimit(form url.Values, limit client.RateLimit) {
	form.Set("window", "1")
	form.Set("unit", "60")
	if limit != (client.RateLimit{}) {
		count, unit := inUnits(limit.Window)
		form.Set("limit", strconv.Itoa(limit.Limit))
		form.Set("window", strconv.Itoa(count))
		form.Set("unit", strconv.Itoa(unit))
	}
}

// separated parses scopes or networks separated by white space or commas.
func separated(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
}

// settingsOf reads a key's settings except its expiry from a form, and adds faults for what cannot be
// read.
func settingsOf(form url.Values, f *faults) client.NewKey {
	key := client.NewKey{
		Scopes:    new(distinct(form["scope"], separated(form.Get("scopes")))),
		Metadata:  make(map[string]string),
		RateLimit: new(rateLimitOf(form, f)),
		Enabled:   new(form.Get("suspended") == ""),
		Quota:     new(quotaOf(form, f)),

		AllowedCIDRs: new(separated(form.Get("allowed_cidrs"))),
		ObserveCIDRs: new(separated(form.Get("observe_cidrs"))),
	}
	for _, text := range keyfield.Texts() {
		*text.InNew(&key) = strings.TrimSpace(form.Get(text.Name))
	}
	for _, row := range metadataRows(form) {
		if _, twice := key.Metadata[row.Name]; twice {
			f.add("metadata", "Each name may appear only once.")
		}
		if row.Name == "" {
			f.add("metadata", "Each text needs a name.")
		}
		key.Metadata[row.Name] = row.Text
	}
	return key
}

const notWholeNumber = "Must be a whole number."

func rateLimitOf(form url.Values, f *faults) (limit client.RateLimit) {
	calls := strings.TrimSpace(form.Get("limit"))
	if calls == "" {
		return limit
	}
	var err error
	if limit.Limit, err = strconv.Atoi(calls); err != nil {
		f.add("limit", notWholeNumber)
	}
	count, err := strconv.ParseInt(strings.TrimSpace(form.Get("window")), 10, 32)
	if err != nil {
		f.add("window", notWholeNumber)
	}
	unit, err := strconv.ParseInt(form.Get("unit"), 10, 32)
	if err != nil {
		f.add("window", "Choose seconds, minutes, hours or days.")
	}
	// min keeps huge numbers from overflowing; the API refuses them anyway.
	limit.Window = time.Duration(min(count, 1_000_000)*min(unit, 86_400)) * time.Second
	return limit
}

// inUnits returns a window in the largest unit that divides it, and that unit in seconds.
func inUnits(window time.Duration) (count, unit int) {
	for _, unit := range []time.Duration{day, time.Hour, time.Minute} {
		if window%unit == 0 {
			return int(window / unit), int(unit / time.Second)
		}
	}
	return int(window / time.Second), 1
}
