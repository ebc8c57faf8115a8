package cli

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"apikeyd/client"
)

// newTable returns a table whose columns line up. Tabs separate cells, and Flush prints it.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// listing is how a command prints values.
type listing[T any] struct {
	json   bool // as a line of JSON each
	limit  int  // how many at most; 0 is unlimited
	titles []string
	cells  func(T) []string
	none   string // what people read if there are no values
}

// print prints values from keys, up to the first error.
func (l listing[T]) print(s streams, keys keyring, values iter.Seq2[T, error]) error {
	table := newTable(s.out)
	row := func(cells []string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	n := 0
	for value, err := range values {
		if err != nil {
			return keys.explain(err)
		}
		if n++; l.limit > 0 && n > l.limit {
			break
		}
		if l.json {
			if err := printJSON(s.out, value); err != nil {
				return err
			}
			continue
		}
		if n == 1 {
			row(l.titles)
		}
		row(l.cells(value))
	}
	if n == 0 && !l.json {
		fmt.Fprintln(s.err, l.none)
	}
	return table.Flush()
}

// oneByOne yields the values of an answer, or its error.
func oneByOne[T any](values []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for _, value := range values {
			if !yield(value, nil) {
				return
			}
		}
	}
}

// orDash formats a value; the zero value is a dash.
func orDash[T comparable](value T, format func(T) string) string {
	var zero T
	if value == zero {
		return "-"
	}
	return format(value)
}

// details is a table of the properties of one thing, one per line.
type details struct {
	*tabwriter.Writer
	now time.Time
}

func newDetails(w io.Writer, now time.Time) details { return details{newTable(w), now} }

func (d details) row(name, value string) { fmt.Fprintf(d, "%s\t%s\n", name, printable(value)) }

// text is row, unless the text is empty.
func (d details) text(name, value string) {
	if value != "" {
		d.row(name, value)
	}
}

// limits are the rows of what a key or an owner may use.
func (d details) limits(rate client.RateLimit, quota client.Quota) {
	if rate != (client.RateLimit{}) {
		d.row("rate limit", fmt.Sprintf("%d calls in %s", rate.Limit, rounded(rate.Window)))
	}
	if quota != (client.Quota{}) {
		d.row("quota", quotaText(quota))
	}
}

// metadata is a row for each entry.
func (d details) metadata(entries map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		d.row("metadata", name+"="+entries[name])
	}
}

// at is row for a time, unless it is zero.
func (d details) at(name string, t time.Time) {
	if !t.IsZero() {
		d.row(name, when(t, d.now))
	}
}
