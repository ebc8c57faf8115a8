package apikey_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// differ describes how two keys differ. Hashes cannot be printed, but can be compared.
func differ(want, got apikey.Key) string {
	if want.SecretHash != got.SecretHash || want.OldSecretHash != got.OldSecretHash {
		return "other secrets\n" + cmp.Diff(want, got)
	}
	return cmp.Diff(want, got)
}

// fieldsAtFault returns the fields that an error names.
func fieldsAtFault(err error) []string {
	var invalid *apikey.InvalidError
	var fields []string
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			fields = append(fields, f.Field)
		}
	}
	return fields
}

func TestCheckMetadata(t *testing.T) {
	entries := func(n int) apikey.Metadata {
		m := apikey.Metadata{}
		for i := range n {
			m[fmt.Sprint("entry ", i)] = ""
		}
		return m
	}
	secret := apikey.NewSecret("acme_live", apikey.NewID()).Reveal()
	for name, tt := range map[string]struct {
		metadata apikey.Metadata
		ok       bool
	}{
		"nil":                            {nil, true},
		"none":                           {apikey.Metadata{}, true},
		"20 entries":                     {entries(20), true},
		"21 entries":                     {entries(21), false},
		"a name of 1 character":          {apikey.Metadata{"n": "v"}, true},
		"a name of 40 characters":        {apikey.Metadata{strings.Repeat("я", 40): "v"}, true},
		"a name of 41 characters":        {apikey.Metadata{strings.Repeat("я", 41): "v"}, false},
		"a name of 40 emoji":             {apikey.Metadata{strings.Repeat("🙂", 40): "v"}, true},
		"no name":                        {apikey.Metadata{"": "v"}, false},
		"no value":                       {apikey.Metadata{"n": ""}, true},
		"a value of 500 characters":      {apikey.Metadata{"n": strings.Repeat("🙂", 500)}, true},
		"a value of 501 characters":      {apikey.Metadata{"n": strings.Repeat("v", 501)}, false},
		"spaces in a name":               {apikey.Metadata{" cost centre ": "v"}, true},
		"a UUID as name":                 {apikey.Metadata{someUUID: "v"}, true},
		"a dot as name":                  {apikey.Metadata{".": ".."}, true},
		"a line break in a name":         {apikey.Metadata{"a\nb": "v"}, false},
		"NUL in a name":                  {apikey.Metadata{"a\x00": "v"}, false},
		"DEL in a name":                  {apikey.Metadata{"a\x7f": "v"}, false},
		"a C1 control in a name":         {apikey.Metadata{"a\u0085": "v"}, false},
		"a line break in a value":        {apikey.Metadata{"n": "a\r\n\tb"}, true},
		"invalid UTF-8 in a name":        {apikey.Metadata{"a\xff": "v"}, false},
		"invalid UTF-8 in a value":       {apikey.Metadata{"n": "a\xff"}, false},
		"most of a secret as name":       {apikey.Metadata{apikey.NewSecret("a", apikey.NewID()).Reveal()[:40]: "v"}, true},
		"a secret as value":              {apikey.Metadata{"n": secret}, false},
		"a secret among words":           {apikey.Metadata{"n": "it is " + secret + "!"}, false},
		"a mistyped secret as value":     {apikey.Metadata{"n": secret[:len(secret)-1] + "-"}, true},
		"one bad entry among many":       {apikey.Metadata{"a": "", "b": "", "c": secret, "d": ""}, false},
		"a secret in two pieces is none": {apikey.Metadata{"a": secret[:40], "b": secret[40:]}, true},
	} {
		err := apikey.CheckMetadata(tt.metadata)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want allowed: %t", name, err, tt.ok)
		}
		if err != nil && !cmp.Equal(fieldsAtFault(err), []string{"metadata"}) {
			t.Errorf("%s: %#v does not name the field", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error quotes the secret", name)
		}
	}
}

func TestCheckRateLimit(t *testing.T) {
	const limit, window = "rate_limit.limit", "rate_limit.window_seconds"
	for name, tt := range map[string]struct {
		limit int
		per   time.Duration
		field string // empty is allowed
	}{
		"none":                  {0, 0, ""},
		"the smallest":          {1, time.Second, ""},
		"the largest":           {1_000_000, 24 * time.Hour, ""},
		"no calls":              {0, time.Minute, limit},
		"fewer than none":       {-1, time.Minute, limit},
		"one call too many":     {1_000_001, time.Minute, limit},
		"no window":             {1, 0, window},
		"a window backwards":    {1, -time.Second, window},
		"less than a second":    {1, time.Second - 1, window},
		"a second and a half":   {1, 1500 * time.Millisecond, window},
		"a second over a day":   {1, 24*time.Hour + time.Second, window},
		"neither":               {-1, -1, limit},
		"only a window, of one": {0, time.Second, limit},
	} {
		r := apikey.RateLimit{Limit: tt.limit, Window: tt.per}
		err := apikey.CheckRateLimit(r)
		var want []string
		if tt.field != "" {
			want = []string{tt.field}
		}
		if got := fieldsAtFault(err); (err == nil) != (tt.field == "") || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, want %q", name, err, tt.field)
		}
		if r.IsNone() != (name == "none") {
			t.Errorf("%s: IsNone is %t", name, r.IsNone())
		}
	}
}

