package console

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"apikeyd/client"
)

// The size of a week's picture: a bar a day, with a gap between them.
const (
	weekDays   = 7
	weekHeight = 16
	dayWidth   = 3
)

// week is how often a key was verified in the last seven days, those of UTC, in a table's row.
type week struct {
	Total int
	Bars  string // an SVG path
}

// weekOf draws the days, all on one scale.
func weekOf(counts []client.UsageCount) *week {
	var w week
	most := 0
	for _, count := range counts {
		w.Total += count.Valid + count.Refused
		most = max(most, count.Valid+count.Refused)
	}
	if most == 0 {
		return nil
	}
	var bars strings.Builder
	for i, count := range counts {
		if n := count.Valid + count.Refused; n > 0 {
			height := max(n*weekHeight/most, 1) // a single call stays visible
			fmt.Fprintf(&bars, "M%d %dv-%dh%dv%dz", i*(dayWidth+1), weekHeight, height, dayWidth, height)
		}
	}
	w.Bars = bars.String()
	return &w
}

// addWeeks adds their week to the rows of keys that were used in it. The API counts one key a call, so the others cost
// none.
func (v *visit) addWeeks(rows []keyRow) error {
	for i := range rows {
		if v.now.Sub(rows[i].LastUsedAt) >= weekDays*day {
			continue
		}
		use, err := v.api.KeyUsageWith(v.ctx(), rows[i].ID, client.UsageOptions{
			Interval: client.UsageByDay, Since: v.now.Add(-(weekDays - 1) * day).Truncate(time.Millisecond),
		})
		if _, refused := errors.AsType[*client.Error](err); refused {
			continue // the table is worth more than its pictures
		}
		if err != nil {
			return err
		}
		rows[i].Week = weekOf(use.Counts)
	}
	return nil
}
