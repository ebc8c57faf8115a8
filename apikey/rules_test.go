package apikey_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

const someUUID = "0197A1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f"

func TestNames(t *testing.T) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for name, tt := range map[string]struct {
		text          string
		key, forOwner bool // allowed as a key's name, as an owner
	}{
		"plain":                          {"ci", true, true},
		"one character":                  {"x", true, true},
		"255 characters":                 {strings.Repeat("я", 255), true, true},
		"256 characters":                 {strings.Repeat("я", 256), false, false},
		"255 emoji":                      {strings.Repeat("🙂", 255), true, true},
		"empty":                          {"", false, false},
		"slash, per cent, dots":          {"../a%2Fb", true, true},
		"three dots":                     {"...", true, true},
		"one dot":                        {".", false, false},
		"two dots":                       {"..", false, false},
		"space inside":                   {"a b", true, true},
		"space at the end":               {"a ", false, false},
		"no-break space in front":        {"\u00a0a", false, false},
		"ideographic space at the end":   {"a\u3000", false, false},
		"line break":                     {"a\nb", false, false},
		"NUL":                            {"a\x00b", false, false},
		"DEL":                            {"a\x7fb", false, false},
		"C1 control":                     {"a\u0085b", false, false},
		"zero-width joiner":              {"a\u200db", true, true},
		"invalid UTF-8":                  {"a\xff", false, false},
		"UUID":                           {someUUID, false, true},
		"UUID without hyphens":           {strings.ReplaceAll(someUUID, "-", ""), true, true},
		"UUID in braces":                 {"{" + someUUID + "}", true, true},
		"UUID as URN":                    {"urn:uuid:" + someUUID, true, true},
		"a secret":                       {secret, false, false},
		"a secret inside":                {"key: " + secret + ".", false, false},
		"a secret with a wrong checksum": {secret[:len(secret)-1] + "-", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := apikey.CheckName(tt.text); (err == nil) != tt.key {
				t.Errorf("CheckName says %v, want allowed: %t", err, tt.key)
			}
			if err := apikey.CheckOwner(tt.text); (err == nil) != tt.forOwner {
				t.Errorf("CheckOwner says %v, want allowed: %t", err, tt.forOwner)
			}
			var invalid *apikey.InvalidError
			if err := apikey.CheckName(tt.text); err != nil && (!errors.As(err, &invalid) || invalid.Fields[0].Field != "name") {
				t.Errorf("%#v does not name the field", err)
			}
		})
	}
}

func TestCheckScopes(t *testing.T) {
	numbered := func(n int) (scopes apikey.Scopes) {
		for i := range n {
			scopes = append(scopes, fmt.Sprint("scope:", i))
		}
		return scopes
	}
	for name, tt := range map[string]struct {
		scopes apikey.Scopes
		ok     bool
	}{
		"none":                {nil, true},
		"ours":                {apikey.Scopes{"keys:read", "keys:write", "keys:verify", "keys:admin"}, true},
		"theirs":              {apikey.Scopes{"datasets:read", "https://example.com/scope", "!#[]~"}, true},
		"keys without colon":  {apikey.Scopes{"keys"}, true},
		"unknown of ours":     {apikey.Scopes{"keys:rotate"}, false},
		"bare namespace":      {apikey.Scopes{"keys:"}, false},
		"twice":               {apikey.Scopes{"a", "b", "a"}, false},
		"empty":               {apikey.Scopes{""}, false},
		"space":               {apikey.Scopes{"a b"}, false},
		"comma":               {apikey.Scopes{"a,b"}, false},
		"quote":               {apikey.Scopes{`a"b`}, false},
		"backslash":           {apikey.Scopes{`a\b`}, false},
		"not ASCII":           {apikey.Scopes{"ключ"}, false},
		"control character":   {apikey.Scopes{"a\x1f"}, false},
		"128 characters":      {apikey.Scopes{strings.Repeat("a", 128)}, true},
		"129 characters":      {apikey.Scopes{strings.Repeat("a", 129)}, false},
		"64 scopes":           {numbered(64), true},
		"65 scopes":           {numbered(65), false},
		"the secret of a key": {apikey.Scopes{apikey.NewSecret("ak", apikey.NewID()).Reveal()}, false},
	} {
		if err := apikey.CheckScopes(tt.scopes); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want allowed: %t", name, err, tt.ok)
		}
	}
}

