package keyfield

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/client"
)

// daysAndMore are ParseDuration's additional units, in hours.
var daysAndMore = map[byte]float64{'d': 24, 'w': 7 * 24, 'y': 365 * 24}

var inDays = regexp.MustCompile(`([0-9]+\.?[0-9]*|\.[0-9]+)[dwy]`)

// ParseDuration parses a Go duration that may also contain days, weeks and years of 365 days.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(inDays.ReplaceAllStringFunc(text, func(part string) string {
		unit := len(part) - 1
		n, _ := strconv.ParseFloat(part[:unit], 64) // infinity is refused below
		return strconv.FormatFloat(n*daysAndMore[part[unit]], 'f', -1, 64) + "h"
	}))
	if err != nil {
		return 0, fmt.Errorf("must be a duration such as 30d, 2w, 12h or 1h30m, at most 290y; got %q", text)
	}
	return d, nil
}

// ParseRateLimit parses LIMIT/WINDOW, such as 100/1m.
func ParseRateLimit(text string) (client.RateLimit, error) {
	limit, window, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(limit)
	d, windowErr := ParseDuration(window)
	if err != nil || windowErr != nil || n < 1 || d < time.Second || d%time.Second != 0 {
		return client.RateLimit{}, errors.New("must be a number of calls and whole seconds that they may come in, such as 100/1m")
	}
	return client.RateLimit{Limit: n, Window: d}, nil
}

// ParseQuota parses LIMIT/PERIOD or LIMIT/PERIOD@DAY, such as 100000/month@15.
func ParseQuota(text string) (client.Quota, error) {
	limit, rest, _ := strings.Cut(text, "/")
	period, day, hasDay := strings.Cut(rest, "@")
	n, err := strconv.Atoi(limit)
	startsOn, dayErr := 1, error(nil)
	if hasDay {
		startsOn, dayErr = strconv.Atoi(day)
	}
	if known := []string{"day", "week", "month"}; err != nil || dayErr != nil || n < 1 || startsOn < 1 || !slices.Contains(known, period) {
		return client.Quota{}, errors.New("must be a number of units and day, week or month, such as 100000/month, or 100000/month@15 " +
			"for periods that start on day 15")
	}
	return client.Quota{Limit: n, Period: client.Period(period), StartsOn: startsOn}, nil
}
