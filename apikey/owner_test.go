package apikey_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

func fullOwnerChange() apikey.OwnerChange {
	return apikey.OwnerChange{
		Suspended: new(true), MaxKeys: new(5),
		RateLimit: &apikey.RateLimit{Limit: 10, Window: time.Minute},
		Quota:     &apikey.Quota{Limit: 100, Period: apikey.Week, StartsOn: 3},
		Metadata:  &apikey.Metadata{"plan": "pro"},

		AllowedCIDRs: new(apikey.ParseCIDRs([]string{"192.0.2.7"})),
	}
}

func TestOwnerChange(t *testing.T) {
	t.Parallel()
	before := apikey.Owner{Name: "customer-42"}
	after := before.Apply(fullOwnerChange())
	want := apikey.OwnerSettings{
		Suspended: true, MaxKeys: 5, RateLimit: apikey.RateLimit{Limit: 10, Window: time.Minute},
		Quota: apikey.Quota{Limit: 100, Period: apikey.Week, StartsOn: 3}, Metadata: apikey.Metadata{"plan": "pro"},
		AllowedCIDRs: apikey.ParseCIDRs([]string{"192.0.2.7/32"}),
	}
	if diff := cmp.Diff(want, after.OwnerSettings); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	const differences = `{"allowed_cidrs":{"to":["192.0.2.7/32"]},"enabled":{"from":true,"to":false},"max_keys":{"to":5},` +
		`"metadata":{"from":{},"to":{"plan":"pro"}},"quota":{"to":{"limit":100,"period":"week","starts_on":3}},` +
		`"rate_limit":{"to":{"limit":10,"window_seconds":60}}}`
	if got := after.Difference(before).String(); got != differences {
		t.Errorf("differences\n%s, want\n%s", got, differences)
	}
	if got := after.Apply(apikey.OwnerChange{}).Difference(after); len(got) != 0 {
		t.Errorf("an empty change changes %s", got)
	}
	removed := after.Apply(apikey.OwnerChange{
		Suspended: new(false), MaxKeys: new(0), RateLimit: &apikey.RateLimit{}, Quota: &apikey.Quota{}, Metadata: &apikey.Metadata{},
		AllowedCIDRs: &apikey.CIDRs{},
	})
	if !removed.IsDefault() || after.IsDefault() {
		t.Errorf("after removing all: %+v", removed)
	}
	if got := string(append(after.AppendFields([]byte("{")), '}')); got != `{"allowed_cidrs":["192.0.2.7/32"],"enabled":false,"max_keys":5,"metadata":{"plan":"pro"},`+
		`"quota":{"limit":100,"period":"week","starts_on":3},"rate_limit":{"limit":10,"window_seconds":60}}` {
		t.Errorf("JSON %s", got)
	}
	if got := string(before.AppendFields([]byte("{"))); got != `{"enabled":true,"metadata":{}` {
		t.Errorf("JSON without settings: %s", got)
	}
}

// Every field of OwnerChange changes an owner and is recorded.
func TestOwnerChangeHasEveryField(t *testing.T) {
	t.Parallel()
	full := reflect.ValueOf(fullOwnerChange())
	for i := range full.NumField() {
		var one apikey.OwnerChange
		reflect.ValueOf(&one).Elem().Field(i).Set(full.Field(i))
		if got := (apikey.Owner{}).Apply(one).Difference(apikey.Owner{}); len(got) != 1 {
			t.Errorf("a change of %s is recorded as %s", full.Type().Field(i).Name, got)
		}
	}
	if got, want := full.NumField(), reflect.TypeFor[apikey.OwnerSettings]().NumField(); got != want {
		t.Errorf("%d fields can be changed, and there are %d", got, want)
	}
}

