package console

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

const eventsPerPage = 50

// auditPage is a page of the audit log.
type auditPage struct {
	auditFilter
	Events   []event
	Next     string            // the id of its last event, if there are older ones
	Problems map[string]string // with the filters, by field
	Named    []keyRow          // the keys of a name that several have
}

// auditAction is a kind of event and its name on the page.
type auditAction struct {
	Action client.AuditAction
	Words  string
}

// Actions are all kinds of events.
func (auditPage) Actions() []auditAction {
	return []auditAction{
		{client.AuditCreate, "created"}, {client.AuditUpdate, "changed"}, {client.AuditRotate, "rotated"},
		{client.AuditRevoke, "revoked"}, {client.AuditLeak, "reported as leaked"},
		{client.AuditOutside, "used from outside"}, {client.AuditUpdateOwner, "owner changed"},
		{client.AuditCreateLink, "owner link made"}, {client.AuditSession, "session began"},
		{client.AuditExpiring, "expires soon"}, {client.AuditExpired, "expired"}, {client.AuditGraceEnding, "old secret ends soon"},
		{client.AuditRotationDue, "rotation due"}, {client.AuditQuota, "quota used up"}, {client.AuditNewNetwork, "used from a new network"},
		{client.AuditCreateWebhook, "webhook created"}, {client.AuditUpdateWebhook, "webhook changed"},
		{client.AuditRotateWebhook, "webhook rotated"}, {client.AuditDeleteWebhook, "webhook deleted"},
		{client.AuditTestWebhook, "webhook tested"},
	}
}

// auditField is a field of the filter.
type auditField struct{ Name, Label, Type, Value, Problem string }

// Fields are the filters that are typed.
func (p auditPage) Fields() []auditField {
	fields := []auditField{
		{Name: "owner", Label: "Owner of the key", Type: "text"},
		{Name: "key", Label: "Name or id of the key", Type: "text"},
		{Name: "actor", Label: "Done by (id of a key, or operator)", Type: "text"},
		{Name: "since", Label: "Since", Type: "datetime-local"},
		{Name: "until", Label: "Before", Type: "datetime-local"},
	}
	for i := range fields {
		f := &fields[i]
		f.Value, f.Problem = p.Get(f.Name), p.Problems[f.Name]
		if f.Problem != "" && f.Type == "datetime-local" {
			f.Value = "" // browsers do not show it
		}
	}
	return fields
}

// auditFilter selects the events to show. It holds the parameters of the page's address that are not
// empty: since and until are times in UTC as typed, before is the id of an event.
type auditFilter struct{ url.Values }

func (v *visit) auditFilter() auditFilter {
	form, f := withoutSecrets(v.form), auditFilter{}
	for _, name := range []string{"owner", "key", "actor", "action", "since", "until", "before"} {
		f = f.with(name, form.Get(name))
	}
	return f
}

// with returns the filter with another value of a parameter.
func (f auditFilter) with(name, value string) auditFilter {
	changed := auditFilter{url.Values{}}
	maps.Copy(changed.Values, f.Values)
	changed.Del(name)
	if value != "" {
		changed.Set(name, value)
	}
	return changed
}

// IsAny reports whether a filter is set.
func (f auditFilter) IsAny() bool { return len(f.with("before", "").Values) > 0 }

// Older returns the address of the page after an event.
func (f auditFilter) Older(id string) string { return f.with("before", id).address("/audit") }

// Newest returns the address of the first page.
func (f auditFilter) Newest() string { return f.Older("") }

// OfKey returns the address of the first page of one key's events.
func (f auditFilter) OfKey(id string) string {
	return f.with("before", "").with("key", id).address("/audit")
}

// Export returns the address of an export of all these events.
func (f auditFilter) Export(format string) string {
	return f.with("before", "").with("format", format).address("/audit/export")
}

func (f auditFilter) address(path string) string {
	if len(f.Values) == 0 {
		return Path + path
	}
	return Path + path + "?" + f.Encode()
}

// options returns the query for the API, and the problems with the times.
func (f auditFilter) options() (client.AuditOptions, map[string]string) {
	problems := make(map[string]string)
	at := func(field string) time.Time {
		text := f.Get(field)
		t, ok := fieldTime(text)
		if !ok && text != "" {
			problems[field] = "Must be a time such as 2026-01-31T12:00."
		}
		return t
	}
	return client.AuditOptions{
		KeyID: f.Get("key"), Owner: f.Get("owner"), Actor: f.Get("actor"), Action: client.AuditAction(f.Get("action")),
		Since: at("since"), Until: at("until"), Before: f.Get("before"),
	}, problems
}

// refuseScope shows which scope a page needs, in its place.
func (v *visit) refuseScope(scope, title, message string) error {
	return v.refuse(errorPage{Status: http.StatusForbidden, Title: title,
		Message: message + " sign in with one that has " + scope + "."})
}

func (v *visit) refuseAudit() error {
	return v.refuseScope(apikey.ScopeAdmin, "Audit", "The audit log shows the changes of all keys. Your key may not read it:")
}

func showAudit(v *visit) error {
	if !v.may(apikey.ScopeAdmin) {
		return v.refuseAudit()
	}
	p := auditPage{auditFilter: v.auditFilter()}
	if _, err := apikey.ParseID(p.Get("key")); err != nil && p.Get("key") != "" {
		return v.showAuditOfName(p)
	}
	o, problems := p.options()
	o.PageSize = eventsPerPage
	if p.Problems = problems; len(problems) > 0 {
		return v.showAuditPage(http.StatusBadRequest, p)
	}
	page, err := v.api.AuditPage(v.ctx(), o)
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusBadRequest {
		for _, detail := range refusal.Details {
			p.Problems[detail.Field] = sentence(detail.Message)
		}
		if len(refusal.Details) == 0 {
			p.Problems[""] = sentence(refusal.Message)
		}
		return v.showAuditPage(http.StatusBadRequest, p)
	}
	if err != nil {
		return err
	}
	p.Events, p.Next = v.events(page.Events, ""), page.Next
	return v.showAuditPage(http.StatusOK, p)
}

// showAuditOfName leads to the events of the key with the name in the filter, or lets the reader choose among several: a
// name is free again once its key is revoked, and other owners may use it.
func (v *visit) showAuditOfName(p auditPage) error {
	const most = 10
	name := p.Get("key")
	for k, err := range v.api.ForOwner(p.Get("owner")).List(v.ctx(), client.ListOptions{NameContains: name}) {
		if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusBadRequest {
			break // no key can have such a name or owner
		}
		if err != nil {
			return err
		}
		if k.Name == name {
			p.Named = append(p.Named, v.row(k))
		}
		if len(p.Named) == most {
			break
		}
	}
	switch len(p.Named) {
	case 0:
		p.Problems = map[string]string{"key": "No key has this name. Names are found as a whole."}
	case 1:
		return v.redirect(p.OfKey(p.Named[0].ID))
	default:
		p.Problems = map[string]string{"key": "Several keys have or had this name. Choose one:"}
	}
	return v.showAuditPage(http.StatusBadRequest, p)
}

func (v *visit) showAuditPage(status int, p auditPage) error {
	v.show(status, "audit", "Audit", p)
	return nil
}
