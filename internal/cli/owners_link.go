package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

type ownersLinkCommand struct {
	ownerArg
	Scope     []scopeFlag   `sep:"none" default:"keys:read,keys:write" placeholder:"SCOPE" help:"What whoever opens the link may do, and give to keys; separate several scopes with commas, or repeat the flag (${default})."`
	Name      string        `placeholder:"NAME" help:"Who opens the link, for the audit log (owner link)."`
	Lasts     time.Duration `default:"1h" placeholder:"DURATION" help:"How long the session lasts, from one minute to twelve hours (${default})."`
	Metadata  metadataFlag  `placeholder:"NAME=TEXT" help:"A text to store with the session, never a secret; repeat the flag for several."`
	PublicURL string        `name:"public-url" env:"APIKEYD_PUBLIC_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"With --database: where people reach the console (${default})."`
	jsonFlag
	target
}

// Help explains the command.
func (ownersLinkCommand) Help() string {
	return `Prints an address that opens the console once, within five minutes, for people of one owner: they see and manage this owner's keys, and nothing else. On a server, your own key must have the scopes that you give, and keys:admin for another owner than its own.

Examples:

    apikeyd owners link customer-42 --name bob@customer-42.example
    apikeyd owners link customer-42 --scope keys:read,keys:write,datasets:read --lasts 30m`
}

// Validate refuses what the API refuses.
func (c *ownersLinkCommand) Validate() error {
	if c.Lasts < apikey.LeastSession || c.Lasts > apikey.MostSession {
		return fmt.Errorf("--lasts must be from %s to %s", rounded(apikey.LeastSession), rounded(apikey.MostSession))
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("--public-url must be a URL such as https://keys.example.com")
	}
	return nil
}

// Run makes one link.
func (c *ownersLinkCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		link, err := keys.client.LinkOwner(ctx, c.Owner, client.NewOwnerLink{
			Scopes: scopesOf(c.Scope), Name: c.Name, Metadata: c.Metadata, Lasts: c.Lasts,
		})
		if err != nil {
			return c.explain(keys, err)
		}
		if strings.HasPrefix(link.URL, "/") { // a database has no address
			link.URL = strings.TrimSuffix(c.PublicURL, "/") + link.URL
		}
		if c.JSON {
			return printJSON(s.out, link)
		}
		fmt.Fprintln(s.out, link.URL)
		fmt.Fprintf(s.err, "It opens once, until %s.\n", when(link.ExpiresAt, time.Now()))
		return nil
	})
}
