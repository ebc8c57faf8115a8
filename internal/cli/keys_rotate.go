package cli

import (
	"context"
	"errors"
	"time"

	"apikeyd/apikey"
)

type rotateCommand struct {
	keyFlags
	Grace time.Duration `default:"0s" placeholder:"DURATION" help:"How long the old secret still works, in whole seconds up to 7d (0: it ends now)."`
	recipientFlag
	matchFlag
	jsonFlag
	target
}

// Help explains the command.
func (rotateCommand) Help() string {
	return `The new secret works at once. Use a grace to deploy it, and none if you suspect a leak. A still older secret ends now.

Examples:

    # A day to deploy the new secret
    SECRET=$(apikeyd keys rotate ci --grace 1d)

    # The old one may have leaked: it ends now
    apikeyd keys rotate ci --owner customer-42`
}

// Validate checks the grace.
func (c *rotateCommand) Validate() error {
	if c.Grace < 0 || c.Grace > apikey.MaxGrace || c.Grace%time.Second != 0 {
		return errors.New("--grace must be whole seconds, from 0 to 7d (168h)")
	}
	return nil
}

// Run rotates one key.
func (c *rotateCommand) Run(ctx context.Context, s streams) error {
	if err := s.mustBeRead(); err != nil {
		return err
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		rotated, err := c.onCondition(keys).rotate(ctx, c.ref(), c.Grace, c.Recipient)
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		if err := c.hand(s, rotated, "rotated"); err != nil {
			return err
		}
		old := "The old secret no longer works"
		if !rotated.GraceEndsAt.IsZero() {
			old = "The old secret works until " + when(rotated.GraceEndsAt, time.Now())
		}
		s.note("%s has a new secret; nothing will show it again. %s.", printable(rotated.Name), old)
		return nil
	})
}
