package cli

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/client"
)

// durations makes every time.Duration flag accept what parseDuration accepts.
var durations = kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(
	func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := parseDuration(text)
		if err == nil {
			target.SetInt(int64(d))
		}
		return err
	}))

// daysAndMore are parseDuration's additional units, in hours.
var daysAndMore = map[byte]float64{'d': 24, 'w': 7 * 24, 'y': 365 * 24}

var inDays = regexp.MustCompile(`([0-9]+\.?[0-9]*|\.[0-9]+)[dwy]`)

// parseDuration parses a Go duration that may also contain days, weeks and years of 365 days.
func parseDuration(text string) (time.Duration, error) {
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

// rateFlag is a rate limit on the command line.
type rateFlag client.RateLimit

// UnmarshalText reads LIMIT/WINDOW.
func (r *rateFlag) UnmarshalText(text []byte) error {
	limit, window, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(limit)
	d, windowErr := parseDuration(window)
	if err != nil || windowErr != nil || n < 1 || d < time.Second || d%time.Second != 0 {
		return errors.New("must be a number of calls and whole seconds that they may come in, such as 100/1m")
	}
	*r = rateFlag{Limit: n, Window: d}
	return nil
}

// quotaFlag is a quota on the command line.
type quotaFlag client.Quota

// UnmarshalText reads LIMIT/PERIOD or LIMIT/PERIOD@DAY.
func (q *quotaFlag) UnmarshalText(text []byte) error {
	limit, rest, _ := strings.Cut(string(text), "/")
	period, day, hasDay := strings.Cut(rest, "@")
	n, err := strconv.Atoi(limit)
	startsOn, dayErr := 1, error(nil)
	if hasDay {
		startsOn, dayErr = strconv.Atoi(day)
	}
	if known := []string{"day", "week", "month"}; err != nil || dayErr != nil || n < 1 || startsOn < 1 || !slices.Contains(known, period) {
		return errors.New("must be a number of units and day, week or month, such as 100000/month, or 100000/month@15 " +
			"for periods that start on day 15")
	}
	*q = quotaFlag{Limit: n, Period: client.Period(period), StartsOn: startsOn}
	return nil
}

// scopeFlag is one --scope: scopes separated by commas or spaces.
type scopeFlag []string

// UnmarshalText splits the list. It refuses an empty scope, which may be an unset variable: without
// that scope the list would mean something else.
func (f *scopeFlag) UnmarshalText(text []byte) error {
	for part := range strings.SplitSeq(string(text), ",") {
		scopes := strings.Fields(part)
		if len(scopes) == 0 {
			return errors.New("must name a scope, or several between commas; there is an empty one")
		}
		*f = append(*f, scopes...)
	}
	return nil
}

// scopesOf returns the scopes of all --scope flags.
func scopesOf(flags []scopeFlag) []string { return slices.Concat(flags...) }

// networkFlag is one --allowed-cidr or --observe-cidr: networks separated by commas or spaces.
type networkFlag []string

// UnmarshalText splits the list. It refuses an empty network, which may be an unset variable: an empty list
// allows every network.
func (f *networkFlag) UnmarshalText(text []byte) error {
	for part := range strings.SplitSeq(string(text), ",") {
		networks := strings.Fields(part)
		if len(networks) == 0 {
			return errors.New("must be a network such as 192.0.2.0/24, or several between commas; there is an empty one")
		}
		*f = append(*f, networks...)
	}
	return nil
}

// networksOf returns the list that the flags set, or nil.
func networksOf(flags []networkFlag, none bool) *[]string {
	return replacement(slices.Concat(flags...), none)
}

// metadataFlag collects all --metadata flags.
type metadataFlag map[string]string

// UnmarshalText reads NAME=TEXT. It refuses a repeated name, because one of the texts would be lost.
func (f *metadataFlag) UnmarshalText(text []byte) error {
	name, value, found := strings.Cut(string(text), "=")
	if !found {
		return errors.New("must be NAME=TEXT")
	}
	if _, twice := (*f)[name]; twice {
		return fmt.Errorf("names %q twice", name)
	}
	(*f)[name] = value
	return nil
}
