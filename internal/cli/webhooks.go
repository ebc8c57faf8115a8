package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// webhooksCommands manage webhooks, on a server or in a database.
type webhooksCommands struct {
	Create       webhooksCreateCommand     `cmd:"" help:"Create a webhook and print its secret."`
	List         webhooksListCommand       `cmd:"" help:"List webhooks."`
	Get          webhooksGetCommand        `cmd:"" help:"Show one webhook."`
	Update       webhooksUpdateCommand     `cmd:"" help:"Change a webhook, disable or enable it."`
	Delete       webhooksDeleteCommand     `cmd:"" help:"Delete a webhook."`
	RotateSecret webhooksRotateCommand     `cmd:"" name:"rotate-secret" help:"Give a webhook another secret and print it."`
	Test         webhooksTestCommand       `cmd:"" help:"Have a test event delivered."`
	Deliveries   webhooksDeliveriesCommand `cmd:"" help:"List what became of the latest events."`
	Retry        webhooksRetryCommand      `cmd:"" help:"Have an event delivered again."`
}

// Help says where the commands look for webhooks.
func (webhooksCommands) Help() string { return whereKeysAre }

// webhookArg names the webhook that a command is about.
type webhookArg struct {
	ID string `arg:"" name:"id" help:"Id of the webhook."`
}

// one makes a call about a webhook and shows its result.
func (t *target) one(ctx context.Context, s streams, call func(*client.Client) (client.Webhook, error), format jsonFlag) error {
	return t.withKeys(ctx, s, func(keys keyring) error {
		w, err := call(keys.client)
		if err != nil {
			return keys.explain(err)
		}
		if format.JSON {
			return printJSON(s.out, w)
		}
		return printWebhook(s.out, w, time.Now())
	})
}

// secret makes a call that returns a secret, and prints that on standard output.
func (t *target) secret(
	ctx context.Context, s streams, call func(*client.Client) (client.CreatedWebhook, error), format jsonFlag, made string,
) error {
	if err := s.mustBeRead(); err != nil {
		return err
	}
	return t.withKeys(ctx, s, func(keys keyring) error {
		w, err := call(keys.client)
		if err != nil {
			return keys.explain(err)
		}
		if format.JSON {
			err = printJSON(s.out, struct {
				client.Webhook
				Secret string `json:"secret"`
			}{w.Webhook, w.Secret.Reveal()})
		} else {
			_, err = fmt.Fprintln(s.out, w.Secret.Reveal())
		}
		if err != nil {
			return err
		}
		s.note("%s the webhook %s. Nothing will show its secret again.", made, w.ID)
		return nil
	})
}

type webhooksCreateCommand struct {
	URL         string   `name:"to" required:"" placeholder:"URL" help:"Where events are posted to."`
	Event       []string `placeholder:"TYPE" help:"Only these types of events, such as api_key.leaked (all)."`
	Owner       string   `placeholder:"OWNER" help:"Only events of this owner and its keys (of all)."`
	Description string   `placeholder:"TEXT" help:"What it is for."`
	jsonFlag
	target
}

// Help explains the command.
func (webhooksCreateCommand) Help() string {
	return `Events from now on are delivered, signed as the Standard Webhooks specification says (docs/webhooks.md). On a server this needs keys:admin.

Examples:

    SECRET=$(apikeyd webhooks create --to https://hooks.example.com/apikeyd)
    apikeyd webhooks create --to https://hooks.example.com/leaks --event api_key.leaked,api_key.revoked`
}

// Run creates one webhook.
func (c *webhooksCreateCommand) Run(ctx context.Context, s streams) error {
	return c.secret(ctx, s, func(api *client.Client) (client.CreatedWebhook, error) {
		return api.CreateWebhook(ctx, client.NewWebhook{URL: c.URL, Events: c.Event, Owner: c.Owner, Description: c.Description})
	}, c.jsonFlag, "Made")
}

type webhooksListCommand struct {
	JSON bool `name:"json" help:"Print each webhook as the API would, one per line."`
	target
}

// Help explains the command.
func (webhooksListCommand) Help() string {
	return `Oldest first. On a server this needs keys:admin.

Examples:

    apikeyd webhooks list
    apikeyd webhooks list --json | jq -r 'select(.enabled | not).url'`
}

// Run prints webhooks as a table, or as a line of JSON each.
func (c *webhooksListCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		return listing[client.Webhook]{
			json: c.JSON, none: "There are no webhooks.", titles: []string{"ID", "STATE", "URL", "EVENTS", "OWNER"},
			cells: func(w client.Webhook) []string {
				return []string{w.ID, webhookState(w), printable(w.URL), webhookEvents(w), orDash(w.Owner, printable)}
			},
		}.print(s, keys, oneByOne(keys.client.Webhooks(ctx)))
	})
}

type webhooksGetCommand struct {
	webhookArg
	jsonFlag
	target
}

