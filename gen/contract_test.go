package gen_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"apikeyd/apikey"
	"apikeyd/gen"
)

func loadContract(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(gen.Contract)
	must(t, err)
	return document
}

// TestContractSuitsGenerators holds what generators of clients were seen to get wrong; see
// docs/decisions.md.
func TestContractSuitsGenerators(t *testing.T) {
	document := loadContract(t)
	kinds := map[string]string{} // of components, by their names as identifiers
	note := func(kind string, names ...string) {
		for _, name := range names {
			plain := strings.ToLower(strings.ReplaceAll(name, "-", ""))
			if other, taken := kinds[plain]; taken {
				t.Errorf("%s %s has the name of one of the %s", kind, name, other)
			}
			kinds[plain] = kind
		}
	}
	c := document.Components
	note("schemas", slices.Collect(maps.Keys(c.Schemas))...)
	note("parameters", slices.Collect(maps.Keys(c.Parameters))...)
	note("headers", slices.Collect(maps.Keys(c.Headers))...)
	note("responses", slices.Collect(maps.Keys(c.Responses))...)

	for path, item := range document.Paths.Map() {
		if len(item.Parameters) > 0 {
			t.Errorf("%s: parameters must stand in each operation", path)
		}
		for _, o := range item.Operations() {
			for _, p := range o.Parameters {
				checkSchema(t, o.OperationID+" "+p.Value.Name, p.Value.Schema.Value)
			}
			for status, response := range o.Responses.Map() {
				media := response.Value.Content["application/json"]
				if status < "4" && response.Ref != "" {
					t.Errorf("%s: the answer %s must stand in the operation", o.OperationID, status)
				}
				if media != nil && len(media.Examples) == 0 {
					t.Errorf("%s: the answer %s has no example", o.OperationID, status)
				}
			}
			if o.RequestBody == nil {
				continue
			}
			for _, media := range o.RequestBody.Value.Content {
				if len(media.Examples) == 0 {
					t.Errorf("%s: the request has no example", o.OperationID)
				}
			}
		}
	}
	for name, schema := range c.Schemas {
		if schema.Value.Description == "" {
			t.Errorf("%s has no description", name)
		}
		checkSchema(t, name, schema.Value)
	}
}

func checkSchema(t *testing.T, name string, s *openapi3.Schema) {
	t.Helper()
	if s.Default != nil {
		t.Errorf("%s has a default; say it in the description", name)
	}
	if s.Type.Is("integer") && s.Format == "" {
		t.Errorf("%s is an integer without a format", name)
	}
	for property, schema := range s.Properties {
		if schema.Ref == "" {
			checkSchema(t, name+"."+property, schema.Value)
		}
		if schema.Ref == "" && schema.Value.Description == "" && len(schema.Value.AllOf) == 0 &&
			property != "from" && property != "to" {
			t.Errorf("%s.%s has no description", name, property)
		}
	}
	for _, part := range s.AllOf {
		if part.Ref == "" {
			checkSchema(t, name, part.Value)
		}
	}
}

// TestExamplesAreTrue holds the examples against what their schemas cannot say: a mock server answers
// with them.
func TestExamplesAreTrue(t *testing.T) {
	document := loadContract(t)
	codes := document.Components.Schemas["ErrorResponse"].Value.Properties["code"].Value.Description
	seen := map[string]bool{}
	for _, item := range document.Paths.Map() {
		for _, o := range item.Operations() {
			for status, response := range o.Responses.Map() {
				media := response.Value.Content["application/json"]
				if media == nil {
					continue
				}
				for name, example := range media.Examples {
					where := fmt.Sprintf("%s %s, example %s", o.OperationID, status, name)
					value, ok := example.Value.Value.(map[string]any)
					if list, isList := example.Value.Value.([]any); isList {
						checkFeedback(t, where, o, list)
						continue
					}
					if !ok {
						t.Fatalf("%s is no object", where)
					}
					if status >= "4" {
						checkError(t, where, status, codes, value)
						continue
					}
					checkKeys(t, where, value)
					if o.OperationID == "verifyApiKey" {
						checkDecision(t, where, value)
						seen[value["code"].(string)] = true
					}
				}
			}
		}
	}
	for _, code := range document.Components.Schemas["VerifyCode"].Value.Enum {
		if !seen[code.(string)] {
			t.Errorf("verifyApiKey has no example with the code %s", code)
		}
	}
}

var codesOfStatus = regexp.MustCompile(`([A-Z_, \n]+)\((\d{3})\)`)

