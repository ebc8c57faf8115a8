package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// deliveriesPerPage is how many deliveries a webhook's page shows at once.
const deliveriesPerPage = 25

// withWebhooks wraps a handler for readers whose key may manage webhooks.
func withWebhooks(h handler) handler {
	return func(v *visit) error {
		if !v.may(apikey.ScopeAdmin) {
			return v.refuseScope(apikey.ScopeAdmin, "Webhooks", "Webhooks receive the events of all keys. Your key may not manage them:")
		}
		return h(v)
	}
}

// webhookRow is a webhook as pages show it.
type webhookRow struct{ client.Webhook }

// State is the word on the webhook's badge.
func (w webhookRow) State() string {
	switch {
	case !w.Enabled:
		return "disabled"
	case !w.FailingSince.IsZero():
		return "failing"
	}
	return "enabled"
}

// Page returns the address of the webhook's page, or of one below it.
func (w webhookRow) Page(below ...string) string {
	path, _ := url.JoinPath(webhookPath(w.ID), below...) // our own path
	return path
}

func webhookPath(id string) string { return Path + "/webhooks/" + url.PathEscape(id) }

func showWebhooks(v *visit) error {
	all, err := v.api.Webhooks(v.ctx())
	if err != nil {
		return err
	}
	rows := make([]webhookRow, 0, len(all))
	for _, w := range slices.Backward(all) { // newest first, as keys
		rows = append(rows, webhookRow{w})
	}
	v.show(http.StatusOK, "webhooks", "Webhooks", rows)
	return nil
}

// webhook returns the webhook in the address.
func (v *visit) webhook() (webhookRow, error) {
	w, err := v.api.Webhook(v.ctx(), v.r.PathValue("id"))
	return webhookRow{w}, err
}

// webhookPage is the page of a webhook and its deliveries.
type webhookPage struct {
	webhookRow
	Deliveries []deliveryRow
	Chosen     string // the state of deliveries to show; empty for all
	Before     string // the event that the page follows; empty on the first one
	More       bool   // whether there are older ones
	Problem    string
}

// States are the filters of deliveries.
func (webhookPage) States() []string { return []string{"", "waiting", "delivered", "failed"} }

// WithState returns the address of the first page of deliveries in another state.
func (p webhookPage) WithState(state string) string { return p.deliveries(state, "") }

// Newest returns the address of the first page.
func (p webhookPage) Newest() string { return p.deliveries(p.Chosen, "") }

// Older returns the address of the next page.
func (p webhookPage) Older() string {
	return p.deliveries(p.Chosen, p.Deliveries[len(p.Deliveries)-1].EventID)
}

// Here returns the address of this page.
func (p webhookPage) Here() string { return p.deliveries(p.Chosen, p.Before) }

func (p webhookPage) deliveries(state, before string) string {
	query := url.Values{}
	for name, value := range map[string]string{"state": state, "before": before} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return p.Page()
	}
	return p.Page() + "?" + query.Encode()
}

// Waits reports whether one of the deliveries will be attempted soon, so that the page should look again.
func (p webhookPage) Waits() bool {
	return slices.ContainsFunc(p.Deliveries, func(d deliveryRow) bool { return d.Soon })
}

// deliveryRow is a delivery as pages show it.
type deliveryRow struct {
	client.Delivery
	Soon bool // it is due within a minute
}

func showWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return v.showDeliveries(http.StatusOK, webhookPage{webhookRow: w})
}

// showDeliveries shows a webhook with the deliveries that the address asks for.
func (v *visit) showDeliveries(status int, p webhookPage) error {
	query := v.r.URL.Query()
	p.Chosen, p.Before = query.Get("state"), query.Get("before")
	options := client.DeliveryOptions{State: p.Chosen, Before: p.Before, PageSize: deliveriesPerPage + 1}
	for d, err := range v.api.Deliveries(v.ctx(), p.ID, options) {
		if err != nil {
			return err
		}
		if p.More = len(p.Deliveries) == deliveriesPerPage; p.More {
			break
		}
		p.Deliveries = append(p.Deliveries, deliveryRow{d, d.State == "waiting" && p.Enabled && d.NextAt.Before(v.now.Add(time.Minute))})
	}
	v.show(status, "webhook", "Webhook "+p.URL, p)
	return nil
}
