package importfile

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func TestValues(t *testing.T) {
	t.Parallel()
	rows, err := Read(strings.NewReader(`{
		"text": "a b", "empty": "", "number": 7, "fraction": 7.9, "huge": 1e400, "null": null, "yes": true, "no": "F", "one": 1, "other": "on",
		"list": ["a", 1, null, "b c"], "list as text": "[\"a\"]", "words": "a, b  c", "object": {"n": 1}, "object as text": "{\"n\":1}"}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := rows.next()
	if err != nil {
		t.Fatal(err)
	}
	object := record{"n": json.Number("1")}
	for name, got := range map[string][2]any{
		"the first that is there": {r.text("absent", "null", "empty", "text", "number"), "a b"},
		"a number as text":        {r.text("number"), "7"},
		"no text":                 {r.text("yes", "list", "object"), ""},
		"a number":                {r.number("number"), 7},
		"a fraction":              {r.number("fraction"), 7},
		"no number":               {r.number("text"), 0},
		"true":                    {r.is("yes", false), true},
		"false as text":           {r.is("no", true), false},
		"one":                     {r.is("one", false), true},
		"neither":                 {r.is("other", true), true},
		"absent":                  {r.is("absent", false), false},
		"a list":                  {r.list("list"), []string{"a", "b c"}},
		"a list as text":          {r.list("list as text"), []string{"a"}},
		"words":                   {r.list("words"), []string{"a", "b", "c"}},
		"one word":                {r.list("one"), []string{"1"}},
		"no list":                 {len(r.list("absent")), 0},
		"an object":               {r.object("object"), object},
		"an object as text":       {r.object("object as text"), object},
		"no object":               {r.object("text") == nil, true},
	} {
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if limit := callsIn(r.number("huge"), r.number("huge")); limit != (client.RateLimit{}) {
		t.Errorf("huge numbers are the limit %+v", limit)
	}
}

func TestProfilesRefuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ from, row, field string }{
		"an unknown column":        {"csv", `{"name":"a","scope":"x"}`, "scope"},
		"a time that is none":      {"csv", `{"name":"a","expires_at":"soon"}`, "expires_at"},
		"metadata that is no JSON": {"csv", `{"name":"a","metadata":"plan=pro"}`, "metadata"},
		"a limit that is none":     {"csv", `{"name":"a","rate_limit":"often"}`, "rate_limit"},
		"a limit of texts":         {"csv", `{"name":"a","rate_limit":{"limit":"10"}}`, "rate_limit"},
		"a quota that is none":     {"csv", `{"name":"a","quota":"{\"limit\":[]}"}`, "quota"},
		"an end that is none":      {"unkey", `{"name":"a","expires":"never"}`, "expires"},
		"an end in words":          {"better-auth", `{"name":"a","expiresAt":"infinity"}`, "expiresAt"},
		"an end with a zone name":  {"litellm", `{"key_alias":"a","expires":"2030-01-31 12:00:00 UTC"}`, "expires"},
	} {
		var row record
		if err := json.Unmarshal([]byte(tt.row), &row); err != nil {
			t.Fatal(err)
		}
		_, err := profiles[tt.from].key(row, noon)
		if fault, ok := errors.AsType[*rowError](err); !ok || fault.field != tt.field {
			t.Errorf("%s: %v, want a fault of %s", name, err, tt.field)
		}
	}
}

func TestKongEnds(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[json.Number]time.Time{
		"0": {}, "-1": {}, "60": noon.Add(time.Minute), "1e10": time.Date(2346, 12, 22, 5, 46, 40, 0, time.UTC),
	} {
		if key, err := kongRow(record{"ttl": ttl}, noon); err != nil || !key.ExpiresAt.Equal(want) {
			t.Errorf("a ttl of %s ends at %s, %v, want %s", ttl, key.ExpiresAt, err, want)
		}
	}
}

// FuzzRead reads files, as each service would have left them.
func FuzzRead(f *testing.F) {
	for _, file := range []string{
		"name,secret\na,b\n", "name\na,b\n", "\"", `[{"name":"a"}]`, `[{"name":"a"}`, `{"data":[null,1,{"keys":[]}]}`, `{"permissions":{"a":["b"]},"expires":"1e999"}`,
		`{"hash":{"value":1},"ratelimits":[{"limit":1e99,"duration":-1}],"identity":"{}"}`, `{"consumer":{"id":1},"ttl":1e18,"tags":[[]]}`,
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		rows, err := Read(strings.NewReader(file))
		if err != nil {
			return
		}
		for row, err := range rows.all() {
			if err != nil {
				return
			}
			for name, profile := range profiles {
				key, err := profile.key(row, noon)
				if err == nil && key.ExpiresAt.Year() < 0 {
					t.Errorf("%s: the key ends at %s", name, key.ExpiresAt)
				}
				profile.lostOf(row)
			}
		}
	})
}
