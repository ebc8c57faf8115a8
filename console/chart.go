package console

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// The size of a chart, in units that the page stretches to the available width.
const (
	barWidth   = 8
	barGap     = 2
	barRoom    = 100 // shared by the bars above the line and those below it
	minBar     = 4   // so that small numbers stay visible
	chartUnits = barRoom + 2*minBar
)

// chart shows how often keys were verified: in a sentence, as bars (verified above a line, refused
// below it) and as a table.
type chart struct {
	Valid, Refused int
	Span           string // of the whole chart, such as "60 minutes"
	Spans          []spanLink
	Address        string // of the page with this chart
	Export         string // the address of its numbers, without their format
	Unit           string // of an interval, such as "minute"
	Peak           chartRow
	First, Now     chartRow   // the start of the first interval, and now
	Since          moment     // since when there are counts
	Rows           []chartRow // intervals that are not empty, newest first

	Width, Height          int
	Line                   float64 // its vertical position
	ValidBars, RefusedBars string  // SVG paths
	MostValid, MostRefused int     // in one interval
}

// chartRow is an interval.
type chartRow struct {
	Start          moment
	Day            string // the date in UTC, if the interval is a day
	Valid, Refused int
}

// span is what a chart shows.
type span struct {
	Name     string
	interval client.UsageInterval
}

var spans = []span{{"hour", client.UsageByMinute}, {"day", client.UsageByHour}, {"month", client.UsageByDay}}

// spanNamed returns the span with a name, or the one with another.
func spanNamed(name, otherwise string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spanNamed(otherwise, spans[0].Name)
}

// spanLink leads to a page with another span.
type spanLink struct {
	Name, Address string
	Current       bool
}

// link adds the addresses: of the page, which shows a span by default, and of the numbers of a key, or of all if its id
// is empty.
func (c *chart) link(page, usual, shown, key string) {
	for _, s := range spans {
		l := spanLink{Name: s.Name, Address: page, Current: s.Name == shown}
		if s.Name != usual {
			l.Address += "?span=" + s.Name
		}
		if l.Current {
			c.Address = l.Address
		}
		c.Spans = append(c.Spans, l)
	}
	c.Export = Path + "/usage?span=" + shown
	if key != "" {
		c.Export += "&key=" + key
	}
}

// exportUsage sends the numbers of a chart.
func exportUsage(v *visit) error {
	o := client.UsageOptions{Interval: spanNamed(v.form.Get("span"), "hour").interval}
	use, err := v.usage(v.form.Get("key"), o)
	if err != nil {
		return err
	}
	var file bytes.Buffer
	media, suffix := "application/json", "json"
	switch v.form.Get("format") {
	case "":
		var text []byte
		text, err = keyfield.JSON(keyfield.Usage(use), jsontext.EscapeForJS(true))
		file.Write(append(text, '\n'))
	case "csv":
		media, suffix = "text/csv; charset=utf-8; header=present", "csv"
		err = keyfield.WriteUsage(&file, use)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", media)
	v.w.Header().Set("Content-Disposition", `attachment; filename="usage-`+v.now.UTC().Format("20060102T150405Z")+"."+suffix+`"`)
	_, err = file.WriteTo(v.w)
	return err
}

// usage returns the usage of a key, or of all keys if its id is empty.
func (v *visit) usage(key string, o client.UsageOptions) (client.Usage, error) {
	if key == "" {
		return v.api.UsageWith(v.ctx(), o)
	}
	return v.api.KeyUsageWith(v.ctx(), key, o)
}

// Total is the number of decisions.
func (r chartRow) Total() int { return r.Valid + r.Refused }

// Any reports whether there is anything to draw.
func (c chart) Any() bool { return len(c.Rows) > 0 }

// chartOf makes a chart of usage.
func chartOf(u client.Usage, now time.Time) chart {
	c := chart{
		Unit: unitOf(u.Interval), Since: momentOf(u.Since, now),
		Width: max(len(u.Counts), 1) * (barWidth + barGap), Height: chartUnits,
	}
	c.Span = plural(len(u.Counts), c.Unit)
	start := func(at time.Time) chartRow {
		row := chartRow{Start: momentOf(at, now)}
		if u.Interval == day {
			row.Day = at.UTC().Format(time.DateOnly)
		}
		return row
	}
	c.Now = start(now)
	for i, count := range u.Counts {
		row := start(count.Start)
		row.Valid, row.Refused = count.Valid, count.Refused
		if i == 0 {
			c.First = row
		}
		c.Valid += row.Valid
		c.Refused += row.Refused
		c.MostValid, c.MostRefused = max(c.MostValid, row.Valid), max(c.MostRefused, row.Refused)
		if row.Total() == 0 {
			continue
		}
		if row.Total() >= c.Peak.Total() {
			c.Peak = row
		}
		c.Rows = append([]chartRow{row}, c.Rows...)
	}
	c.draw(u.Counts)
	return c
}

// draw makes the bars, all on one scale.
func (c *chart) draw(counts []client.UsageCount) {
	most := max(c.MostValid+c.MostRefused, 1)
	height := func(n int) float64 {
		if n == 0 {
			return 0
		}
		return minBar + math.Round(float64(n)*10*barRoom/float64(most))/10
	}
	c.Line = chartUnits - height(c.MostRefused)
	var up, down strings.Builder
	for i, count := range counts {
		x := i*(barWidth+barGap) + barGap/2
		if count.Valid > 0 {
			fmt.Fprintf(&up, "M%d %gv-%gh%dv%gz", x, c.Line, height(count.Valid), barWidth, height(count.Valid))
		}
		if count.Refused > 0 {
			fmt.Fprintf(&down, "M%d %gv%gh%dv-%gz", x, c.Line, height(count.Refused), barWidth, height(count.Refused))
		}
	}
	c.ValidBars, c.RefusedBars = up.String(), down.String()
}

// unitOf returns the word for an interval.
func unitOf(interval time.Duration) string {
	switch interval {
	case day:
		return "day"
	case time.Hour:
		return "hour"
	}
	return "minute"
}

// grouped formats a number with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