func TestCheckOwnerChange(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change apikey.OwnerChange
		faults []string
	}{
		"nothing":          {apikey.OwnerChange{}, nil},
		"everything":       {fullOwnerChange(), nil},
		"the most keys":    {apikey.OwnerChange{MaxKeys: new(apikey.MaxMaxKeys)}, nil},
		"no bound":         {apikey.OwnerChange{MaxKeys: new(0)}, nil},
		"too many keys":    {apikey.OwnerChange{MaxKeys: new(apikey.MaxMaxKeys + 1)}, []string{"max_keys"}},
		"a negative bound": {apikey.OwnerChange{MaxKeys: new(-1)}, []string{"max_keys"}},
		"several": {apikey.OwnerChange{
			MaxKeys: new(-1), RateLimit: &apikey.RateLimit{Limit: 1}, Quota: &apikey.Quota{Limit: 1, Period: "year"},
			Metadata: &apikey.Metadata{"": ""}, AllowedCIDRs: new(apikey.ParseCIDRs([]string{"192.0.2.7/24"})),
		}, []string{"allowed_cidrs", "max_keys", "metadata", "quota.period", "rate_limit.window_seconds"}},
	} {
		if got := fieldsAtFault(apikey.CheckOwnerChange(tt.change)); !slices.Equal(got, tt.faults) {
			t.Errorf("%s: faults %q, want %q", name, got, tt.faults)
		}
	}
}

func TestOwnerID(t *testing.T) {
	t.Parallel()
	a := apikey.OwnerID("a")
	if a != apikey.OwnerID(strings.Clone("a")) || a == apikey.OwnerID("b") || !a.IsOwner() {
		t.Errorf("the id of an owner is %s", a)
	}
	if apikey.NewID().IsOwner() || (apikey.ID{}).IsOwner() {
		t.Error("the id of a key passes for an owner's")
	}
}

func TestNarrowed(t *testing.T) {
	t.Parallel()
	per := func(limit int, window time.Duration) apikey.RateLimit {
		return apikey.RateLimit{Limit: limit, Window: window}
	}
	month := func(limit int) apikey.Quota { return apikey.Quota{Limit: limit, Period: apikey.Month, StartsOn: 1} }
	day := func(limit int) apikey.Quota { return apikey.Quota{Limit: limit, Period: apikey.Day, StartsOn: 1} }
	from := func(networks ...string) apikey.OwnerSettings {
		return apikey.OwnerSettings{AllowedCIDRs: apikey.ParseCIDRs(networks)}
	}
	type s = apikey.OwnerSettings
	for name, tt := range map[string]struct{ before, later, want s }{
		"nothing":         {s{MaxKeys: 3, RateLimit: per(9, time.Minute), Quota: day(5)}, s{}, s{MaxKeys: 3, RateLimit: per(9, time.Minute), Quota: day(5)}},
		"everything":      {s{}, s{Suspended: true, MaxKeys: 3, RateLimit: per(1, time.Hour), Quota: day(5)}, s{Suspended: true, MaxKeys: 3, RateLimit: per(1, time.Hour), Quota: day(5)}},
		"enabled again":   {s{Suspended: true}, s{MaxKeys: 9}, s{Suspended: true, MaxKeys: 9}},
		"lower limits":    {s{MaxKeys: 3, RateLimit: per(9, time.Minute), Quota: day(5)}, s{MaxKeys: 2, RateLimit: per(100, time.Hour), Quota: month(149)}, s{MaxKeys: 2, RateLimit: per(100, time.Hour), Quota: month(149)}},
		"higher limits":   {s{MaxKeys: 3, RateLimit: per(9, time.Minute), Quota: day(5)}, s{MaxKeys: 4, RateLimit: per(1, time.Second), Quota: month(151)}, s{MaxKeys: 3, RateLimit: per(9, time.Minute), Quota: day(5)}},
		"a smaller burst": {s{RateLimit: per(60, time.Minute)}, s{RateLimit: per(1, time.Second)}, s{RateLimit: per(1, time.Second)}},
		"first networks":  {s{}, from("10.0.0.0/8"), from("10.0.0.0/8")},
		"fewer networks":  {from("10.0.0.0/8", "::/0"), from("10.1.0.0/16"), from("10.1.0.0/16")},
		"other networks":  {from("10.0.0.0/8"), from("192.0.2.0/24"), from("192.0.2.0/24")},
		"more networks":   {from("10.1.0.0/16"), from("10.0.0.0/8", "::/0"), from("10.1.0.0/16")},
		"all networks":    {from("10.1.0.0/16"), s{}, from("10.1.0.0/16")},
		"metadata stay":   {s{Metadata: apikey.Metadata{"a": "b"}}, s{Metadata: apikey.Metadata{"c": "d"}}, s{Metadata: apikey.Metadata{"a": "b"}}},
	} {
		if diff := cmp.Diff(tt.want, tt.before.Narrowed(tt.later)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
