package console

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// event is an entry of the audit log in words, for the template of the same name.
type event struct {
	client.AuditEvent
	When    moment
	Did     string   // what was done
	Key     *keyLink // the changed key; nil on that key's own page
	By      *keyLink // the key that made the change; nil for the operator, for a leak report, and if nothing changed
	Changes []fieldChange
}

// keyLink is a link to a key.
type keyLink struct{ ID, Name string }

// ByOperator reports whether the operator made the change.
func (e event) ByOperator() bool {
	return e.Actor == client.AuditOperator && e.AuditEvent.Changes.Notice == nil
}

// OfOwner reports whether the event is about an owner, and no key.
func (e event) OfOwner() bool {
	return e.Action == client.AuditUpdateOwner || e.Action == client.AuditQuota && strings.Trim(e.KeyID, "0-") == ""
}

// Summary says what the details of an event hold.
func (e event) Summary() string {
	if n := len(e.Changes); n > 0 && e.Action != client.AuditCreate {
		return plural(n, "change")
	}
	return "details"
}

// fieldChange holds a field's value before and after a change. Nil means that there was none; if
// both are nil, the log did not record values yet.
type fieldChange struct {
	Field    string
	From, To *changeValue
}

// changeValue is the value of a field: a time, some words, or nothing.
type changeValue struct {
	Time  moment
	Words []string
}

// events puts events into words. about is the id of the key whose page this is, or empty.
func (v *visit) events(list []client.AuditEvent, about string) []event {
	names := map[string]string{v.me.ID: v.me.Name}
	all := make([]event, 0, len(list))
	for _, e := range list {
		one := event{AuditEvent: e, When: momentOf(e.At, v.now), Did: did(e), Changes: v.changes(e.Changes)}
		if e.KeyID != about && !one.OfOwner() && !ofWebhook(e) {
			one.Key = &keyLink{e.KeyID, e.Name}
		}
		if e.Action != client.AuditLeak && e.Action != client.AuditOutside && e.Changes.Notice == nil && !one.ByOperator() {
			one.By = &keyLink{e.Actor, v.nameOf(e.Actor, names)}
		}
		all = append(all, one)
	}
	return all
}

// nameOf returns a key's current name, or its id if the name cannot be read. known caches names.
func (v *visit) nameOf(id string, known map[string]string) string {
	if _, ok := known[id]; !ok {
		known[id] = id
		if k, err := v.api.Get(v.ctx(), id); err == nil {
			known[id] = k.Name
		}
	}
	return known[id]
}

// webhookDeeds say what was done to a webhook.
var webhookDeeds = map[client.AuditAction]string{
	client.AuditCreateWebhook: "created", client.AuditUpdateWebhook: "changed", client.AuditRotateWebhook: "rotated",
	client.AuditDeleteWebhook: "deleted", client.AuditTestWebhook: "tested",
}

// noticeTexts say what notices are about.
var noticeTexts = map[client.AuditAction]string{
	client.AuditExpiring: "Notice: expires soon", client.AuditExpired: "Notice: expired", client.AuditGraceEnding: "Notice: old secret ends soon",
	client.AuditRotationDue: "Notice: rotation due", client.AuditQuota: "Notice: quota used up", client.AuditNewNetwork: "Notice: used from a new network",
}

// ofWebhook reports whether an event is about a webhook, and no key.
func ofWebhook(e client.AuditEvent) bool { return webhookDeeds[e.Action] != "" }

func did(e client.AuditEvent) string {
	if ofWebhook(e) {
		return "Webhook " + e.Name + " " + webhookDeeds[e.Action]
	}
	if text := noticeTexts[e.Action]; text != "" {
		return text
	}
	switch e.Action {
	case client.AuditCreate:
		return "Created"
	case client.AuditUpdate, client.AuditUpdateOwner:
		if enabled := e.Changes.Enabled; enabled != nil && enabled.To != nil {
			if *enabled.To {
				return "Resumed"
			}
			return "Suspended"
		}
		return "Changed"
	case client.AuditRotate:
		return "Rotated"
	case client.AuditRevoke:
		return "Revoked"
	case client.AuditCreateLink:
		return "Owner link made"
	case client.AuditSession:
		return "Session began"
	case client.AuditOutside:
		return "Used from outside its observed networks"
	case client.AuditLeak:
		if e.Changes.RevokedAt == nil {
			return "Old secret ended: somebody reported that it leaked"
		}
		return "Revoked: somebody reported that its secret leaked"
	}
	return string(e.Action)
}

