package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

type updateCommand struct {
	keyFlags
	keyfield.ChangeFlags
	ExpiresIn   *time.Duration    `placeholder:"DURATION" xor:"expiry" help:"The new lifetime from now, such as 30d."`
	ExpiresAt   *apikey.Timestamp `placeholder:"2030-01-31T12:00:00Z" xor:"expiry" help:"The new expiry, with an offset."`
	Scope       []scopeFlag       `sep:"none" xor:"scopes" placeholder:"SCOPE" help:"The new scopes, which replace all others; separate several with commas, or repeat the flag."`
	NoScopes    bool              `xor:"scopes" help:"Remove all scopes."`
	Metadata    metadataFlag      `xor:"metadata" placeholder:"NAME=TEXT" help:"The new metadata, which replaces all others; repeat the flag for several."`
	NoMetadata  bool              `xor:"metadata" help:"Remove all metadata."`
	RateLimit   *rateFlag         `xor:"rate" placeholder:"CALLS/WINDOW" help:"How many calls verify allows, such as 100/1m; on a server this needs keys:admin."`
	NoRateLimit bool              `xor:"rate" help:"Remove the rate limit; on a server this needs keys:admin."`
	Suspend     bool              `xor:"enabled" help:"Suspend the key, as apikeyd keys suspend does."`
	Resume      bool              `xor:"enabled" help:"End its suspension, as apikeyd keys resume does."`
	Quota       *quotaFlag        `xor:"quota" placeholder:"UNITS/PERIOD" help:"How many units calls may use in each day, week or month, such as 100000/month; what was used stays used; on a server this needs keys:admin."`
	NoQuota     bool              `xor:"quota" help:"Remove the quota; on a server this needs keys:admin."`

	AllowedCIDR    []networkFlag `name:"allowed-cidr" sep:"none" xor:"allowed" placeholder:"NETWORK" help:"The networks that the key may be used from, which replace all others; separate several with commas, or repeat the flag."`
	NoAllowedCIDRs bool          `name:"no-allowed-cidrs" xor:"allowed" help:"Allow all networks."`
	ObserveCIDR    []networkFlag `name:"observe-cidr" sep:"none" xor:"observe" placeholder:"NETWORK" help:"The networks that the key should be used from, which replace all others: use from elsewhere passes, and is reported in the audit log."`
	NoObserveCIDRs bool          `name:"no-observe-cidrs" xor:"observe" help:"Report no use."`
	matchFlag
	jsonFlag
	target
	lifetimeFlag `group:"With --database:"`
}

// Help explains the command.
func (updateCommand) Help() string {
	return `Only what you give changes. An expired key works again once its expiry is in the future; a revoked key cannot be changed. The changed key is shown.

Examples:

    apikeyd keys update ci --name ci-main
    apikeyd keys update ci --owner customer-42 --expires-in 30d
    apikeyd keys update ci --scope datasets:read --scope datasets:write
    apikeyd keys update ci --rate-limit 1000/1h --metadata plan=pro
    apikeyd keys update ci --quota 100000/month@15
    apikeyd keys update ci --allowed-cidr 192.0.2.0/24,2001:db8::/32
    apikeyd keys update ci --no-metadata --no-rate-limit --no-quota`
}

// change returns the change that the flags ask for.
func (c *updateCommand) change() client.Change {
	change := c.Change()
	change.Scopes = replacement(scopesOf(c.Scope), c.NoScopes)
	change.RateLimit = rateLimit(c.RateLimit, c.NoRateLimit)
	if c.Suspend || c.Resume {
		change.Enabled = &c.Resume
	}
	change.Quota = quota(c.Quota, c.NoQuota)
	change.AllowedCIDRs = networksOf(c.AllowedCIDR, c.NoAllowedCIDRs)
	change.ObserveCIDRs = networksOf(c.ObserveCIDR, c.NoObserveCIDRs)
	if c.ExpiresIn != nil {
		change.ExpiresAt = new(time.Now().Add(*c.ExpiresIn))
	}
	if c.ExpiresAt != nil {
		change.ExpiresAt = new(c.ExpiresAt.Time())
	}
	if c.Metadata != nil || c.NoMetadata {
		change.Metadata = (*map[string]string)(&c.Metadata)
	}
	return change
}

// Validate refuses a command without a change.
func (c *updateCommand) Validate() error {
	if c.change() != (client.Change{}) {
		return nil
	}
	var flags strings.Builder
	for _, text := range keyfield.Texts() {
		flags.WriteString(text.Flag() + ", ")
	}
	return errors.New("say what to change: " + flags.String() + "--expires-in or --expires-at, --scope or --no-scopes, " +
		"--metadata or --no-metadata, --rate-limit or --no-rate-limit, --quota or --no-quota, " +
		"--allowed-cidr or --no-allowed-cidrs, --observe-cidr or --no-observe-cidrs, --suspend or --resume")
}

// Run changes one key.
func (c *updateCommand) Run(ctx context.Context, s streams) error {
	longest, err := c.lifetime()
	if err != nil {
		return err
	}
	c.newKeys = apikey.Policy{MaxLifetime: longest}
	return c.withKeys(ctx, s, func(keys keyring) error {
		key, err := c.onCondition(keys).update(ctx, c.ref(), c.change())
		if client.CodeOf(err) == client.CodeNameTaken && c.Name != nil {
			return explain(err, "its owner", *c.Name)
		}
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		return c.show(s, key)
	})
}