// For a list with commas, the message names the separate scopes.
func TestCommaFault(t *testing.T) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for scope, want := range map[string]string{
		"datasets:read,reports:read": `must not hold a comma: write "datasets:read" and "reports:read" as separate scopes`,
		"a,b,c":                      `must not hold a comma: write "a", "b" and "c" as separate scopes`,
		"datasets:read,":             `must not hold a comma: write "datasets:read"`,
		",":                          "must not be a comma",
		secret + ",a":                `must not hold a comma: write "[redacted]" and "a" as separate scopes`,
		"datasets:read":              "",
		`a,b"`:                       "", // has another fault too
	} {
		if got := apikey.CommaFault(scope); got != want {
			t.Errorf("%s: %s, want %s", scope, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	admin := apikey.Scopes{apikey.ScopeAdmin}
	reader := apikey.Scopes{apikey.ScopeRead, "datasets:read"}
	for _, scope := range []string{apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify, apikey.ScopeAdmin} {
		if !admin.Has(scope) {
			t.Errorf("keys:admin lacks %s", scope)
		}
	}
	if admin.Has("datasets:read") || admin.Has("keys:other") {
		t.Error("keys:admin satisfies a scope of an integrator")
	}
	if got := reader.Missing(apikey.Scopes{"datasets:read", "datasets:write", apikey.ScopeAdmin}); !cmp.Equal(got,
		apikey.Scopes{"datasets:write", apikey.ScopeAdmin}) {
		t.Errorf("missing are %v", got)
	}
	if got := admin.Ungrantable(apikey.Scopes{"anything"}); got != nil {
		t.Errorf("keys:admin may not grant %v", got)
	}
	for _, scopes := range []apikey.Scopes{admin, reader, {}} {
		if got := apikey.ParseScopes(scopes.String()); !cmp.Equal(got, scopes) {
			t.Errorf("%q is read as %q", scopes.String(), got)
		}
	}
	for _, tt := range []struct{ creator, want apikey.Scopes }{
		{admin, apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite}},
		{reader, apikey.Scopes{apikey.ScopeRead}},
		{apikey.Scopes{apikey.ScopeWrite, apikey.ScopeVerify}, apikey.Scopes{apikey.ScopeWrite}},
		{nil, apikey.Scopes{}},
	} {
		if got := tt.creator.Inherited(); !cmp.Equal(got, tt.want) {
			t.Errorf("a key of %v inherits %v, want %v", tt.creator, got, tt.want)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for text, want := range map[string]string{
		"2030-01-31T12:00:00Z":                 "2030-01-31T12:00:00.000Z",
		"2030-01-31T12:00:00.1239999Z":         "2030-01-31T12:00:00.123Z",
		"2030-01-31T12:00:00+02:00":            "2030-01-31T10:00:00.000Z",
		"2030-01-31T12:00:00-00:00":            "2030-01-31T12:00:00.000Z",
		"2030-01-31T12:00:00+23:59":            "2030-01-30T12:01:00.000Z",
		"2028-02-29T00:00:00Z":                 "2028-02-29T00:00:00.000Z",
		"9999-12-31T23:59:59.999999Z":          "9999-12-31T23:59:59.999Z",
		"0000-01-01T00:00:00Z":                 "0000-01-01T00:00:00.000Z",
		"":                                     "",
		"2030-01-31":                           "",
		"2030-01-31T12:00:00":                  "",
		"2030-01-31 12:00:00Z":                 "",
		"2030-01-31t12:00:00Z":                 "",
		"2030-01-31T12:00:00z":                 "",
		"2030-01-31T12:00:00,5Z":               "",
		"2030-01-31T12:00:00.Z":                "",
		"2030-01-31T2:00:00Z":                  "",
		"2030-01-31T12:00Z":                    "",
		"2030-01-31T12:00:00+0200":             "",
		"2030-01-31T12:00:00+24:00":            "",
		"2030-01-31T12:00:00+02:60":            "",
		"2030-01-31T24:00:00Z":                 "",
		"2030-02-30T12:00:00Z":                 "",
		"2027-02-29T00:00:00Z":                 "",
		"2016-12-31T23:59:60Z":                 "", // a real leap second
		"9999-12-31T23:59:59-00:01":            "",
		"0000-01-01T00:00:00+00:01":            "",
		"10000-01-01T00:00:00Z":                "",
		"-001-01-01T00:00:00Z":                 "",
		" 2030-01-31T12:00:00Z":                "",
		"2030-01-31T12:00:00Z\n":               "",
		"2030-01-31T12:00:00.000000000000001Z": "2030-01-31T12:00:00.000Z",
	} {
		got, err := apikey.ParseTimestamp(text)
		switch {
		case err != nil && !errors.Is(err, apikey.ErrNotTimestamp):
			t.Errorf("%q: error is %v", text, err)
		case (err == nil) != (want != "") || err == nil && got.String() != want:
			t.Errorf("%q is read as %s (%v), want %q", text, got, err, want)
		}
	}
}

func TestTimestampAsText(t *testing.T) {
	var stamp apikey.Timestamp
	if err := json.Unmarshal([]byte(`"2030-01-31T12:00:00.5+02:00"`), &stamp); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2030, 1, 31, 10, 0, 0, 5e8, time.UTC); !stamp.Time().Equal(want) {
		t.Errorf("read as %s", stamp)
	}
	if text, err := json.Marshal(stamp); err != nil || string(text) != `"2030-01-31T10:00:00.500Z"` {
		t.Errorf("written as %s (%v)", text, err)
	}
	if err := json.Unmarshal([]byte(`"tomorrow"`), &stamp); !errors.Is(err, apikey.ErrNotTimestamp) {
		t.Errorf("error is %v", err)
	}
}

func FuzzTimestamp(f *testing.F) {
	f.Add("2030-01-31T12:00:00.5+02:00")
	f.Add("9999-12-31T23:59:60Z")
	f.Fuzz(func(t *testing.T, text string) {
		stamp, err := apikey.ParseTimestamp(text)
		if err != nil {
			return
		}
		again, err := apikey.ParseTimestamp(stamp.String())
		if err != nil || again != stamp {
			t.Fatalf("%q becomes %s, which becomes %s (%v)", text, stamp, again, err)
		}
	})
}

func TestPolicy(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 999, time.UTC)
	policy := apikey.Policy{Prefix: "acme", MaxLifetime: time.Hour}
	draft := apikey.Settings{Owner: "o", Name: "n", ExpiresAt: now.Add(time.Hour)}

	key, secret, err := policy.NewKey(now, draft)
	if err != nil {
		t.Fatal(err)
	}
	if key.ID != secret.ID() || key.SecretHash != secret.Hash() || key.Prefix != secret.Prefix() ||
		!strings.HasPrefix(key.Prefix, "acme_") {
		t.Error("key and secret do not belong together")
	}
	if !key.CreatedAt.Equal(now.Truncate(time.Millisecond)) || key.ExpiresAt.Nanosecond()%1e6 != 0 {
		t.Error("times are not in whole milliseconds")
	}
	if _, secret, err := (apikey.Policy{}).NewKey(now, draft); err != nil || !strings.HasPrefix(secret.Prefix(), "ak_") {
		t.Errorf("the zero policy mints %s (%v)", secret.Prefix(), err)
	}

	for name, expiresAt := range map[string]time.Time{
		"now":                      now,
		"within this millisecond":  now.Add(time.Microsecond),
		"too late for the maximum": now.Add(time.Hour + time.Millisecond),
	} {
		if err := policy.CheckChange(now, apikey.Change{ExpiresAt: &expiresAt}); err == nil {
			t.Errorf("an end that is %s is allowed", name)
		}
	}
	if tooLate := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC); (apikey.Policy{}).CheckChange(now,
		apikey.Change{ExpiresAt: &tooLate}) == nil {
		t.Error("the year 10000 is allowed")
	}
	if got := policy.Longest(2 * time.Hour); got != time.Hour {
		t.Errorf("Longest is %s", got)
	}
	if got := (apikey.Policy{}).Longest(2 * time.Hour); got != 2*time.Hour {
		t.Errorf("Longest without a maximum is %s", got)
	}
}

