package cli

import (
	"context"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

type getCommand struct {
	keyFlags
	At *apikey.Timestamp `placeholder:"2026-01-31T12:00:00Z" help:"Show the key as it was at this time, from the audit log."`
	jsonFlag
	target
}

// Help explains the command.
func (getCommand) Help() string {
	return `A name finds the key that has it now, or else the most recently revoked one. A UUID is always an id.

With --at, the command shows what the key was then: after an incident, whether a call was made with a good key. It reaches back as far as the audit log. The last line says whether the log's changes lead to what the key is now; if not, run apikeyd audit verify.

Examples:

    apikeyd keys get ci
    apikeyd keys get 0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f
    apikeyd keys get "ci pipeline" --owner customer-42 --json
    apikeyd keys get ci --at 2026-01-31T12:00:00Z`
}

// Run shows one key.
func (c *getCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		if c.At != nil {
			past, err := keys.getAt(ctx, c.ref(), c.At.Time())
			if err != nil {
				return c.explain(ctx, keys, err)
			}
			return c.showPast(s, past)
		}
		key, err := keys.get(ctx, c.ref())
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		return c.show(s, key)
	})
}

func (c *getCommand) showPast(s streams, past client.Past) error {
	if c.JSON {
		return printJSON(s.out, past)
	}
	now := time.Now()
	if err := printKeyUsed(s.out, past.Key, past.At, "not recorded"); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nas it was at %s", when(past.At, now))
	if past.SecretGeneration > 0 {
		fmt.Fprintf(s.out, ", with its secret number %d of %s", past.SecretGeneration, exactly(past.SecretSince))
	}
	if past.Consistent {
		_, err := fmt.Fprintln(s.out, "\nThe changes since then lead to what the key is now.")
		return err
	}
	_, err := fmt.Fprintln(s.out, "\nThe changes since then do not lead to what the key is now: run apikeyd audit verify.")
	return err
}
