package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// inUse is how recent the last use of a key must be for the command to ask.
const inUse = 24 * time.Hour

// errKept says that the user did not confirm.
var errKept = errors.New("nothing was revoked")

type revokeCommand struct {
	keyFlags
	Reason reasonFlag `placeholder:"REASON" complete:"reasons" help:"Why, to keep with the key: ${reasons} (unspecified)."`
	Yes    bool       `short:"y" help:"Do not ask, even if the key was used in the last 24 hours."`
	matchFlag
	jsonFlag
	target
}

// reasonFlag is why a key is revoked.
type reasonFlag client.RevocationReason

func reasonNames() (names []string) {
	for _, reason := range apikey.Reasons() {
		names = append(names, string(reason))
	}
	return names
}

// reasonList returns all reasons as part of a sentence.
func reasonList() string {
	names := reasonNames()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// UnmarshalText parses a reason.
func (f *reasonFlag) UnmarshalText(text []byte) error {
	if !slices.Contains(apikey.Reasons(), apikey.Reason(text)) {
		return errors.New("must be " + reasonList())
	}
	*f = reasonFlag(text)
	return nil
}

// Help explains the command.
func (revokeCommand) Help() string {
	return `When the command returns, the key's secrets are refused and its name is free. This cannot be undone; revoking a revoked key changes nothing. On a terminal it asks first if the key was used in the last 24 hours; in a script it never asks.

Examples:

    apikeyd keys revoke ci
    apikeyd keys revoke "ci pipeline" --owner customer-42 --reason owner_left
    apikeyd keys revoke 0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f --yes`
}

// Run revokes one key.
func (c *revokeCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		ref := c.ref()
		if !c.Yes && s.in.isTerminal() {
			found, err := confirmRevocation(ctx, s, keys, ref)
			if err != nil {
				return c.explain(ctx, keys, err)
			}
			ref = found
		}
		key, err := c.onCondition(keys).revoke(ctx, ref, client.RevocationReason(c.Reason))
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		if c.JSON {
			return c.show(s, key)
		}
		_, err = fmt.Fprintf(s.out, "%s of %s was revoked at %s\n",
			printable(key.Name), printable(key.Owner), apikey.Timestamp(key.RevokedAt))
		return err
	})
}

// confirmRevocation asks before a key in use is revoked. It returns a reference by id, because the name
// may belong to another key by the time of the answer.
func confirmRevocation(ctx context.Context, s streams, keys keyring, ref keyRef) (keyRef, error) {
	key, err := keys.get(ctx, ref)
	var question string
	switch {
	case client.CodeOf(err) == client.CodeInsufficientScope:
		question = fmt.Sprintf("Your key may not see whether %s is in use.", printable(ref.nameOrID))
	case err != nil:
		return ref, err
	default:
		ref.nameOrID = key.ID
		if key.Status == client.StatusRevoked && !key.IsSuspended() || time.Since(key.LastUsedAt) > inUse {
			return ref, nil
		}
		question = fmt.Sprintf("%s of %s was last used %s.",
			printable(key.Name), printable(key.Owner), ago(key.LastUsedAt, time.Now()))
	}
	answer, err := s.ask(ctx, question+" Revoke it for good? [y/N] ")
	if err != nil {
		return ref, err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return ref, errKept
	}
	return ref, nil
}
