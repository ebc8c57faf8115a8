package conformance

import (
	"net/http"
	"strings"
)

func bodyChecks() []check {
	const group = "bodies"
	return []check{
		{group, "strict-json", "JSON is parsed strictly", needWriteKey, strictJSON},
		{group, "properties", "properties have the types and limits of the contract", needWriteKey, wrongProperties},
		{group, "media-types", "the media type must be application/json", needWriteKey, mediaTypes},
		{group, "huge", "bodies over 64 KiB and deep nesting are refused", needWriteKey, hugeBodies},
		{group, "unexpected", "an unexpected body is refused", needNothing, needlessBodies},
	}
}

func strictJSON(s *session) {
	const end = `"expires_at":"2099-01-01T00:00:00Z"`
	for why, body := range map[string]string{
		"no JSON":                        `name=a`,
		"cut off":                        `{"name":"a",` + end,
		"an array":                       `[{"name":"a",` + end + `}]`,
		"null":                           `null`,
		"a string":                       `"a"`,
		"data after the object":          `{"name":"a",` + end + `}{}`,
		"a property twice":               `{"name":"a","name":"b",` + end + `}`,
		"a property twice, once escaped": `{"name":"a","n\u0061me":"b",` + end + `}`,
		"a comment":                      `{"name":"a",` + end + `/* */}`,
		"a trailing comma":               `{"name":"a",` + end + `,}`,
		"single quotes":                  `{'name':'a',` + end + `}`,
		"invalid UTF-8":                  "{\"name\":\"a\xff\"," + end + "}",
		"half a surrogate pair":          `{"name":"\ud800",` + end + `}`,
		"a byte order mark":              "\ufeff{\"name\":\"a\"," + end + "}",
	} {
		s.refuses("body", request{operation: "createApiKey", body: body, why: why})
		s.refuses("body", request{operation: "updateApiKey", key: s.run, body: body, why: why})
	}
	for why, tt := range map[string]struct{ field, body string }{
		"a name in capitals":  {"Name", `{"Name":"a",` + end + `}`},
		"an unknown property": {"colour", `{"name":"a",` + end + `,"colour":"red"}`},
	} {
		s.refuses(tt.field, request{operation: "createApiKey", body: tt.body, why: why})
		s.refuses(tt.field, request{operation: "updateApiKey", key: s.run, body: tt.body, why: why})
	}
	s.refuses("body", request{operation: "createApiKey", why: "no body at all",
		header: http.Header{"Content-Type": {"application/json"}}})
}

func wrongProperties(s *session) {
	good := s.keyBody()
	for why, tt := range map[string]struct {
		field string
		body  fields
	}{
		"no name":                    {"name", fields{"expires_at": good["expires_at"]}},
		"no expires_at":              {"expires_at", fields{"name": good["name"]}},
		"nothing":                    {"name", fields{}},
		"expires_at is null":         {"expires_at", good.with("expires_at", nil)},
		"expires_at is a number":     {"expires_at", good.with("expires_at", 4102444800)},
		"owner is empty":             {"owner", good.with("owner", "")},
		"owner is null":              {"owner", good.with("owner", nil)},
		"owner has a line break":     {"owner", good.with("owner", "a\nb")},
		"scopes is a string":         {"scopes", good.with("scopes", "keys:read")},
		"scopes is null":             {"scopes", good.with("scopes", nil)},
		"a scope is a number":        {"scopes", good.with("scopes", []any{1})},
		"a scope is empty":           {"scopes", good.with("scopes", []string{""})},
		"a scope has a space":        {"scopes", good.with("scopes", []string{"a b"})},
		"a scope has a comma":        {"scopes", good.with("scopes", []string{"a,b"})},
		"a scope has 129 characters": {"scopes", good.with("scopes", []string{strings.Repeat("a", 129)})},
		"a scope comes twice":        {"scopes", good.with("scopes", []string{"a", "a"})},
		"65 scopes":                  {"scopes", good.with("scopes", strings.Split(strings.Repeat("a", 64), ""))},
		"an unknown keys: scope":     {"scopes", good.with("scopes", []string{"keys:everything"})},
	} {
		s.refuses(tt.field, request{operation: "createApiKey", body: tt.body.json(), why: why})
	}
	s.refuses("owner", request{operation: "updateApiKey", key: s.run, body: fields{"owner": s.owner}.json(),
		why: "owner cannot be changed"})
}

func mediaTypes(s *session) {
	for why, types := range map[string][]string{
		"none":             nil,
		"text":             {"text/plain"},
		"a form":           {"application/x-www-form-urlencoded"},
		"not a media type": {"json"},
		"twice":            {"application/json", "application/json"},
		"another charset":  {"application/json; charset=utf-16"},
	} {
		s.refuses("Content-Type", request{operation: "createApiKey", body: s.keyBody().json(),
			header: http.Header{"Content-Type": types}, why: "media type: " + why})
	}
	a := s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().json(),
		header: http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, why: "media type with charset"})
	if id, ok := a.body["id"].(string); ok {
		s.made = append(s.made, created{id: id})
	}
}

func hugeBodies(s *session) {
	const limit = maxBody
	body := s.keyBody().json()
	pad := func(size int) string { return body + padding(size-len(body)) }
	a := s.want(http.StatusCreated, request{operation: "createApiKey", body: pad(limit), why: "exactly 64 KiB"})
	if id, ok := a.body["id"].(string); ok {
		s.made = append(s.made, created{id: id})
	}
	for _, r := range []request{{operation: "createApiKey"}, {operation: "updateApiKey", key: s.run}} {
		r.body, r.why = pad(limit+1), "one byte more than 64 KiB"
		s.want(http.StatusRequestEntityTooLarge, r)
	}
	for why, bomb := range map[string]string{
		"10,000 arrays":          strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
		"60,000 open arrays":     strings.Repeat("[", 60000),
		"8,000 objects":          strings.Repeat(`{"a":`, 8000) + "1" + strings.Repeat("}", 8000),
		"arrays inside the name": `{"name":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	} {
		s.refuses("body", request{operation: "createApiKey", body: bomb, why: why})
	}
}

// padding returns white space, which may follow JSON.
func padding(size int) string { return strings.Repeat(" ", size) }

func needlessBodies(s *session) {
	s.refuses("body", request{operation: "listApiKeys", body: "{}", why: "with a body"})
	s.refuses("body", request{operation: "getApiKey", key: s.run, body: "{}", why: "with a body"})
	if s.missing(needWriteKey) == "" {
		s.refuses("body", request{operation: "revokeApiKey", key: s.run, body: "{}", why: "with a body"})
	}
}
