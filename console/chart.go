package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"apikeyd/client"
)

// The drawing of a chart, in units that the page stretches to whatever room there is. A bar
// is at least so high that it can be seen, however few it stands for.
const (
	barWidth   = 8
	barGap     = 2
	barRoom    = 100 // for the bars above the line and those below, together
	minBar     = 4
	chartUnits = barRoom + 2*minBar
)

// chart shows how often keys were verified: in a sentence, as bars (what was verified
// stands above a line, what was refused hangs below it) and as a table.
type chart struct {
	Valid, Refused int
	Span           string // how long the chart is: "60 minutes"
	Unit           string // how long an interval is: "minute"
	Peak           chartRow
	First, Last    moment // when the first and the last interval began
	Since          moment // when the server began to count
	Now            moment
	Rows           []chartRow // the intervals with any, newest first

	Width, Height          int
	Line                   float64 // where it is
	ValidBars, RefusedBars string  // paths of SVG
	MostValid, MostRefused int     // what the longest bars stand for
}

// chartRow is an interval.
type chartRow struct {
	Start          moment
	Valid, Refused int
}

// Total is how many decisions there were.
func (r chartRow) Total() int { return r.Valid + r.Refused }

// Any reports whether there is anything to draw.
func (c chart) Any() bool { return len(c.Rows) > 0 }

// chartOf draws usage.
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

// draw makes the bars, all to one scale.
func (c *chart) draw(counts []client.UsageCount) {
	most := max(c.MostValid+c.MostRefused, 1)
	high := func(n int) float64 {
		if n == 0 {
			return 0
		}
		return minBar + math.Round(float64(n)*10*barRoom/float64(most))/10
	}
	c.Line = chartUnits - high(c.MostRefused)
	var up, down strings.Builder
	for i, count := range counts {
		x := i*(barWidth+barGap) + barGap/2
		if count.Valid > 0 {
			fmt.Fprintf(&up, "M%d %gv-%gh%dv%gz", x, c.Line, high(count.Valid), barWidth, high(count.Valid))
		}
		if count.Refused > 0 {
			fmt.Fprintf(&down, "M%d %gv%gh%dv-%gz", x, c.Line, high(count.Refused), barWidth, high(count.Refused))
		}
	}
	c.ValidBars, c.RefusedBars = up.String(), down.String()
}

// unitOf is the word for an interval.
func unitOf(interval time.Duration) string {
	if interval == time.Hour {
		return "hour"
	}
	return "minute"
}

// grouped writes a number with a comma between its thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
