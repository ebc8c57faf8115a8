package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

type listCommand struct {
	Owner          *string           `placeholder:"OWNER" help:"Only this owner's keys."`
	Status         statusFlag        `placeholder:"STATUS" complete:"active,expired,revoked" help:"Only keys that are active, expired or revoked now."`
	NameContains   string            `placeholder:"TEXT" help:"Only keys whose name holds it, letter for letter."`
	Search         *string           `placeholder:"TEXT" help:"Only keys whose name or owner contains it, ignoring case, or whose prefix or id matches."`
	ExpiresBefore  *apikey.Timestamp `placeholder:"TIME" help:"Only keys that end before, expired ones included."`
	LastUsedBefore *apikey.Timestamp `placeholder:"TIME" help:"Only keys that were last used before; one that never was counts from its creation."`
	Rotating       bool              `help:"Only keys that are active and whose secret before the last rotation is still good."`
	JSON           bool              `name:"json" help:"Print each key as the API would, one to a line."`
	target
}

// Help teaches the command.
func (listCommand) Help() string {
	return `On a server you see the keys of your key's owner; with keys:admin everybody's. A key must pass all filters. Times are RFC 3339 with an offset, such as 2030-01-31T12:00:00Z.

Examples:

    # Everything in the database of this folder
    apikeyd keys list

    # One customer's keys that work now
    apikeyd keys list --owner customer-42 --status active

    # The key with this prefix; a part of a name or owner works too
    apikeyd keys list --search ak_2lj2O1CB

    # Keys that nobody used since the spring
    apikeyd keys list --status active --last-used-before 2026-04-01T00:00:00Z

    # The names of the keys that end this year, on a server
    apikeyd keys list --url https://keys.example.com --key-file admin.key \
        --expires-before 2027-01-01T00:00:00Z --json | jq -r .name`
}

// statusFlag is a status as it is typed, in either case.
type statusFlag client.Status

// UnmarshalText reads a status.
func (f *statusFlag) UnmarshalText(text []byte) error {
	switch status := client.Status(strings.ToUpper(string(text))); status {
	case client.StatusActive, client.StatusExpired, client.StatusRevoked:
		*f = statusFlag(status)
		return nil
	}
	return errors.New("must be active, expired or revoked")
}

// Run prints keys: a table, or a line of JSON each.
func (c *listCommand) Run(ctx context.Context, s streams) error {
	options := client.ListOptions{Status: client.Status(c.Status), NameContains: c.NameContains, Rotating: c.Rotating}
	if c.ExpiresBefore != nil {
		options.ExpiresBefore = c.ExpiresBefore.Time()
	}
	if c.LastUsedBefore != nil {
		options.LastUsedBefore = c.LastUsedBefore.Time()
	}
	if c.Search != nil {
		if err := apikey.CheckSearch(*c.Search); err != nil {
			return fmt.Errorf("--%w", err) // it begins with the field's name
		}
		options.Search = *c.Search
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(table, "ID\tOWNER\tNAME\tPREFIX\tSTATUS\tEXPIRES\tLAST USED\tSCOPES")
		}
		for key, err := range keys.list(ctx, c.Owner, options) {
			if err != nil {
				return explain(err, keys.whose(c.Owner), "")
			}
			if !c.JSON {
				printRow(table, key)
				continue
			}
			shape, err := contractKey(key)
			if err != nil {
				return err
			}
			if err := printJSON(s.out, shape); err != nil {
				return err
			}
		}
		return table.Flush()
	})
}

func printRow(table *tabwriter.Writer, k client.Key) {
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(k.ID), printable(k.Owner), printable(k.Name),
		printable(k.Prefix), printable(string(k.Status)), exactly(k.ExpiresAt), exactly(k.LastUsedAt),
		printable(strings.Join(k.Scopes, " ")))
}

// exactly is a time in a table, which has no room for more.
func exactly(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return apikey.Timestamp(t).String()
}
