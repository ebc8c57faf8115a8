package cli

import (
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keyfield"
)

type createCommand struct {
	keyfield.NewFlags
	Owner       *string           `placeholder:"OWNER" help:"The key's owner. The default is admin in a database, and your own key's owner on a server."`
	Scope       []scopeFlag       `sep:"none" xor:"scopes" placeholder:"SCOPE" help:"What the key may do; separate several scopes with commas, or repeat the flag (keys:read and keys:write)."`
	NoScopes    bool              `xor:"scopes" help:"Create a key that can only be verified."`
	ExpiresIn   time.Duration     `placeholder:"DURATION" xor:"expiry" required:"" help:"The key's lifetime, such as 30d; or use --expires-at."`
	ExpiresAt   *apikey.Timestamp `placeholder:"2030-01-31T12:00:00Z" xor:"expiry" required:"" help:"When the key expires, with an offset; or use --expires-in."`
	Metadata    metadataFlag      `placeholder:"NAME=TEXT" help:"A text to store with the key, never a secret; repeat the flag for several."`
	RateLimit   *rateFlag         `xor:"rate" placeholder:"CALLS/WINDOW" help:"How many calls verify allows, such as 100/1m; on a server this needs keys:admin."`
	NoRateLimit bool              `xor:"rate" help:"Set no limit, even if your own key has one."`
	Suspended   bool              `help:"Create the key suspended: it is refused until apikeyd keys resume."`
	Quota       *quotaFlag        `xor:"quota" placeholder:"UNITS/PERIOD" help:"How many units calls may use in each day, week or month, such as 100000/month; on a server this needs keys:admin."`
	NoQuota     bool              `xor:"quota" help:"Set no quota, even if your own key has one."`

	AllowedCIDR    []networkFlag `name:"allowed-cidr" sep:"none" xor:"allowed" placeholder:"NETWORK" help:"A network that the key may be used from, such as 192.0.2.0/24 or 2001:db8::7; separate several with commas, or repeat the flag (anywhere)."`
	NoAllowedCIDRs bool          `name:"no-allowed-cidrs" xor:"allowed" help:"Allow all networks, even if your own key is restricted."`
	ObserveCIDR    []networkFlag `name:"observe-cidr" sep:"none" placeholder:"NETWORK" help:"A network that the key should be used from: use from elsewhere passes, and is reported in the audit log. Several as with --allowed-cidr."`
	recipientFlag
	jsonFlag
	target
	policyFlags `group:"With --database:"`
}

// Help explains the command.
func (createCommand) Help() string {
	return `The secret is shown once, here, and stored nowhere.

Examples:

    # A key that can read datasets for thirty days, in the database of this folder
    apikeyd keys create --name ci --owner customer-42 --scope datasets:read --expires-in 30d

    # Into a variable, from the server that apikeyd login knows
    SECRET=$(apikeyd keys create --name deploy --expires-in 90d)

    # On a server, with your key in a file
    apikeyd keys create --url https://keys.example.com --key-file admin.key \
        --name gateway --scope keys:verify --expires-at 2030-01-31T12:00:00Z

    # With metadata, a rate limit, and a quota whose months start on day 15; print the whole key as JSON
    apikeyd keys create --name trial --no-scopes --expires-in 1w \
        --metadata plan=trial --rate-limit 100/1m --quota 100000/month@15 --json

    # For somebody else: only the owner of the public key can read the secret, with apikeyd keys open
    apikeyd keys create --name partner --expires-in 90d \
        --recipient age1ggyq62qsv84jd87gd3x6umzm8jm8wcy442hu0y5pk050v9jjgezqhjwwgn > sealed.age

    # Only from two networks
    apikeyd keys create --name backend --expires-in 90d --allowed-cidr 192.0.2.0/24,2001:db8::/32`
}

// Run creates one key.
func (c *createCommand) Run(ctx context.Context, s streams) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	c.newKeys = policy
	wanted := c.NewKey()
	wanted.ExpiresAt = time.Now().Add(c.ExpiresIn)
	wanted.Scopes = replacement(scopesOf(c.Scope), c.NoScopes)
	wanted.Metadata = c.Metadata
	wanted.RateLimit = rateLimit(c.RateLimit, c.NoRateLimit)
	if c.Suspended {
		wanted.Enabled = new(false)
	}
	wanted.Quota = quota(c.Quota, c.NoQuota)
	wanted.AllowedCIDRs = networksOf(c.AllowedCIDR, c.NoAllowedCIDRs)
	wanted.ObserveCIDRs = networksOf(c.ObserveCIDR, false)
	wanted.Recipient = c.Recipient
	if c.ExpiresAt != nil {
		wanted.ExpiresAt = c.ExpiresAt.Time()
	}
	if err := s.mustBeRead(); err != nil {
		return err
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		made, err := keys.create(ctx, c.Owner, wanted)
		if err != nil {
			return explain(err, keys.whose(c.Owner), c.Name)
		}
		if err := c.hand(s, made, "made"); err != nil {
			return err
		}
		s.note("Made the key %s of %s (%s), which ends %s. Nothing will show its secret again.",
			printable(made.Name), printable(made.Owner), made.ID, when(made.ExpiresAt, time.Now()))
		return nil
	})
}
