package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"apikeyd/client"
)

// webhookEvent is a type of event with a checkbox.
type webhookEvent struct {
	Name, Help string
	Ticked     bool
}

// webhookEvents are the types that a webhook can choose.
func webhookEvents() []webhookEvent {
	return []webhookEvent{
		{Name: "api_key.created", Help: "A key was created or imported."},
		{Name: "api_key.updated", Help: "A key was changed otherwise."},
		{Name: "api_key.rotated", Help: "A key got another secret."},
		{Name: "api_key.revoked", Help: "A key was revoked."},
		{Name: "api_key.suspended", Help: "A key was suspended."},
		{Name: "api_key.resumed", Help: "A key was resumed."},
		{Name: "api_key.leaked", Help: "Somebody reported a secret, which ended."},
		{Name: "api_key.address_observed", Help: "A key was used from outside its observed networks."},
		{Name: "api_key.expiring", Help: "A key expires soon."},
		{Name: "api_key.expired", Help: "A key expired."},
		{Name: "api_key.grace_ending", Help: "The old secret of a rotated key ends soon."},
		{Name: "api_key.rotation_due", Help: "The secret of an administrator's key is old."},
		{Name: "api_key.quota_reached", Help: "A key used up its quota."},
		{Name: "api_key.new_network", Help: "An administrator's key was used from a new network."},
		{Name: "owner.updated", Help: "An owner was changed."},
		{Name: "owner.quota_reached", Help: "An owner's keys used up its quota."},
		{Name: "webhook.created", Help: "A webhook was created."},
		{Name: "webhook.updated", Help: "A webhook was changed, or disabled because it failed."},
		{Name: "webhook.rotated", Help: "A webhook got another secret."},
		{Name: "webhook.deleted", Help: "A webhook was deleted."},
	}
}

// webhookForm is the page on which a webhook is created or edited.
type webhookForm struct {
	formState
	Webhook webhookRow // to edit; zero for a new one
}

// IsNew reports whether the form creates a webhook.
func (f webhookForm) IsNew() bool { return f.Webhook.ID == "" }

// Action is where the form is sent.
func (f webhookForm) Action() string {
	if f.IsNew() {
		return Path + "/webhooks/new"
	}
	return f.Webhook.Page("edit")
}

// Back is where Cancel leads.
func (f webhookForm) Back() string {
	if f.IsNew() {
		return Path + "/webhooks"
	}
	return f.Webhook.Page()
}

// Events are the types to choose from.
func (f webhookForm) Events() []webhookEvent {
	all := webhookEvents()
	for i := range all {
		all[i].Ticked = f.Ticked("event", all[i].Name)
	}
	return all
}

// webhookForm returns the form of a webhook, filled with what was typed, if anything.
func (v *visit) webhookForm(w webhookRow) webhookForm {
	before := url.Values{"url": {w.URL}, "description": {w.Description}, "event": w.Events}
	f := webhookForm{formState{Values: before, Was: before.Encode()}, w}
	if v.form.Has("url") {
		f.Values, f.Was = withoutSecrets(v.form), v.form.Get("was")
	}
	return f
}

func (f webhookForm) show(v *visit, status int) error {
	title := "New webhook"
	if !f.IsNew() {
		title = "Edit webhook"
	}
	v.show(status, "webhookform", title, f)
	return nil
}

// showRefused shows the form again with why the API refused it. It returns errors that the form cannot show.
func (f webhookForm) showRefused(v *visit, err error) error {
	status := v.explain(&f.formState, err)
	if status == 0 {
		return err
	}
	return f.show(v, status)
}

// newWebhookOf reads a webhook from a form.
func newWebhookOf(form url.Values) client.NewWebhook {
	trimmed := func(field string) string { return strings.TrimSpace(form.Get(field)) }
	return client.NewWebhook{URL: trimmed("url"), Description: trimmed("description"), Owner: trimmed("owner"), Events: form["event"]}
}

func showNewWebhook(v *visit) error { return v.webhookForm(webhookRow{}).show(v, http.StatusOK) }

// createWebhook creates a webhook and shows its secret.
func createWebhook(v *visit) error {
	created, err := v.api.CreateWebhook(v.ctx(), newWebhookOf(v.form))
	if err != nil {
		return v.webhookForm(webhookRow{}).showRefused(v, err)
	}
	return v.revealOfWebhook(created)
}

func showEditWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return v.webhookForm(w).show(v, http.StatusOK)
}

// editWebhook makes the changes that were made in a webhook's form since it was shown.
func editWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	f := v.webhookForm(w)
	shown, err := url.ParseQuery(f.Was)
	if err != nil {
		return errBadForm
	}
	was, wanted := newWebhookOf(shown), newWebhookOf(v.form)
	var change client.WebhookChange
	if wanted.URL != was.URL {
		change.URL = &wanted.URL
	}
	if wanted.Description != was.Description {
		change.Description = &wanted.Description
	}
	if !slices.Equal(slices.Sorted(slices.Values(wanted.Events)), slices.Sorted(slices.Values(was.Events))) {
		change.Events = &wanted.Events
	}
	done := "The webhook is unchanged."
	if change != (client.WebhookChange{}) {
		if _, err := v.api.UpdateWebhook(v.ctx(), w.ID, change); err != nil {
			return f.showRefused(v, err)
		}
		done = "The webhook was changed."
	}
	v.notify(notice{Text: done})
	return v.redirect(w.Page())
}
