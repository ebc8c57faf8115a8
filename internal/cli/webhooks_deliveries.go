package cli

import (
	"context"
	"fmt"
	"strconv"

	"apikeyd/client"
)

type webhooksTestCommand struct {
	webhookArg
	target
}

// Help explains the command.
func (webhooksTestCommand) Help() string {
	return `A server delivers the event within a second; apikeyd webhooks deliveries shows what became of it. On a server this needs keys:admin.

Examples:

    apikeyd webhooks test 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f`
}

// Run has a test event delivered.
func (c *webhooksTestCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		d, err := keys.client.TestWebhook(ctx, c.ID)
		if err != nil {
			return keys.explain(err)
		}
		_, err = fmt.Fprintln(s.out, d.EventID)
		return err
	})
}

type webhooksDeliveriesCommand struct {
	webhookArg
	State string `enum:",waiting,delivered,failed" default:"" placeholder:"STATE" help:"Only deliveries that are waiting, delivered or failed."`
	Limit int    `default:"50" placeholder:"N" help:"How many to list (${default}); 0 is all."`
	JSON  bool   `name:"json" help:"Print each delivery as the API would, one per line."`
	target
}

// Help explains the command.
func (webhooksDeliveriesCommand) Help() string {
	return `Newest event first. On a server this needs keys:admin.

Examples:

    apikeyd webhooks deliveries 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f --state waiting`
}

// Run prints deliveries as a table, or as a line of JSON each.
func (c *webhooksDeliveriesCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		return listing[client.Delivery]{
			json: c.JSON, limit: c.Limit, none: "No deliveries match.",
			titles: []string{"EVENT", "TYPE", "STATE", "ATTEMPTS", "NEXT", "ERROR"},
			cells: func(d client.Delivery) []string {
				return []string{d.EventID, d.Type, d.State, strconv.Itoa(d.Attempts), exactly(d.NextAt), orDash(d.Error, printable)}
			},
		}.print(s, keys, keys.client.Deliveries(ctx, c.ID, client.DeliveryOptions{State: c.State}))
	})
}

type webhooksRetryCommand struct {
	webhookArg
	Event string `arg:"" name:"event" help:"Id of the event."`
	target
}

// Help explains the command.
func (webhooksRetryCommand) Help() string {
	return `Whatever became of the delivery, it is attempted again at once. On a server this needs keys:admin.

Examples:

    apikeyd webhooks retry 0197a1b2-7200-7c3d-9e4f-5a6b7c8d9e0f 0197a1b2-7300-7c3d-9e4f-5a6b7c8d9e0f`
}

// Run has one event delivered again.
func (c *webhooksRetryCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		if _, err := keys.client.RetryDelivery(ctx, c.ID, c.Event); err != nil {
			return keys.explain(err)
		}
		return nil
	})
}