// Help explains the command.
func (webhooksGetCommand) Help() string {
	return `On a server this needs keys:admin.

Examples:

    apikeyd webhooks get 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f`
}

// Run shows one webhook.
func (c *webhooksGetCommand) Run(ctx context.Context, s streams) error {
	return c.one(ctx, s, func(api *client.Client) (client.Webhook, error) { return api.Webhook(ctx, c.ID) }, c.jsonFlag)
}

type webhooksUpdateCommand struct {
	webhookArg
	URL         *string  `name:"to" placeholder:"URL" help:"Where events are posted to."`
	Event       []string `xor:"events" placeholder:"TYPE" help:"Only these types of events."`
	AllEvents   bool     `xor:"events" help:"All types of events."`
	Description *string  `placeholder:"TEXT" help:"What it is for; an empty text removes it."`
	Enable      bool     `xor:"state" help:"Deliver again, from where deliveries stopped."`
	Disable     bool     `xor:"state" help:"Deliver nothing until it is enabled."`
	jsonFlag
	target
}

// Help explains the command.
func (webhooksUpdateCommand) Help() string {
	return `Only what you give changes. On a server this needs keys:admin. The changed webhook is shown.

Examples:

    apikeyd webhooks update 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f --enable
    apikeyd webhooks update 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f --event api_key.leaked`
}

// Validate refuses a command that changes nothing.
func (c *webhooksUpdateCommand) Validate() error {
	if c.change() == (client.WebhookChange{}) {
		return errors.New("say what to change: --to, --event, --all-events, --description, --enable or --disable")
	}
	return nil
}

func (c *webhooksUpdateCommand) change() client.WebhookChange {
	change := client.WebhookChange{URL: c.URL, Description: c.Description}
	if len(c.Event) > 0 || c.AllEvents {
		change.Events = &c.Event
	}
	if c.Enable || c.Disable {
		change.Enabled = &c.Enable
	}
	return change
}

// Run changes one webhook.
func (c *webhooksUpdateCommand) Run(ctx context.Context, s streams) error {
	return c.one(ctx, s, func(api *client.Client) (client.Webhook, error) { return api.UpdateWebhook(ctx, c.ID, c.change()) }, c.jsonFlag)
}

type webhooksDeleteCommand struct {
	webhookArg
	jsonFlag
	target
}

// Help explains the command.
func (webhooksDeleteCommand) Help() string {
	return `Deliveries end for good; what waits is not delivered. On a server this needs keys:admin. The deleted webhook is shown.

Examples:

    apikeyd webhooks delete 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f`
}

// Run deletes one webhook.
func (c *webhooksDeleteCommand) Run(ctx context.Context, s streams) error {
	return c.one(ctx, s, func(api *client.Client) (client.Webhook, error) { return api.DeleteWebhook(ctx, c.ID) }, c.jsonFlag)
}

type webhooksRotateCommand struct {
	webhookArg
	Grace time.Duration `default:"24h" placeholder:"DURATION" help:"How long deliveries are signed with the old secret too, in whole seconds up to 7d (24h)."`
	jsonFlag
	target
}

// Help explains the command.
func (webhooksRotateCommand) Help() string {
	return `Until the grace ends, a receiver may know either secret. On a server this needs keys:admin.

Examples:

    SECRET=$(apikeyd webhooks rotate-secret 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f)`
}

// Validate checks the grace.
func (c *webhooksRotateCommand) Validate() error {
	if c.Grace < 0 || c.Grace > apikey.MaxGrace || c.Grace%time.Second != 0 {
		return errors.New("--grace must be whole seconds, from 0 to 7d (168h)")
	}
	return nil
}

// Run rotates one secret.
func (c *webhooksRotateCommand) Run(ctx context.Context, s streams) error {
	return c.secret(ctx, s, func(api *client.Client) (client.CreatedWebhook, error) {
		return api.RotateWebhookSecret(ctx, c.ID, c.Grace)
	}, c.jsonFlag, "Rotated the secret of")
}

func webhookState(w client.Webhook) string {
	switch {
	case w.Enabled:
		return "enabled"
	case w.DisabledReason == "request":
		return "disabled"
	}
	return "disabled: " + w.DisabledReason
}

func webhookEvents(w client.Webhook) string {
	if len(w.Events) == 0 {
		return "all"
	}
	return strings.Join(w.Events, ",")
}

// printWebhook prints a webhook for people, one property per line.
func printWebhook(to io.Writer, w client.Webhook, now time.Time) error {
	d := newDetails(to, now)
	d.row("id", w.ID)
	d.row("state", webhookState(w))
	d.row("url", w.URL)
	d.row("events", webhookEvents(w))
	d.text("owner", w.Owner)
	d.text("description", w.Description)
	d.at("created", w.CreatedAt)
	d.at("disabled", w.DisabledAt)
	d.at("failing since", w.FailingSince)
	d.at("old secret", w.OldSecretUntil)
	return d.Flush()
}
