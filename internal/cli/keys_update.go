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
	ExpiresIn   *time.Duration    `placeholder:"DURATION" xor:"expiry" help:"Let it end so long from now, such as 30d."`
	ExpiresAt   *apikey.Timestamp `placeholder:"2030-01-31T12:00:00Z" xor:"expiry" help:"Let it end then."`
	Scope       []scopeFlag       `sep:"none" xor:"scopes" placeholder:"SCOPE" help:"What the key may do, in place of all it may now; separate several scopes with commas, or repeat the flag."`
	NoScopes    bool              `xor:"scopes" help:"Take all its scopes away."`
	Metadata    metadataFlag      `xor:"metadata" placeholder:"NAME=TEXT" help:"What to keep with the key, in place of all that is kept now; repeat the flag for several."`
	NoMetadata  bool              `xor:"metadata" help:"Take all its metadata away."`
	RateLimit   *rateFlag         `xor:"rate" placeholder:"CALLS/WINDOW" help:"How often verify lets the key pass, such as 100/1m; on a server this needs keys:admin."`
	NoRateLimit bool              `xor:"rate" help:"Take its rate limit away; on a server this needs keys:admin."`
	jsonFlag
	target
	lifetimeFlag `group:"With --database:"`
}

// Help teaches the command.
func (updateCommand) Help() string {
	return `Only what you say changes. A key that has expired works again once its end lies in the future; one that was revoked cannot be changed. The key as it is then is shown.

Examples:

    apikeyd keys update ci --name ci-main
    apikeyd keys update ci --owner customer-42 --expires-in 30d
    apikeyd keys update ci --scope datasets:read --scope datasets:write
    apikeyd keys update ci --rate-limit 1000/1h --metadata plan=pro
    apikeyd keys update ci --no-metadata --no-rate-limit`
}

// change is what the flags ask for.
func (c *updateCommand) change() client.Change {
	change := c.Change()
	change.Scopes = replacement(scopesOf(c.Scope), c.NoScopes)
	change.RateLimit = rateLimit(c.RateLimit, c.NoRateLimit)
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

// Validate refuses a command that would do nothing.
func (c *updateCommand) Validate() error {
	if c.change() != (client.Change{}) {
		return nil
	}
	var flags strings.Builder
	for _, text := range keyfield.Texts() {
		flags.WriteString(text.Flag() + ", ")
	}
	return errors.New("say what to change: " + flags.String() + "--expires-in or --expires-at, --scope or --no-scopes, " +
		"--metadata or --no-metadata, --rate-limit or --no-rate-limit")
}

// Run changes one key.
func (c *updateCommand) Run(ctx context.Context, s streams) error {
	longest, err := c.lifetime()
	if err != nil {
		return err
	}
	c.newKeys = apikey.Policy{MaxLifetime: longest}
	return c.withKeys(ctx, s, func(keys keyring) error {
		key, err := keys.update(ctx, c.ref(), c.change())
		if client.CodeOf(err) == client.CodeNameTaken && c.Name != nil {
			return explain(err, "its owner", *c.Name)
		}
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		return c.show(s, key)
	})
}
