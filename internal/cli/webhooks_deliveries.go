package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

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
			return explain(keys.annotate(err), "", "")
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
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		listed := 0
		for d, err := range keys.client.Deliveries(ctx, c.ID, client.DeliveryOptions{State: c.State}) {
			if err != nil {
				return explain(keys.annotate(err), "", "")
			}
			if listed++; c.Limit > 0 && listed > c.Limit {
				break
			}
			if c.JSON {
				if err := printJSON(s.out, d); err != nil {
					return err
				}
				continue
			}
			if listed == 1 {
				fmt.Fprintln(table, "EVENT\tTYPE\tSTATE\tATTEMPTS\tNEXT\tERROR")
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", d.EventID, d.Type, d.State, d.Attempts, exactly(d.NextAt), orDash(d.Error, printable))
		}
		if listed == 0 && !c.JSON {
			fmt.Fprintln(s.err, "No deliveries match.")
		}
		return table.Flush()
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
			return explain(keys.annotate(err), "", "")
		}
		return nil
	})
}
