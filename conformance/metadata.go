package conformance

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

func metadataChecks() []check {
	const group = "metadata"
	return []check{
		{group, "stored", "metadata is stored unchanged and replaced as a whole", needWriteKey, keptMetadata},
		{group, "limits", "metadata has at most 20 entries, names of 40 and values of 500 characters", needWriteKey, metadataLimits},
	}
}

// fullMetadata returns metadata at all its limits.
func fullMetadata() fields {
	all := fields{}
	for i := range 20 {
		name := fmt.Sprintf("%02d", i)
		all[name+strings.Repeat("я", 38)] = strings.Repeat("ж", 500)
	}
	return all
}

func keptMetadata(s *session) {
	key := s.create(s.keyBody())
	if !reflect.DeepEqual(key.body["metadata"], map[string]any{}) {
		s.fail("a key created without metadata has %v", key.body["metadata"])
	}
	odd := fields{"empty": "", "Case": "a", "case": "b", " space ": " \n ", "ключ": "🙂", `"\/`: `"\/`, "null": "null"}
	key = s.create(s.keyBody().with("metadata", odd))
	s.wantMetadata("a new key", key.body, odd)
	for _, tt := range []struct {
		why          string
		change, want fields
	}{
		{"changing nothing", fields{}, odd},
		{"changing the name", fields{"name": s.newName()}, odd},
		{"replacing it by one entry", fields{"metadata": fields{"case": "c"}}, fields{"case": "c"}},
		{"replacing it by as much as there may be", fields{"metadata": fullMetadata()}, fullMetadata()},
		{"taking all of it away", fields{"metadata": fields{}}, fields{}},
	} {
		a := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: tt.change.json(), why: tt.why})
		s.wantMetadata(tt.why, a.body, tt.want)
		s.wantMetadata("after "+tt.why, s.get(key.id, "after "+tt.why), tt.want)
	}
	key = s.create(s.keyBody().with("metadata", fullMetadata()))
	s.wantMetadata("a new key with as much as there may be", key.body, fullMetadata())
}

func (s *session) wantMetadata(why string, body map[string]any, want fields) {
	if got := body["metadata"]; !reflect.DeepEqual(got, map[string]any(want)) {
		s.fail("%s: metadata is %.200v, want %.200v", why, got, want)
	}
}

func metadataLimits(s *session) {
	for why, metadata := range map[string]any{
		"null":                           nil,
		"a string":                       "plan=pro",
		"an array":                       []string{"plan"},
		"a value is null":                fields{"plan": nil},
		"a value is a number":            fields{"plan": 1},
		"a value is an object":           fields{"plan": fields{"a": "b"}},
		"a value of 501 characters":      fields{"plan": strings.Repeat("я", 501)},
		"an empty name":                  fields{"": "pro"},
		"a name of 41 characters":        fields{strings.Repeat("я", 41): "pro"},
		"a line break in a name":         fields{"a\nb": "pro"},
		"a C1 control character in one":  fields{"a\u0085b": "pro"},
		"21 entries":                     fullMetadata().with("more", "x"),
		"the secret of a key as a value": fields{"plan": s.secret},
		"the secret of a key in a value": fields{"plan": "key=" + s.secret + ";"},
	} {
		s.refuses("metadata", request{operation: "createApiKey",
			body: s.keyBody().with("metadata", metadata).json(), why: "metadata: " + why})
		s.refuses("metadata", request{operation: "updateApiKey", key: s.run,
			body: fields{"metadata": metadata}.json(), why: "metadata: " + why})
	}
}