func TestSettingsOfNewAndChangedKeys(t *testing.T) {
	bad := apikey.RateLimit{Limit: 1}
	_, _, err := apikey.Policy{}.NewKey(noon, apikey.Settings{Owner: "o", Name: "n", ExpiresAt: noon.Add(time.Hour),
		Metadata: apikey.Metadata{"": ""}, RateLimit: bad})
	want := []string{"metadata", "rate_limit.window_seconds"}
	if got := fieldsAtFault(err); !cmp.Equal(got, want) {
		t.Errorf("fields of a draft at fault are %v, want %v", got, want)
	}
	metadata, name, scopes, past := apikey.Metadata{"": ""}, "", apikey.Scopes{""}, noon
	err = apikey.Policy{}.CheckChange(noon, apikey.Change{
		Name: &name, ExpiresAt: &past, Scopes: &scopes, Metadata: &metadata, RateLimit: &bad})
	want = []string{"name", "expires_at", "scopes", "metadata", "rate_limit.window_seconds"}
	if got := fieldsAtFault(err); !cmp.Equal(got, want) {
		t.Errorf("fields of a change at fault are %v, want %v", got, want)
	}
	good, none := apikey.Metadata{}, apikey.RateLimit{}
	if err := (apikey.Policy{}).CheckChange(noon, apikey.Change{Metadata: &good, RateLimit: &none}); err != nil {
		t.Errorf("taking metadata and rate limit away: %v", err)
	}
	// Absent metadata reads like empty metadata.
	if key, _ := rotatable(t, "ak"); key.Metadata == nil {
		t.Error("a new key has nil metadata")
	}
}

func TestApplySettings(t *testing.T) {
	slow, fast := apikey.RateLimit{Limit: 1, Window: time.Minute}, apikey.RateLimit{Limit: 1, Window: time.Second}
	key, _ := rotatable(t, "ak")
	key.Metadata, key.RateLimit = apikey.Metadata{"plan": "pro", "seats": "7"}, slow
	metadata := func(m apikey.Metadata) apikey.Change { return apikey.Change{Metadata: &m} }
	rate := func(r apikey.RateLimit) apikey.Change { return apikey.Change{RateLimit: &r} }
	for name, tt := range map[string]struct {
		change  apikey.Change
		want    func(*apikey.Key)
		changed []string
	}{
		"nothing":               {apikey.Change{}, func(*apikey.Key) {}, nil},
		"the same metadata":     {metadata(apikey.Metadata{"seats": "7", "plan": "pro"}), func(*apikey.Key) {}, nil},
		"a value":               {metadata(apikey.Metadata{"seats": "8", "plan": "pro"}), func(k *apikey.Key) { k.Metadata = apikey.Metadata{"seats": "8", "plan": "pro"} }, []string{"metadata"}},
		"replaced, not merged":  {metadata(apikey.Metadata{"plan": "pro"}), func(k *apikey.Key) { k.Metadata = apikey.Metadata{"plan": "pro"} }, []string{"metadata"}},
		"the same under a name": {metadata(apikey.Metadata{"seat": "7", "plan": "pro"}), func(k *apikey.Key) { k.Metadata = apikey.Metadata{"seat": "7", "plan": "pro"} }, []string{"metadata"}},
		"no metadata":           {metadata(apikey.Metadata{}), func(k *apikey.Key) { k.Metadata = apikey.Metadata{} }, []string{"metadata"}},
		"the same rate limit":   {rate(slow), func(*apikey.Key) {}, nil},
		"another rate limit":    {rate(fast), func(k *apikey.Key) { k.RateLimit = fast }, []string{"rate_limit"}},
		"no rate limit":         {rate(apikey.RateLimit{}), func(k *apikey.Key) { k.RateLimit = apikey.RateLimit{} }, []string{"rate_limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := key
			tt.want(&want)
			got := key.Apply(tt.change)
			var changed []string
			for _, d := range got.Difference(&key, noon) {
				changed = append(changed, d.Field)
			}
			if diff := differ(want, got) + cmp.Diff(tt.changed, changed); diff != "" {
				t.Errorf("the key or the list of changes differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetadataFilters(t *testing.T) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	type entries = []apikey.MetadataEntry
	for name, tt := range map[string]struct {
		texts []string
		want  entries // nil is refused
	}{
		"one":                           {[]string{"plan=pro"}, entries{{"plan", "pro"}}},
		"several":                       {[]string{"b=", "a=1", "b="}, entries{{"b", ""}, {"a", "1"}, {"b", ""}}},
		"more signs":                    {[]string{"a==b=c"}, entries{{"a", "=b=c"}}},
		"as long as may be":             {[]string{strings.Repeat("🙂", 40) + "=" + strings.Repeat("я", 500)}, entries{{strings.Repeat("🙂", 40), strings.Repeat("я", 500)}}},
		"control characters in a value": {[]string{"n=a\x00\n"}, entries{{"n", "a\x00\n"}}},
		"nothing":                       {[]string{""}, nil},
		"a name alone":                  {[]string{"a=b", "plan"}, nil},
		"a value alone":                 {[]string{"=pro"}, nil},
		"a name of 41 characters":       {[]string{strings.Repeat("я", 41) + "="}, nil},
		"a value of 501 characters":     {[]string{"n=" + strings.Repeat("я", 501)}, nil},
		"a line break in a name":        {[]string{"a\nb=c"}, nil},
		"a name that is not UTF-8":      {[]string{"a\xff=c"}, nil},
		"a value that is not UTF-8":     {[]string{"a=c\xff"}, nil},
		"a secret":                      {[]string{"n=" + secret}, nil},
		"a secret among words":          {[]string{"n=my " + secret + "."}, nil},
		"a secret alone":                {[]string{secret}, nil},
	} {
		got, err := apikey.ParseMetadataFilter(tt.texts)
		if !cmp.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
		if err != nil && (!cmp.Equal(fieldsAtFault(err), []string{"metadata"}) || strings.Contains(err.Error(), secret[10:])) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := apikey.ParseMetadataFilter(nil); got != nil || err != nil {
		t.Errorf("no filter: %q, %v", got, err)
	}
}
