package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"apikeyd/apikey"
	"apikeyd/client"
)

type listCommand struct {
	Owner          *string           `placeholder:"OWNER" help:"Only this owner's keys."`
	Status         statusFlag        `placeholder:"STATUS" complete:"active,expired,revoked" help:"Only keys that are active, expired or revoked now; a suspended key counts as revoked."`
	NameContains   *string           `placeholder:"TEXT" help:"Only keys whose name contains it; case-sensitive."`
	Scope          *string           `placeholder:"SCOPE" help:"Only keys that have this scope."`
	Metadata       metadataFlag      `placeholder:"NAME=TEXT" help:"Only keys that have this in their metadata, exactly; repeat the flag for keys that have all of several."`
	Search         *string           `placeholder:"TEXT" help:"Only keys whose name or owner contains it, ignoring case, or whose prefix or id matches."`
	ExpiresBefore  *apikey.Timestamp `placeholder:"TIME" help:"Only keys that expire before this time, including expired ones."`
	LastUsedBefore *apikey.Timestamp `placeholder:"TIME" help:"Only keys last used before this time; a key that was never used counts from its creation."`
	Suspended      bool              `help:"Only suspended keys."`
	Reason         reasonFlag        `placeholder:"REASON" complete:"reasons" help:"Only keys that were revoked for this reason, such as key_compromise."`
	Rotating       bool              `help:"Only active keys whose previous secret still works."`
	Foreign        bool              `help:"Only keys that a secret imported from another service still opens."`
	Sessions       bool              `help:"Only keys of sessions in the console, which other lists leave out."`
	Wide           bool              `help:"Show every column with whole ids and exact times, on a terminal too."`
	JSON           bool              `name:"json" help:"Print each key as the API would, one per line."`
	target
}

// Help explains the command.
func (listCommand) Help() string {
	return `On a terminal the table fits the width and times are relative; elsewhere it has every column. On a server you see your own key's owner's keys; with keys:admin everyone's. A key must match all filters. Times are RFC 3339 with an offset, such as 2030-01-31T12:00:00Z.

Examples:

    # Everything in the database of this folder
    apikeyd keys list

    # One customer's keys that work now
    apikeyd keys list --owner customer-42 --status active

    # The key with this prefix; a part of a name or owner works too
    apikeyd keys list --search ak_2lj2O1CB

    # The keys of one plan in one region, by their metadata
    apikeyd keys list --metadata plan=pro --metadata region=eu

    # Keys that nobody used since the spring
    apikeyd keys list --status active --last-used-before 2026-04-01T00:00:00Z

    # The names of the keys that end this year, on a server
    apikeyd keys list --url https://keys.example.com --key-file admin.key \
        --expires-before 2027-01-01T00:00:00Z --json | jq -r .name`
}

// statusFlag is a status, in upper or lower case.
type statusFlag client.Status

// UnmarshalText parses a status.
func (f *statusFlag) UnmarshalText(text []byte) error {
	switch status := client.Status(strings.ToUpper(string(text))); status {
	case client.StatusActive, client.StatusExpired, client.StatusRevoked:
		*f = statusFlag(status)
		return nil
	}
	return errors.New("must be active, expired or revoked")
}

// Run prints keys as a table, or as a line of JSON each.
func (c *listCommand) Run(ctx context.Context, s streams) error {
	options := client.ListOptions{Status: client.Status(c.Status), Rotating: c.Rotating, Foreign: c.Foreign, Sessions: c.Sessions}
	if len(c.Metadata) > 0 {
		options.Metadata = c.Metadata
	}
	options.Reason = client.RevocationReason(c.Reason)
	if c.Suspended {
		options.Enabled = new(false)
	}
	if c.NameContains != nil {
		options.NameContains = *c.NameContains
	}
	if c.Scope != nil {
		options.Scope = *c.Scope
	}
	if c.Search != nil {
		options.Search = *c.Search
	}
	if c.ExpiresBefore != nil {
		options.ExpiresBefore = c.ExpiresBefore.Time()
	}
	if c.LastUsedBefore != nil {
		options.LastUsedBefore = c.LastUsedBefore.Time()
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		table := newKeyTable(s.out, c.Wide)
		for key, err := range keys.list(ctx, c.Owner, options) {
			if err != nil {
				return explain(err, keys.whose(c.Owner), "")
			}
			if !c.JSON {
				table.add(key)
				continue
			}
			if err := printJSON(s.out, key); err != nil {
				return err
			}
		}
		return c.finish(s, table, options)
	})
}

// finish prints the table, or a message if it is empty.
func (c *listCommand) finish(s streams, table *keyTable, filters client.ListOptions) error {
	if c.JSON {
		return nil
	}
	if len(table.rows) == 0 {
		text := "No keys match."
		if c.Owner == nil && reflect.ValueOf(filters).IsZero() {
			text = "There are no keys."
		}
		fmt.Fprintln(s.err, text)
		if isTerminal(s.out) {
			return nil
		}
	}
	return table.print()
}

// Validate refuses texts that the API refuses.
func (c *listCommand) Validate() error {
	if c.NameContains != nil && (*c.NameContains == "" || utf8.RuneCountInString(*c.NameContains) > 255) {
		return errors.New("--name-contains must be 1 to 255 characters; leave it out to list all names")
	}
	if c.Scope != nil {
		if err := apikey.CheckScopes(apikey.Scopes{*c.Scope}); err != nil {
			return errors.New("--scope must be one scope; leave it out to list all keys")
		}
	}
	if err := apikey.CheckMetadata(apikey.Metadata(c.Metadata)); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if c.Search != nil {
		if err := apikey.CheckSearch(*c.Search); err != nil {
			return fmt.Errorf("--%w", err) // the error begins with the field's name
		}
	}
	return nil
}
