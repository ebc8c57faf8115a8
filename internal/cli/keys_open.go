package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"apikeyd/apikey"
)

type openCommand struct {
	Sealed   string `arg:"" name:"file" optional:"" default:"-" help:"The sealed secret (standard input)."`
	Identity string `required:"" placeholder:"FILE" help:"The file with your age identity, as age-keygen writes it."`
}

// Help explains the command.
func (openCommand) Help() string {
	return `A secret is sealed if it was ordered with --recipient. This needs no server and no database; age --decrypt does the same.

Examples:

    # Make a pair of keys, and give the public one to whoever orders the key
    age-keygen -o identity.txt

    # Open what you got
    SECRET=$(apikeyd keys open sealed.age --identity identity.txt)

    # Open an answer of the API
    jq -r .sealed_secret answer.json | apikeyd keys open --identity identity.txt`
}

// Validate refuses to read two things from standard input.
func (c *openCommand) Validate() error {
	if c.Sealed == stdinName && c.Identity == stdinName {
		return errors.New("standard input cannot hold both the sealed secret and your identity: put one of them in a file")
	}
	return nil
}

// Run opens one secret.
func (c *openCommand) Run(ctx context.Context, s streams) error {
	identity, err := s.readFile(ctx, c.Identity)
	if err != nil {
		return fmt.Errorf("your identity (--identity): %w", err)
	}
	sealed, err := s.readFile(ctx, c.Sealed)
	if err != nil {
		return fmt.Errorf("the sealed secret: %w", err)
	}
	secret, err := apikey.OpenSecret(sealed, strings.NewReader(identity))
	switch {
	case errors.Is(err, apikey.ErrIdentities):
		return fmt.Errorf("%s (--identity): %w", inputName(c.Identity), err)
	case errors.Is(err, apikey.ErrMalformed):
		return fmt.Errorf("%s holds something that was sealed to you, but it is no secret of apikeyd", inputName(c.Sealed))
	case err != nil:
		return fmt.Errorf("%s: %w", inputName(c.Sealed), err)
	}
	_, err = fmt.Fprintln(s.out, secret.Reveal())
	return err
}
