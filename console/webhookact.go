package console

import (
	"net/http"
	"time"

	"apikeyd/client"
)

func enableWebhook(v *visit) error {
	return v.setWebhookEnabled(true, "The webhook is enabled: deliveries continue where they stopped.")
}

func disableWebhook(v *visit) error {
	return v.setWebhookEnabled(false, "The webhook is disabled: nothing is delivered until somebody enables it.")
}

func (v *visit) setWebhookEnabled(enabled bool, done string) error {
	w, err := v.api.UpdateWebhook(v.ctx(), v.r.PathValue("id"), client.WebhookChange{Enabled: &enabled})
	if err != nil {
		return err
	}
	v.notify(notice{Text: done})
	return v.redirect(webhookPath(w.ID))
}

// testWebhook has a test event delivered.
func testWebhook(v *visit) error {
	return v.deliver("A test event is on its way: see its delivery below.", func(id string) error {
		_, err := v.api.TestWebhook(v.ctx(), id)
		return err
	})
}

// retryDelivery has the event in the form delivered again.
func retryDelivery(v *visit) error {
	return v.deliver("The event is delivered again: see below.", func(id string) error {
		_, err := v.api.RetryDelivery(v.ctx(), id, v.form.Get("event"))
		return err
	})
}

// deliver asks for a delivery and returns to the webhook, which says why if that was refused.
func (v *visit) deliver(done string, ask func(id string) error) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	err = ask(w.ID)
	if refusal, ok := refused(err); ok {
		return v.showDeliveries(refusal.Status, webhookPage{webhookRow: w, Problem: "Nothing was sent. " + sentence(refusal.Message)})
	}
	if err != nil {
		return err
	}
	v.notify(notice{Text: done})
	return v.redirect(w.Page())
}

// rotateWebhookPage asks how to rotate a webhook's secret.
type rotateWebhookPage struct {
	webhookRow
	Chosen  string // grace, in seconds
	Problem string
}

// Graces are the choices.
func (rotateWebhookPage) Graces() []grace {
	return []grace{
		{0, "None", "Deliveries are signed with the new secret only. Choose this if the old one may have leaked."},
		{time.Hour, "1 hour", "Time to restart your own receiver."},
		{day, "24 hours", "Time for a deployment."},
		{7 * day, "7 days", "Time to tell others and let them switch."},
	}
}

func (p rotateWebhookPage) show(v *visit, status int) error {
	v.show(status, "webhookrotate", "Rotate the secret of a webhook", p)
	return nil
}

func showRotateWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return rotateWebhookPage{webhookRow: w, Chosen: grace{Long: day}.Seconds()}.show(v, http.StatusOK)
}

// rotateWebhook gives a webhook another secret and shows it.
func rotateWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	p := rotateWebhookPage{webhookRow: w, Chosen: v.form.Get("grace")}
	for _, g := range p.Graces() {
		if g.Seconds() != p.Chosen {
			continue
		}
		created, err := v.api.RotateWebhookSecret(v.ctx(), w.ID, g.Long)
		if err != nil {
			return err
		}
		return v.revealOfWebhook(created)
	}
	p.Problem = "Nothing was rotated. Choose how long deliveries are signed with the old secret too."
	return p.show(v, http.StatusBadRequest)
}

func showDeleteWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	v.show(http.StatusOK, "webhookdelete", "Delete a webhook", w)
	return nil
}

func deleteWebhook(v *visit) error {
	w, err := v.api.DeleteWebhook(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	v.notify(notice{Text: "The webhook to " + w.URL + " was deleted."})
	return v.redirect(Path + "/webhooks")
}
