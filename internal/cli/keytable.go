package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/width"

	"apikeyd/apikey"
	"apikeyd/client"
)

// keyTable prints keys in columns. At a terminal the lines fit its width; programs, and users of
// --wide, get all columns with exact values.
type keyTable struct {
	out     io.Writer
	columns int  // of the terminal; 0 is unlimited
	color   bool // of the status
	now     time.Time
	rows    [][]string
}

// The columns of both kinds of table, and those that may be shortened.
var (
	exactTitles = []string{"ID", "OWNER", "NAME", "PREFIX", "STATUS", "EXPIRES", "LAST USED", "SCOPES"}
	shortTitles = []string{"PREFIX", "OWNER", "NAME", "STATUS", "EXPIRES", "LAST USED", "SCOPES"}
	cutTitles   = []string{"OWNER", "NAME", "SCOPES"}
)

func newKeyTable(out io.Writer, wide bool) *keyTable {
	t := &keyTable{out: out, color: hasColor(out), now: time.Now()}
	if isTerminal(out) && !wide {
		t.columns = widthOf(out)
	}
	return t
}

func (t *keyTable) titles() []string {
	if t.columns == 0 {
		return exactTitles
	}
	return shortTitles
}

func (t *keyTable) add(k client.Key) {
	scopes := strings.Join(k.Scopes, " ")
	status := statusOf(k)
	row := []string{k.ID, k.Owner, k.Name, k.Prefix, status, exactly(k.ExpiresAt), exactly(k.LastUsedAt), scopes}
	if t.columns > 0 {
		expires := brief(k.ExpiresAt, t.now)
		if !k.RevokedAt.IsZero() {
			expires = "-" // it ended before
		}
		row = []string{k.Prefix, k.Owner, k.Name, status, expires, brief(k.LastUsedAt, t.now), scopes}
	}
	for i, cell := range row {
		row[i] = printable(cell)
	}
	t.rows = append(t.rows, row)
}

// print writes the table, with its titles.
func (t *keyTable) print() error {
	titles := t.titles()
	rows := append([][]string{titles}, t.rows...)
	widths := make([]int, len(titles))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columnsOf(cell))
		}
	}
	if t.columns > 0 {
		widths = fit(titles, widths, t.columns)
	}
	status := slices.Index(titles, "STATUS")
	var text strings.Builder
	for n, row := range rows {
		line := ""
		for i, most := range widths {
			cell := cut(row[i], most)
			padding := strings.Repeat(" ", most-columnsOf(cell))
			if t.color && n > 0 && i == status {
				cell = colored(cell)
			}
			line += cell + padding + "  "
		}
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(t.out, text.String())
	return err
}

// fit narrows columns until the line fits, widest first, and drops the last columns if that is not
// enough.
func fit(titles []string, widths []int, most int) []int {
	const gap, least = 2, 8
	for {
		total := -gap
		widest := -1
		for i, w := range widths {
			total += w + gap
			if slices.Contains(cutTitles, titles[i]) && w > least && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		switch {
		case total <= most || len(widths) == 1:
			return widths
		case widest >= 0:
			widths[widest]--
		default:
			widths = widths[:len(widths)-1]
		}
	}
}

// cut shortens a text to a number of columns.
func cut(text string, most int) string {
	if columnsOf(text) <= most {
		return text
	}
	used := 1 // for the dots
	for i, r := range text {
		if used += columnsOf(string(r)); used > most {
			return text[:i] + "…"
		}
	}
	return text
}

// columnsOf returns how many terminal columns a text takes.
func columnsOf(text string) int {
	n := 0
	for _, r := range text {
		n++
		if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}

// suspended is the status of a suspended key as people see it.
const suspended = "SUSPENDED"

// statusOf returns a key's status for people.
func statusOf(k client.Key) string {
	if k.IsSuspended() {
		return suspended
	}
	return string(k.Status)
}

// colored colors a status.
func colored(status string) string {
	code := map[string]int{
		string(client.StatusActive): 32, string(client.StatusExpired): 33, string(client.StatusRevoked): 31, suspended: 33,
	}[status]
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, status)
}

// exactly formats a time without its distance from now.
func exactly(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return apikey.Timestamp(t).String()
}
