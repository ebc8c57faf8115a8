package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

type usageCommand struct {
	Owner    *string           `placeholder:"OWNER" help:"The key's owner, or without a key, the owner of the keys; on a server this needs keys:admin."`
	NameOrID string            `arg:"" optional:"" name:"key" help:"Name or id of the key (all keys)."`
	Interval intervalFlag      `placeholder:"INTERVAL" complete:"minute,hour,day" help:"Count by the minute, hour or day (day)."`
	Since    *apikey.Timestamp `placeholder:"TIME" help:"Count from the interval of this time on (60 minutes, 24 hours or 30 days before the end)."`
	Until    *apikey.Timestamp `placeholder:"TIME" help:"Only intervals that begin before this time (now)."`
	CSV      bool              `name:"csv" xor:"format" help:"Print a line of CSV for each interval, empty ones too."`
	JSON     bool              `name:"json" xor:"format" help:"Print what the API would answer, for programs."`
	target
}

// Help explains the command.
func (usageCommand) Help() string {
	return `Shows how often a key was verified, or all keys: with which code, in each interval that has any. On a server you see your own key's owner's keys; with keys:admin everyone's, and how many secrets belonged to no key. Days are those of UTC. Minutes are those of the last hour on the server that answers; a database has none.

Examples:

    apikeyd keys usage ci
    apikeyd keys usage ci --interval hour --since 2026-11-23T00:00:00Z
    apikeyd keys usage --owner customer-42 --interval day --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --csv`
}

// intervalFlag is the length of intervals.
type intervalFlag client.UsageInterval

// UnmarshalText parses an interval.
func (f *intervalFlag) UnmarshalText(text []byte) error {
	switch interval := client.UsageInterval(text); interval {
	case client.UsageByMinute, client.UsageByHour, client.UsageByDay:
		*f = intervalFlag(interval)
		return nil
	}
	return errors.New("must be minute, hour or day")
}

// Run prints the usage as a table, as CSV or as JSON.
func (c *usageCommand) Run(ctx context.Context, s streams) error {
	options := client.UsageOptions{Interval: client.UsageInterval(c.Interval)}
	if c.Interval == "" {
		options.Interval = client.UsageByDay
	}
	if c.Since != nil {
		options.Since = c.Since.Time()
	}
	if c.Until != nil {
		options.Until = c.Until.Time()
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		usage, err := ask(keys, c.Owner, func(of *client.Client) (client.Usage, error) {
			if c.NameOrID == "" {
				return of.UsageWith(ctx, options)
			}
			return of.KeyUsageWith(ctx, c.NameOrID, options)
		})
		switch {
		case err != nil && c.NameOrID == "":
			return explain(err, keys.whose(c.Owner), "")
		case err != nil:
			return keyFlags{c.Owner, c.NameOrID}.explain(ctx, keys, err)
		case c.JSON:
			return printJSON(s.out, keyfield.Usage(usage))
		case c.CSV:
			return keyfield.WriteUsage(s.out, usage)
		}
		return printUsage(s, usage)
	})
}

// printUsage prints the intervals that have counts, and their sum.
func printUsage(s streams, u client.Usage) error {
	table := newTable(s.out)
	row := func(start string, c client.UsageCount) {
		var refusals []string
		for _, code := range slices.Sorted(maps.Keys(c.Codes)) {
			if code != client.VerifyValid {
				refusals = append(refusals, fmt.Sprintf("%s %d", code, c.Codes[code]))
			}
		}
		fmt.Fprintln(table, strings.TrimRight(strings.Join([]string{
			start, strconv.Itoa(c.Valid), strconv.Itoa(c.Refused), strings.Join(refusals, ", "),
		}, "\t"), "\t"))
	}
	sum := client.UsageCount{Codes: make(map[client.VerifyCode]int)}
	for _, c := range u.Counts {
		if c.Valid+c.Refused == 0 {
			continue
		}
		if sum.Valid+sum.Refused == 0 {
			fmt.Fprintln(table, "START\tVALID\tREFUSED\tCODES")
		}
		row(exactly(c.Start), c)
		sum.Valid += c.Valid
		sum.Refused += c.Refused
		for code, n := range c.Codes {
			sum.Codes[code] += n
		}
	}
	if sum.Valid+sum.Refused == 0 {
		fmt.Fprintln(s.err, "Nothing was verified in that time.")
	} else {
		row("all", sum)
	}
	if len(u.Counts) > 0 && u.Counts[0].Start.Before(u.Since) {
		fmt.Fprintf(s.err, "There are no counts from before %s.\n", exactly(u.Since))
	}
	return table.Flush()
}
