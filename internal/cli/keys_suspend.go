package cli

import (
	"context"

	"apikeyd/client"
)

type suspendCommand struct {
	keyFlags
	jsonFlag
	target
}

// Help explains the command.
func (suspendCommand) Help() string {
	return `When the command returns, the key's secrets are refused everywhere. Nothing else changes: the key keeps its name, and apikeyd keys resume makes it work again. Suspending a suspended key changes nothing. The changed key is shown.

Examples:

    apikeyd keys suspend ci
    apikeyd keys suspend "ci pipeline" --owner customer-42`
}

// Run suspends one key.
func (c *suspendCommand) Run(ctx context.Context, s streams) error {
	return c.setEnabled(ctx, s, c.keyFlags, c.jsonFlag, false)
}

type resumeCommand struct {
	keyFlags
	jsonFlag
	target
}

// Help explains the command.
func (resumeCommand) Help() string {
	return `The key works again at once, unless it has expired. A revoked key cannot be resumed. Resuming a key that is not suspended changes nothing. The changed key is shown.

Examples:

    apikeyd keys resume ci
    apikeyd keys resume "ci pipeline" --owner customer-42`
}

// Run ends the suspension of one key.
func (c *resumeCommand) Run(ctx context.Context, s streams) error {
	return c.setEnabled(ctx, s, c.keyFlags, c.jsonFlag, true)
}

func (t *target) setEnabled(ctx context.Context, s streams, which keyFlags, format jsonFlag, enabled bool) error {
	return t.withKeys(ctx, s, func(keys keyring) error {
		key, err := keys.update(ctx, which.ref(), client.Change{Enabled: &enabled})
		if err != nil {
			return which.explain(ctx, keys, err)
		}
		return format.show(s, key)
	})
}