// TestEveryFaultIsListed expects a message for each invalid field, not only the first.
func TestEveryFaultIsListed(t *testing.T) {
	_, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{Owner: "..", Name: "\n", Scopes: apikey.Scopes{"keys:x"}})
	var invalid *apikey.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range invalid.Fields {
		fields = append(fields, f.Field)
	}
	if want := []string{"name", "expires_at", "owner", "scopes"}; !cmp.Equal(fields, want) {
		t.Errorf("fields at fault are %v, want %v", fields, want)
	}
}

func TestApply(t *testing.T) {
	key := apikey.Key{Settings: apikey.Settings{Name: "n", Scopes: apikey.Scopes{"a"},
		Metadata: apikey.Metadata{}, ExpiresAt: time.UnixMilli(5000).UTC()}}
	name, end, scopes := "m", key.ExpiresAt.Add(time.Minute), apikey.Scopes{"a", "b"}
	got := key.Apply(apikey.Change{Name: &name, ExpiresAt: &end, Scopes: &scopes})
	want := key
	want.Name, want.Scopes, want.ExpiresAt = name, scopes, end
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantDifferences(t, got.Difference(&key, noon), `{"expires_at":{"from":"1970-01-01T00:00:05.000Z","to":"1970-01-01T00:01:05.000Z"},`+
		`"name":{"from":"n","to":"m"},"scopes":{"from":["a"],"to":["a","b"]}}`)
	almost := key.ExpiresAt.Add(time.Microsecond)
	if got := key.Apply(apikey.Change{ExpiresAt: &almost}); !cmp.Equal(got, key) {
		t.Error("less than a millisecond changed the key")
	}
}

func TestParseID(t *testing.T) {
	id := apikey.NewID()
	for text, ok := range map[string]bool{
		id.String():                              true,
		strings.ToUpper(id.String()):             true,
		"00000000-0000-4000-8000-000000000001":   true,
		strings.ReplaceAll(id.String(), "-", ""): false,
		"{" + id.String() + "}":                  false,
		"urn:uuid:" + id.String():                false,
		id.String()[:35] + "g":                   false,
		"":                                       false,
	} {
		if _, err := apikey.ParseID(text); (err == nil) != ok {
			t.Errorf("ParseID(%q): %v, want accepted: %t", text, err, ok)
		}
	}
	if id.IsZero() || !(apikey.ID{}).IsZero() {
		t.Error("IsZero cannot tell ids apart")
	}
	last := apikey.NewID()
	for range 10000 {
		next := apikey.NewID()
		if next.String() <= last.String() {
			t.Fatalf("%s was made after %s", next, last)
		}
		last = next
	}
}