// changes lists the changed fields, except the time of a revocation, which is that of the event.
func (v *visit) changes(c client.AuditChanges) (all []fieldChange) {
	for _, text := range keyfield.Texts() {
		all = append(all, fieldChanges(text.Label(), text.InAudit(c), inWords)...)
	}
	return slices.Concat(all, v.notice(c.Notice),
		fieldChanges("expires", c.ExpiresAt, v.inTime),
		fieldChanges("old secret works until", c.GraceEndsAt, v.inTime),
		fieldChanges("rate limit", c.RateLimit, func(r client.RateLimit) changeValue { return inWords(limitText(r)) }),
		enabledChanges(c),
		fieldChanges("reason", c.RevocationReason, func(reason string) changeValue {
			return inWords(reasonText(client.RevocationReason(reason)))
		}),
		fieldChanges("allowed networks", c.AllowedCIDRs, inList),
		fieldChanges("observed networks", c.ObserveCIDRs, inList),
		fieldChanges("most keys", c.MaxKeys, func(n int) changeValue { return inWords(strconv.Itoa(n)) }),
		fieldChanges("quota", c.Quota, func(q client.Quota) changeValue { return inWords(quotaText(q)) }),
		fieldChanges("URL", c.URL, inWords),
		fieldChanges("events", c.Events, inList),
		fieldChanges("disabled because of", c.DisabledReason, inWords),
		fieldChanges("description", c.WebhookDescription, inWords),
		scopeChanges(c.Scopes),
		metadataChanges(c.Metadata),
	)
}

// notice lists what a notice says.
func (v *visit) notice(c *client.AuditChange[client.Notice]) (all []fieldChange) {
	if c == nil || c.To == nil {
		return nil
	}
	n := c.To
	for _, at := range []struct {
		field string
		at    time.Time
	}{{"ends", n.EndsAt}, {"secret made", n.SecretSince}, {"starts anew", n.ResetsAt}} {
		if !at.at.IsZero() {
			all = append(all, fieldChange{Field: at.field, To: new(v.inTime(at.at))})
		}
	}
	if n.ThresholdSeconds > 0 {
		before := inLargestUnit(time.Duration(n.ThresholdSeconds) * time.Second)
		all = append(all, fieldChange{Field: "announced", To: new(inWords(before + " before"))})
	}
	if n.Limit > 0 {
		all = append(all, fieldChange{Field: "quota", To: new(inWords(plural(n.Limit, "unit")))})
	}
	if n.Network != "" {
		all = append(all, fieldChange{Field: "network", To: new(inWords(n.Network))})
	}
	return all
}

// fieldChanges returns the change of one field, if it changed.
func fieldChanges[T any](field string, c *client.AuditChange[T], in func(T) changeValue) []fieldChange {
	if c == nil {
		return nil
	}
	f := fieldChange{Field: field}
	if c.From != nil {
		f.From = new(in(*c.From))
	}
	if c.To != nil {
		f.To = new(in(*c.To))
	}
	return []fieldChange{f}
}

func inWords(text string) changeValue { return changeValue{Words: []string{text}} }

func inList(words []string) changeValue { return changeValue{Words: words} }

// enabledChanges leaves out what says nothing: that a new key works, and that a revocation ended a suspension.
func enabledChanges(c client.AuditChanges) []fieldChange {
	if c.RevokedAt != nil || c.Enabled != nil && c.Enabled.From == nil && c.Enabled.To != nil && *c.Enabled.To {
		return nil
	}
	return fieldChanges("enabled", c.Enabled, inYesOrNo)
}

func inYesOrNo(value bool) changeValue {
	if value {
		return inWords("yes")
	}
	return inWords("no")
}

func (v *visit) inTime(at time.Time) changeValue { return changeValue{Time: momentOf(at, v.now)} }

// scopeChanges lists only the added and removed scopes, because a key may have many.
func scopeChanges(c *client.AuditChange[[]string]) (all []fieldChange) {
	if c == nil || c.From == nil || c.To == nil {
		return fieldChanges("scopes", c, inList)
	}
	if added := without(*c.To, *c.From); len(added) > 0 {
		all = append(all, fieldChange{Field: "scopes added", To: &changeValue{Words: added}})
	}
	if removed := without(*c.From, *c.To); len(removed) > 0 {
		all = append(all, fieldChange{Field: "scopes removed", To: &changeValue{Words: removed}})
	}
	if all == nil {
		all = []fieldChange{{Field: "order of scopes", To: &changeValue{Words: *c.To}}}
	}
	return all
}

// without returns the elements of list that are not in other.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// metadataChanges lists the changed entries.
func metadataChanges(c *client.AuditChange[map[string]string]) (all []fieldChange) {
	if c == nil || c.From == nil && c.To == nil {
		return fieldChanges("metadata", c, func(map[string]string) changeValue { return changeValue{} })
	}
	var from, to map[string]string
	if c.From != nil {
		from = *c.From
	}
	if c.To != nil {
		to = *c.To
	}
	names := make(map[string]string)
	maps.Copy(names, from)
	maps.Copy(names, to)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := fieldChange{Field: "metadata " + name}
		if value, ok := from[name]; ok {
			f.From = new(inWords(value))
		}
		if value, ok := to[name]; ok {
			f.To = new(inWords(value))
		}
		if f.From == nil || f.To == nil || f.From.Words[0] != f.To.Words[0] {
			all = append(all, f)
		}
	}
	return all
}

// limitText describes a rate limit.
func limitText(r client.RateLimit) string {
	if r == (client.RateLimit{}) {
		return "none"
	}
	return plural(r.Limit, "call") + " per " + strings.TrimPrefix(inLargestUnit(r.Window), "1 ")
}

// inLargestUnit formats whole seconds exactly in the largest possible unit.
func inLargestUnit(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", day}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d >= unit.long && d%unit.long == 0 {
			return plural(int(d/unit.long), unit.name)
		}
	}
	return plural(int(d/time.Second), "second")
}
