package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/internal/webhook"
)

// webhooks collects what became of deliveries.
type webhooks struct{ stats func() webhook.Stats }

var (
	webhookCount = describe("apikeyd_webhooks",
		"Webhooks, enabled or disabled.", "state")
	webhookAttempts = describe("apikeyd_webhook_attempts_total",
		"Attempts to deliver an event to a webhook, by outcome.", "outcome")
	webhooksDisabled = describe("apikeyd_webhooks_disabled_total",
		"Webhooks that this node disabled, because they answered 410 or took no delivery for 72 hours.")
	webhookOldest = describe("apikeyd_webhook_oldest_waiting_seconds",
		"Age of the oldest event that waits for a webhook, 0 if none does; 0 too on nodes that do not deliver.")
)

// Describe implements prometheus.Collector.
func (webhooks) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{webhookCount, webhookAttempts, webhooksDisabled, webhookOldest} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (w webhooks) Collect(to chan<- prometheus.Metric) {
	var s webhook.Stats
	if w.stats != nil {
		s = w.stats()
	}
	to <- gauge(webhookCount, s.Enabled, "enabled")
	to <- gauge(webhookCount, s.Off, "disabled")
	to <- counter(webhookAttempts, s.Delivered, "delivered")
	to <- counter(webhookAttempts, s.Failed, "failed")
	to <- counter(webhooksDisabled, s.Disabled)
	to <- gauge(webhookOldest, s.Oldest.Seconds())
}
