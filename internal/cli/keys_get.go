package cli

import "context"

type getCommand struct {
	keyFlags
	jsonFlag
	target
}

// Help explains the command.
func (getCommand) Help() string {
	return `A name finds the key that has it now, or else the most recently revoked one. A UUID is always an id.

Examples:

    apikeyd keys get ci
    apikeyd keys get 0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f
    apikeyd keys get "ci pipeline" --owner customer-42 --json`
}

// Run shows one key.
func (c *getCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		key, err := keys.get(ctx, c.ref())
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		return c.show(s, key)
	})
}
