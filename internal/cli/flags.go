package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// durations makes every time.Duration flag accept what keyfield.ParseDuration accepts.
var durations = kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(
	func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := keyfield.ParseDuration(text)
		if err == nil {
			target.SetInt(int64(d))
		}
		return err
	}))

// rateFlag is a rate limit on the command line.
type rateFlag client.RateLimit

// UnmarshalText reads LIMIT/WINDOW.
func (r *rateFlag) UnmarshalText(text []byte) error {
	limit, err := keyfield.ParseRateLimit(string(text))
	*r = rateFlag(limit)
	return err
}

// quotaFlag is a quota on the command line.
type quotaFlag client.Quota

// UnmarshalText reads LIMIT/PERIOD or LIMIT/PERIOD@DAY.
func (q *quotaFlag) UnmarshalText(text []byte) error {
	quota, err := keyfield.ParseQuota(string(text))
	*q = quotaFlag(quota)
	return err
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
