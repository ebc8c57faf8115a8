package console

import (
	"errors"
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
	}
}

// auditField is a field of the filter.
type auditField struct{ Name, Label, Type, Value, Problem string }

// Fields are the filters that are typed.
func (p auditPage) Fields() []auditField {
	fields := []auditField{
		{"owner", "Owner of the key", "text", p.Owner, ""},
		{"key", "Id of the key", "text", p.Key, ""},
		{"actor", "Done by (id of a key, or operator)", "text", p.Actor, ""},
		{"since", "Since", "datetime-local", p.Since, ""},
		{"until", "Before", "datetime-local", p.Until, ""},
	}
	for i := range fields {
		f := &fields[i]
		f.Problem = p.Problems[f.Name]
		if f.Problem != "" && f.Type == "datetime-local" {
			f.Value = "" // browsers do not show it
		}
	}
	return fields
}

// auditFilter selects the events to show. All of it is in the address of the page.
type auditFilter struct {
	Owner, Key, Actor, Action string
	Since, Until              string // as typed, in UTC
	Before                    string // the id of an event: only older events
}

func (v *visit) auditFilter() auditFilter {
	form := withoutSecrets(v.form)
	return auditFilter{
		Owner: form.Get("owner"), Key: form.Get("key"), Actor: form.Get("actor"), Action: form.Get("action"),
		Since: form.Get("since"), Until: form.Get("until"), Before: form.Get("before"),
	}
}

// IsAny reports whether a filter is set.
func (f auditFilter) IsAny() bool {
	f.Before = ""
	return f != auditFilter{}
}

// Older is the address of the page after an event.
func (f auditFilter) Older(id string) string {
	f.Before = id
	return f.address("/audit", "")
}

// Newest is the address of the first page.
func (f auditFilter) Newest() string { return f.Older("") }

// Export is the address of an export of all these events.
func (f auditFilter) Export(format string) string {
	f.Before = ""
	return f.address("/audit/export", format)
}

func (f auditFilter) address(path, format string) string {
	query := url.Values{}
	for name, value := range map[string]string{
		"owner": f.Owner, "key": f.Key, "actor": f.Actor, "action": f.Action,
		"since": f.Since, "until": f.Until, "before": f.Before, "format": format,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return Path + path
	}
	return Path + path + "?" + query.Encode()
}

// options returns the query for the API, and the problems with the times.
func (f auditFilter) options() (client.AuditOptions, map[string]string) {
	problems := make(map[string]string)
	at := func(field, text string) time.Time {
		t, ok := fieldTime(text)
		if !ok && text != "" {
			problems[field] = "Must be a time such as 2026-01-31T12:00."
		}
		return t
	}
	return client.AuditOptions{
		KeyID: f.Key, Owner: f.Owner, Actor: f.Actor, Action: client.AuditAction(f.Action),
		Since: at("since", f.Since), Until: at("until", f.Until), Before: f.Before,
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

func (v *visit) showAuditPage(status int, p auditPage) error {
	v.show(status, "audit", "Audit", p)
	return nil
}
