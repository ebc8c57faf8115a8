package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

type verifyCommand struct {
	SecretFile string      `default:"-" placeholder:"FILE" help:"Where the secret is (standard input, or a prompt on a terminal)."`
	Scope      []scopeFlag `sep:"none" placeholder:"SCOPE" help:"A scope that the key must have; separate several with commas, or repeat the flag."`
	Cost       *int        `placeholder:"UNITS" help:"What the call costs in units of the key's quota, from 0 (1)."`

	ClientAddress string `placeholder:"ADDRESS" help:"The IP address that the secret was used from; without it, keys with allowed networks are refused."`
	jsonFlag
	target
}

// Help explains the command.
func (verifyCommand) Help() string {
	return `Prints VALID, NOT_FOUND, REVOKED, DISABLED, EXPIRED, ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE, QUOTA_EXCEEDED or RATE_LIMITED, and exits with 0 if it is VALID, else with 1; 1 with nothing printed means that the result is unknown. On a server your own key needs keys:verify, and VALID counts as a use of the key, and against its quota and rate limit. In a database nothing is counted, so it never says QUOTA_EXCEEDED or RATE_LIMITED.

Examples:

    # Asks for the secret, and does not show what you type
    apikeyd keys verify

    # From a variable, for one scope
    printf %s "$SECRET" | apikeyd keys verify --scope datasets:read

    # For a call that costs 25 units of the key's quota
    printf %s "$SECRET" | apikeyd keys verify --cost 25

    # From a file, on a server; print the whole key
    apikeyd keys verify --secret-file customer.key \
        --url https://keys.example.com --key-file admin.key --json`
}

// Validate refuses to read two secrets from standard input.
func (c *verifyCommand) Validate() error {
	if c.SecretFile == stdinName && c.readsStdin() {
		return errors.New("standard input cannot hold your own key and the one to verify: put one of them in a file")
	}
	return nil
}

// Run verifies one secret.
func (c *verifyCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		secret, err := s.readSecret(ctx, c.SecretFile, "Secret to verify: ")
		if err != nil {
			return fmt.Errorf("the secret to verify (--secret-file): %w", err)
		}
		decision, err := keys.verify(ctx, client.Call{
			Secret: secret, Scopes: scopesOf(c.Scope), Cost: c.Cost, ClientAddress: c.ClientAddress,
		})
		if err != nil {
			return explain(err, "", "")
		}
		if err := c.tell(s, decision); err != nil {
			return err
		}
		if !decision.Valid() {
			if decision.Code == client.VerifyNotFound && apikey.WhyMalformed(secret) != "" {
				return malformed(inputName(c.SecretFile), secret)
			}
			return errAlreadyReported
		}
		return nil
	})
}

func (c *verifyCommand) tell(s streams, d client.Verification) error {
	if c.JSON {
		return printJSON(s.out, struct {
			Valid             bool              `json:"valid"`
			Code              client.VerifyCode `json:"code"`
			Key               client.Key        `json:"key,omitzero"`
			RetryAfterSeconds int               `json:"retry_after_seconds,omitzero"`
			Quota             client.QuotaState `json:"quota,omitzero"`
		}{d.Valid(), d.Code, d.Key, int(d.RetryAfter / time.Second), d.Quota})
	}
	if _, err := fmt.Fprintln(s.out, printable(string(d.Code))); err != nil {
		return err
	}
	if k := d.Key; k.ID != "" {
		s.note("It is that of %s of %s (%s), which ends %s.",
			printable(k.Name), printable(k.Owner), printable(k.ID), when(k.ExpiresAt, time.Now()))
	}
	if d.Quota != (client.QuotaState{}) {
		s.note("It has %d units of its quota left until %s.", d.Quota.Remaining, when(d.Quota.ResetsAt, time.Now()))
	}
	return nil
}
