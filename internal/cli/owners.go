package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// ownersCommands manage owners, on a server or in a database.
type ownersCommands struct {
	List    ownersListCommand    `cmd:"" help:"List owners by name, with the counts of their keys."`
	Get     ownersGetCommand     `cmd:"" help:"Show one owner."`
	Update  ownersUpdateCommand  `cmd:"" help:"Change an owner's number of keys, rate limit, quota, networks or metadata."`
	Suspend ownersSuspendCommand `cmd:"" help:"Suspend an owner: all its keys are refused until owners resume."`
	Resume  ownersResumeCommand  `cmd:"" help:"End the suspension of an owner."`
	Link    ownersLinkCommand    `cmd:"" help:"Make a link that opens the console once, for people of one owner."`
}

// Help says where the commands look for owners.
func (ownersCommands) Help() string { return whereKeysAre }

// ownerArg names the owner that a command is about.
type ownerArg struct {
	Owner string `arg:"" name:"owner" help:"Name of the owner."`
}

func (a ownerArg) explain(keys keyring, err error) error {
	return explain(keys.annotate(err), "", a.Owner)
}

// update changes the owner and shows it.
func (a ownerArg) update(ctx context.Context, s streams, at *target, format jsonFlag, change client.OwnerChange) error {
	return at.withKeys(ctx, s, func(keys keyring) error {
		owner, err := keys.client.UpdateOwner(ctx, a.Owner, change)
		if err != nil {
			return a.explain(keys, err)
		}
		return format.showOwner(s, owner)
	})
}

// showOwner prints an owner to a person or a program.
func (f jsonFlag) showOwner(s streams, owner client.Owner) error {
	if f.JSON {
		return printJSON(s.out, owner)
	}
	return printOwner(s.out, owner, time.Now())
}

type ownersGetCommand struct {
	ownerArg
	jsonFlag
	target
}

// Help explains the command.
func (ownersGetCommand) Help() string {
	return `On a server, a key with keys:read may see its own owner, and one with keys:admin every owner. What is left of a quota is shown by a server only.

Examples:

    apikeyd owners get customer-42
    apikeyd owners get customer-42 --json`
}

// Run shows one owner.
func (c *ownersGetCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		owner, err := keys.client.Owner(ctx, c.Owner)
		if err != nil {
			return c.explain(keys, err)
		}
		return c.showOwner(s, owner)
	})
}

type ownersListCommand struct {
	Search    *string `placeholder:"TEXT" help:"Only owners whose name contains it, ignoring case."`
	Suspended bool    `help:"Only suspended owners."`
	JSON      bool    `name:"json" help:"Print each owner as the API would, one per line."`
	target
}

// Help explains the command.
func (ownersListCommand) Help() string {
	return `Everyone who has a key is listed, and everyone for whom something was set. On a server this needs keys:admin.

Examples:

    apikeyd owners list
    apikeyd owners list --suspended
    apikeyd owners list --search customer --json | jq -r .owner`
}

// Validate refuses a text that the API refuses.
func (c *ownersListCommand) Validate() error {
	if c.Search != nil {
		if err := apikey.CheckSearch(*c.Search); err != nil {
			return fmt.Errorf("--%w", err) // the error begins with the field's name
		}
	}
	return nil
}

// Run prints owners as a table, or as a line of JSON each.
func (c *ownersListCommand) Run(ctx context.Context, s streams) error {
	var options client.OwnerOptions
	if c.Search != nil {
		options.Search = *c.Search
	}
	if c.Suspended {
		options.Enabled = new(false)
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		return listing[client.Owner]{
			json: c.JSON, none: "No owners match.",
			titles: []string{"OWNER", "STATE", "ACTIVE", "EXPIRED", "REVOKED", "MAX KEYS", "QUOTA", "LAST USED"},
			cells: func(o client.Owner) []string {
				return []string{
					printable(o.Name), ownerState(o), strconv.Itoa(o.Keys.Active), strconv.Itoa(o.Keys.Expired),
					strconv.Itoa(o.Keys.Revoked), orDash(o.MaxKeys, strconv.Itoa), orDash(o.Quota, quotaText), exactly(o.LastUsed),
				}
			},
		}.print(s, keys, keys.client.Owners(ctx, options))
	})
}

func ownerState(o client.Owner) string {
	if o.Enabled {
		return "enabled"
	}
	return "suspended"
}

func quotaText(q client.Quota) string { return keyfield.QuotaOf(q).String() }

// printOwner prints an owner for people, one property per line.
func printOwner(w io.Writer, o client.Owner, now time.Time) error {
	d := newDetails(w, now)
	d.row("owner", o.Name)
	d.row("state", ownerState(o))
	d.row("keys", fmt.Sprintf("%d active, %d expired, %d revoked (%d of them suspended)",
		o.Keys.Active, o.Keys.Expired, o.Keys.Revoked, o.Keys.Suspended))
	if o.MaxKeys > 0 {
		d.row("max keys", strconv.Itoa(o.MaxKeys))
	}
	d.limits(o.RateLimit, o.Quota)
	if o.Left != (client.QuotaState{}) {
		d.row("quota left", fmt.Sprintf("%d, until %s", o.Left.Remaining, when(o.Left.ResetsAt, now)))
	}
	d.text("allowed networks", strings.Join(o.AllowedCIDRs, " "))
	d.metadata(o.Metadata)
	if o.LastUsed.IsZero() {
		d.row("last used", "never")
	} else {
		d.row("last used", when(o.LastUsed, now))
	}
	return d.Flush()
}
