package service

import (
	"fmt"
	"net/netip"
	"strings"

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
func (n *webhookNetwork) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	if address, err := netip.ParseAddr(word); err == nil && address.Zone() == "" {
		n.Prefix = netip.PrefixFrom(address, address.BitLen())
	} else if n.Prefix, err = netip.ParsePrefix(word); err != nil {
		return fmt.Errorf("%q is no network such as 10.0.0.0/8, and no address", word)
	}
	switch {
	case n.Addr().Is4In6():
		return fmt.Errorf("%q must be written as an IPv4 network", word)
	case n.Prefix != n.Masked():
		return fmt.Errorf("%q has bits behind its length; write %s", word, n.Masked())
	case n.Bits() == 0:
		return fmt.Errorf("%q would let webhooks reach everything; name the networks of your receivers", word)
	}
	return nil
}
