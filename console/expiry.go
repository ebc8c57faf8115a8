package console

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The choices of a key's expiry that are not presets.
const (
	keepEnd   = "keep" // only when a key is edited
	customEnd = "custom"
)

// defaultLifetime is the preset that is chosen at first.
const defaultLifetime = 90 * day

// preset is a lifetime to choose from, counted from the request.
type preset struct {
	Value    string
	Label    string
	Lifetime time.Duration
}

// presets returns the lifetimes to choose from, shortest first, including the server's maximum.
func (s *site) presets() (offered []preset) {
	longest := s.MaxKeyLifetime
	for _, days := range []int{7, 30, 90, 365} {
		if p := (preset{strconv.Itoa(days), plural(days, "day"), time.Duration(days) * day}); longest == 0 || p.Lifetime <= longest {
			offered = append(offered, p)
		}
	}
	if n := len(offered); longest > 0 && (n == 0 || offered[n-1].Lifetime < longest) {
		offered = append(offered, preset{"longest", exactDuration(longest), longest})
	}
	return offered
}

// lifetime is the lifetime of keys in example commands.
func (s *site) lifetime() time.Duration {
	if s.MaxKeyLifetime > 0 {
		return min(defaultLifetime, s.MaxKeyLifetime)
	}
	return defaultLifetime
}

// defaultEnd returns the preset chosen at first: the default, or the longest allowed.
func (s *site) defaultEnd() string {
	all := s.presets()
	for _, p := range all {
		if p.Lifetime == defaultLifetime {
			return p.Value
		}
	}
	return all[len(all)-1].Value
}

// endOf returns the expiry chosen in a form, or the problem with it. The zero time means unchanged.
func (v *visit) endOf(form url.Values) (end time.Time, problem string) {
	switch choice := form.Get("expires"); choice {
	case keepEnd:
		return time.Time{}, ""
	case customEnd:
		if end, ok := customTime(form); ok {
			if v.MaxKeyLifetime > 0 && end.After(v.now.Add(v.MaxKeyLifetime)) {
				return end, "A key may live at most " + exactDuration(v.MaxKeyLifetime) + " from now."
			}
			return end, ""
		}
		return time.Time{}, "Choose a date and a time."
	default:
		for _, p := range v.presets() {
			if p.Value == choice {
				return v.now.Add(p.Lifetime), ""
			}
		}
		return time.Time{}, "Choose when the key expires."
	}
}

// customTime returns the custom expiry: the instant that the page's script computed in the reader's
// zone, or else the field itself in UTC.
func customTime(form url.Values) (time.Time, bool) {
	if text := form.Get("instant"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		return at, err == nil
	}
	return fieldTime(form.Get("custom"))
}

// fieldTime parses the value of a datetime-local field as UTC.
func fieldTime(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} { // each takes a fraction
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// exactDuration formats a duration exactly, to the second.
func exactDuration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", day}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := int(d / unit.long); n > 0 {
			parts = append(parts, plural(n, unit.name))
			d %= unit.long
		}
	}
	if len(parts) == 0 {
		return d.String()
	}
	return strings.Join(parts, " and ")
}
