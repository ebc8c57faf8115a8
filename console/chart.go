package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"apikeyd/client"
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
	Unit           string // of an interval, such as "minute"
	Peak           chartRow
	First, Last    moment // starts of the first and last interval
	Since          moment // when the server started to count
	Now            moment
	Rows           []chartRow // intervals that are not empty, newest first

	Width, Height          int
	Line                   float64 // its vertical position
	ValidBars, RefusedBars string  // SVG paths
	MostValid, MostRefused int     // in one interval
}

// chartRow is an interval.
type chartRow struct {
	Start          moment
	Valid, Refused int
}

// Total is the number of decisions.
func (r chartRow) Total() int { return r.Valid + r.Refused }

// Any reports whether there is anything to draw.
func (c chart) Any() bool { return len(c.Rows) > 0 }

// chartOf makes a chart of usage.
func chartOf(u client.Usage, now time.Time) chart {
	c := chart{
		Unit: unitOf(u.Interval), Since: momentOf(u.Since, now), Now: momentOf(now, now),
		Width: max(len(u.Counts), 1) * (barWidth + barGap), Height: chartUnits,
	}
	c.Span = plural(len(u.Counts), c.Unit)
	for i, count := range u.Counts {
		row := chartRow{Start: momentOf(count.Start, now), Valid: count.Valid, Refused: count.Refused}
		if i == 0 {
			c.First = row.Start
		}
		c.Last = row.Start
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
	if interval == time.Hour {
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