// checkError wants the status of the answer, and a code that the description lists with it.
func checkError(t *testing.T, where, status, codes string, value map[string]any) {
	t.Helper()
	told, code := fmt.Sprint(value["status"]), fmt.Sprint(value["code"])
	if told != status && status != "default" {
		t.Errorf("%s: the body says status %s", where, told)
	}
	known := false
	for _, m := range codesOfStatus.FindAllStringSubmatch(codes, -1) {
		known = known || m[2] == told && slices.Contains(strings.FieldsFunc(m[1], func(r rune) bool {
			return strings.ContainsRune(", \n", r)
		}), code)
	}
	if !known {
		t.Errorf("%s: %s is no code of status %s", where, code, told)
	}
	if details, _ := value["details"].([]any); (len(details) > 0) != (told == "400") {
		t.Errorf("%s: details are %v", where, details)
	}
}

// checkFeedback wants the hash of each token of the request's example.
func checkFeedback(t *testing.T, where string, o *openapi3.Operation, feedback []any) {
	t.Helper()
	found := o.RequestBody.Value.Content["application/json"].Examples["found"].Value.Value.([]any)
	if len(found) != len(feedback) {
		t.Fatalf("%s: %d entries about %d tokens", where, len(feedback), len(found))
	}
	for i := range found {
		hash := sha256.Sum256([]byte(found[i].(map[string]any)["token"].(string)))
		if want := base64.StdEncoding.EncodeToString(hash[:]); feedback[i].(map[string]any)["token_hash"] != want {
			t.Errorf("%s: the hash is not %s", where, want)
		}
	}
}

// checkKeys checks each key in a value.
func checkKeys(t *testing.T, where string, value any) {
	t.Helper()
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			checkKeys(t, where, item)
		}
	case map[string]any:
		if value["prefix"] != nil {
			checkKey(t, where, value)
		}
		for _, inner := range value {
			checkKeys(t, where, inner)
		}
	}
}

func checkKey(t *testing.T, where string, key map[string]any) {
	t.Helper()
	at := func(name string) time.Time {
		stamp, err := apikey.ParseTimestamp(fmt.Sprint(key[name]))
		must(t, err)
		return stamp.Time()
	}
	today := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) // in all examples
	expired := at("expires_at").Before(today)
	want := "ACTIVE"
	switch {
	case key["revoked_at"] != nil, key["enabled"] == false:
		want = "REVOKED"
	case expired:
		want = "EXPIRED"
	}
	if key["status"] != want {
		t.Errorf("%s: the key is %s, want %s", where, key["status"], want)
	}
	if key["grace_ends_at"] != nil && want != "ACTIVE" {
		t.Errorf("%s: only an ACTIVE key is rotated", where)
	}
	id, err := apikey.ParseID(fmt.Sprint(key["id"]))
	must(t, err)
	made, err := strconv.ParseInt(strings.ReplaceAll(id.String()[:13], "-", ""), 16, 64) // a UUIDv7 says when
	must(t, err)
	if got := time.UnixMilli(made); !got.Equal(at("created_at")) {
		t.Errorf("%s: the id was made at %s", where, got.UTC())
	}
	if key["secret"] == nil {
		return
	}
	secret, err := apikey.ParseSecret(fmt.Sprint(key["secret"]))
	must(t, err)
	if secret.ID() != id || secret.Prefix() != key["prefix"] {
		t.Errorf("%s: the secret is of another key", where)
	}
}

func checkDecision(t *testing.T, where string, value map[string]any) {
	t.Helper()
	code := value["code"]
	if value["valid"] != (code == "VALID") || (value["key"] != nil) == (code == "NOT_FOUND") ||
		(value["retry_after_seconds"] != nil) != (code == "RATE_LIMITED" || code == "QUOTA_EXCEEDED") ||
		code == "QUOTA_EXCEEDED" && value["quota"] == nil {
		t.Errorf("%s contradicts itself: %v", where, value)
	}
	key, _ := value["key"].(map[string]any)
	status := fmt.Sprint(key["status"])
	if key != nil && (code == "REVOKED" || code == "EXPIRED") != (status == code) {
		t.Errorf("%s: the key is %s", where, status)
	}
}

// TestPatternsOfNames holds the pattern of names against the rules, as far as a regular expression says
// them: no look-ahead, so that every dialect has it.
func TestPatternsOfNames(t *testing.T) {
	document := loadContract(t)
	for _, schema := range []string{"Name", "Owner"} {
		pattern := regexp.MustCompile(document.Components.Schemas[schema].Value.Pattern)
		for _, text := range []string{
			"a", "ci pipeline", "...", ".a", "a.", "..a", ". a", "/", "%2F", "ключ", "🙂", "a\u200bb", "\u200b",
			"", ".", "..", " a", "a ", "\ta", "a\nb", "a\x00", "\x7f", "a\u0085b", " ", "a\n",
		} {
			if got, want := pattern.MatchString(text), apikey.CheckOwner(text) == nil; got != want {
				t.Errorf("%s: the pattern takes %q: %t, want %t", schema, text, got, want)
			}
		}
	}
}
