package conformance

import (
	"net/http"
	"net/url"
	"strings"

	"apikeyd/apikey"
)

func nameChecks() []check {
	const group = "names"
	return []check{
		{group, "exact", "a key is found only by its exact name", needWriteKey, exactNames},
		{group, "ambiguous", "ambiguous names are refused", needWriteKey, badNames},
		{group, "uuids", "a UUID is always an id", needNothing, uuidNames},
		{group, "impossible", "an impossible name is not found", needNothing, impossibleNames},
	}
}

// exactNames creates keys whose names differ only in their encoding.
func exactNames(s *session) {
	keys := make(map[string]created)
	for _, ending := range []string{
		"/b", "%2Fb", "%252Fb", "100%", " b", "+b", "?b=c", "#b", ";b", "&b", "=b", "\\b", "..b", "/../b",
		"ключ", "🙂", "\u00e9", "e\u0301", "B", "b", "\"b\"", "<b>", "b\u200d",
	} {
		name := s.newName() + ending
		a := s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().with("name", name).json()})
		if a.status == http.StatusCreated {
			keys[name] = s.remember(a)
		}
	}
	for name, key := range keys {
		got := s.want(http.StatusOK, request{operation: "getApiKey", key: url.PathEscape(name)})
		if got.status == http.StatusOK && (got.body["id"] != key.id || got.body["name"] != name) {
			s.fail("%s: found %q, want %q", got.about, got.body["name"], name)
		}
	}
	for name, key := range keys {
		got := s.want(http.StatusOK, request{operation: "revokeApiKey", key: url.PathEscape(name)})
		if got.status == http.StatusOK && got.body["id"] != key.id {
			s.fail("%s: revoked %q, want %q", got.about, got.body["name"], name)
		}
	}
}

func badNames(s *session) {
	for why, name := range map[string]any{
		"empty":                  "",
		"256 characters":         strings.Repeat("я", 256),
		"one dot":                ".",
		"two dots":               "..",
		"a line break":           "a\nb",
		"NUL":                    "a\x00b",
		"a C1 control character": "a\u0085b",
		"white space in front":   " a",
		"white space at the end": "a\u3000",
		"a UUID":                 apikey.NewID().String(),
		"a UUID in capitals":     strings.ToUpper(apikey.NewID().String()),
		"the secret of a key":    s.secret,
		"null":                   nil,
		"a number":               1,
		"an array":               []string{"a"},
	} {
		s.refuses("name", request{operation: "createApiKey", body: s.keyBody().with("name", name).json(),
			why: "name: " + why})
		s.refuses("name", request{operation: "updateApiKey", key: s.run, body: fields{"name": name}.json(),
			why: "name: " + why})
	}
	for why, name := range map[string]string{
		"255 characters": strings.Repeat("я", 255-len(s.run)) + s.run,
		"255 emoji":      strings.Repeat("🙂", 255-len(s.run)) + s.run,
	} {
		s.remember(s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().with("name", name).json(), why: "a name of " + why}))
	}
}

func uuidNames(s *session) {
	for why, name := range map[string]string{
		"an id that does not exist": apikey.NewID().String(),
		"a UUID that is no UUIDv7":  "00000000-0000-4000-8000-000000000001",
		"the nil UUID":              "00000000-0000-0000-0000-000000000000",
		"a UUID as URN":             "urn:uuid:" + apikey.NewID().String(),
	} {
		s.want(http.StatusNotFound, request{operation: "getApiKey", key: name, why: why})
	}
}

func impossibleNames(s *session) {
	for why, name := range map[string]string{
		"only a slash":           "%2F",
		"NUL":                    "a%00b",
		"a line break":           "a%0Ab",
		"invalid UTF-8":          "a%FFb",
		"encoded twice":          "a%252Fb",
		"two dots":               "%2E%2E",
		"a name that nobody has": s.run,
		"1,000 characters":       strings.Repeat("a", 1000),
		"the secret of our key":  s.secret,
	} {
		s.want(http.StatusNotFound, request{operation: "getApiKey", key: name, why: why})
	}
}
