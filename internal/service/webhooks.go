package service

import (
	"net/netip"

	"apikeyd/internal/webhook"
)

// webhookFlags say where webhooks may lead.
type webhookFlags struct {
	WebhookAllow []webhookNetwork `env:"APIKEYD_WEBHOOK_ALLOW" placeholder:"CIDR" help:"Networks of your own that webhooks may reach, with plain HTTP too (none). Other private, loopback and link-local addresses are refused when they are dialled."`
}

func (f webhookFlags) webhookGuard() *webhook.Guard {
	g := &webhook.Guard{}
	for _, n := range f.WebhookAllow {
		g.Allow = append(g.Allow, n.Prefix)
	}
	return g
}

// webhookNetwork is a network in CIDR notation, or one address.
type webhookNetwork struct{ netip.Prefix }

// UnmarshalText parses one network; kong splits the list.
func (n *webhookNetwork) UnmarshalText(text []byte) (err error) {
	n.Prefix, err = parseNetwork(text, "would let webhooks reach everything; name the networks of your receivers")
	return err
}
