package cli

import (
	"context"
	"errors"

	"apikeyd/client"
)

type ownersUpdateCommand struct {
	ownerArg
	MaxKeys     *int         `xor:"max-keys" placeholder:"N" help:"How many keys it may have that are neither revoked nor expired, whoever creates them."`
	NoMaxKeys   bool         `xor:"max-keys" help:"Use the server's default, which does not bind admins."`
	RateLimit   *rateFlag    `xor:"rate" placeholder:"CALLS/WINDOW" help:"How many calls verify allows all its keys together, such as 1000/1m."`
	NoRateLimit bool         `xor:"rate" help:"Remove the rate limit."`
	Quota       *quotaFlag   `xor:"quota" placeholder:"UNITS/PERIOD" help:"How many units calls of all its keys together may use in each day, week or month, such as 1000000/month; what was used stays used."`
	NoQuota     bool         `xor:"quota" help:"Remove the quota."`
	Metadata    metadataFlag `xor:"metadata" placeholder:"NAME=TEXT" help:"The new metadata, which replaces all others; repeat the flag for several."`
	NoMetadata  bool         `xor:"metadata" help:"Remove all metadata."`

	AllowedCIDR    []networkFlag `name:"allowed-cidr" sep:"none" xor:"allowed" placeholder:"NETWORK" help:"The networks that its keys may be used from, each within its own, which replace all others; separate several with commas, or repeat the flag."`
	NoAllowedCIDRs bool          `name:"no-allowed-cidrs" xor:"allowed" help:"Leave it to each key."`
	jsonFlag
	target
}

// Help explains the command.
func (ownersUpdateCommand) Help() string {
	return `Only what you give changes. An owner may be changed before it has keys. On a server this needs keys:admin. The changed owner is shown.

Examples:

    apikeyd owners update customer-42 --max-keys 20 --quota 1000000/month
    apikeyd owners update customer-42 --rate-limit 1000/1m --metadata plan=pro
    apikeyd owners update customer-42 --allowed-cidr 192.0.2.0/24,2001:db8::/32
    apikeyd owners update customer-42 --no-max-keys --no-quota`
}

// Validate refuses what the API refuses, and a command that changes nothing.
func (c *ownersUpdateCommand) Validate() error {
	if c.MaxKeys != nil && *c.MaxKeys < 1 {
		return errors.New("--max-keys must be at least 1; --no-max-keys removes the bound, and apikeyd owners suspend refuses all keys")
	}
	if c.change() == (client.OwnerChange{}) {
		return errors.New("say what to change: --max-keys, --rate-limit, --quota, --metadata, --allowed-cidr, or one of their --no- forms")
	}
	return nil
}

func (c *ownersUpdateCommand) change() client.OwnerChange {
	change := client.OwnerChange{
		MaxKeys: c.MaxKeys, RateLimit: rateLimit(c.RateLimit, c.NoRateLimit), Quota: quota(c.Quota, c.NoQuota),
		AllowedCIDRs: networksOf(c.AllowedCIDR, c.NoAllowedCIDRs),
	}
	if c.NoMaxKeys {
		change.MaxKeys = new(0)
	}
	if c.Metadata != nil || c.NoMetadata {
		change.Metadata = new(map[string]string(c.Metadata))
	}
	return change
}

// Run changes one owner.
func (c *ownersUpdateCommand) Run(ctx context.Context, s streams) error {
	return c.update(ctx, s, &c.target, c.jsonFlag, c.change())
}

type ownersSuspendCommand struct {
	ownerArg
	jsonFlag
	target
}

// Help explains the command.
func (ownersSuspendCommand) Help() string {
	return `When the command returns, all keys of the owner are refused everywhere, also those that it gets later. The keys stay as they are, and apikeyd owners resume makes them work again. The changed owner is shown.

Examples:

    apikeyd owners suspend customer-42
    apikeyd owners suspend customer-42 --json`
}

// Run suspends one owner.
func (c *ownersSuspendCommand) Run(ctx context.Context, s streams) error {
	return c.update(ctx, s, &c.target, c.jsonFlag, client.OwnerChange{Enabled: new(false)})
}

type ownersResumeCommand struct {
	ownerArg
	jsonFlag
	target
}

// Help explains the command.
func (ownersResumeCommand) Help() string {
	return `The owner's keys work again at once, except those that are revoked, expired or suspended themselves. The changed owner is shown.

Examples:

    apikeyd owners resume customer-42
    apikeyd owners resume customer-42 --json`
}

// Run ends the suspension of one owner.
func (c *ownersResumeCommand) Run(ctx context.Context, s streams) error {
	return c.update(ctx, s, &c.target, c.jsonFlag, client.OwnerChange{Enabled: new(true)})
}
