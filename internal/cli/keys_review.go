package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

type reviewCommand struct {
	keyFlags
	jsonFlag
	target
}

// Help explains the command.
func (reviewCommand) Help() string {
	return `Shows which of the key's scopes calls asked for in the last 30 days, and from which networks they came, with the day (UTC) of the last such call. If the key can do more than it did, the command that would narrow it comes last.

Judge before you run that. Only scopes that a call named count, not those that your own code compares with verify's answer; and only calls that said where they came from show a network. Try networks with --observe-cidr first.

Examples:

    apikeyd keys review ci
    apikeyd keys review ci --json | jq .proposal`
}

// Run reviews one key.
func (c *reviewCommand) Run(ctx context.Context, s streams) error {
	return c.withKeys(ctx, s, func(keys keyring) error {
		key, err := keys.get(ctx, c.ref())
		if err != nil {
			return c.explain(ctx, keys, err)
		}
		review, err := keys.review(ctx, keyRef{nameOrID: key.ID, owner: c.Owner})
		switch {
		case err != nil:
			return c.explain(ctx, keys, err)
		case c.JSON:
			return printJSON(s.out, review)
		}
		return printReview(s, key, review)
	})
}

func printReview(s streams, key client.Key, r client.Review) error {
	table := newTable(s.out)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	row("SCOPE", "LAST ASKED FOR")
	for _, scope := range r.Scopes {
		row(printable(scope.Scope), printable(cmp.Or(scope.LastAskedOn, "never")))
	}
	row()
	row("NETWORK", "LAST USED FROM")
	for _, network := range r.Networks {
		row(printable(network.Network), printable(network.LastUsedOn))
	}
	if r.MoreNetworks {
		row("others", "")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Proposal == (client.Change{}) {
		_, err := fmt.Fprintf(s.err, "Nothing to propose for %s: it needs what it has, or too little is known since %s.\n",
			printable(key.Name), exactly(r.Since))
		return err
	}
	_, err := fmt.Fprintf(s.out, "\nThis leaves %s only what it used:\n%s\n", printable(key.Name),
		printable(keyfield.NarrowCommand(key.ID, r.Proposal)))
	return err
}
