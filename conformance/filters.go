package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
)

func filterChecks() []check {
	const group = "filters"
	return []check{
		{group, "status", "status finds the keys with that status now", needWriteKey, statusFilter},
		{group, "name", "name_contains matches literally", needWriteKey, nameFilter},
		{group, "scope", "scope finds the keys that have it as a whole", needAdminKey | needWriteKey, scopeFilter},
		{group, "metadata", "metadata finds the keys that have every entry exactly", needWriteKey, metadataFilter},
		{group, "search", "search finds names and owners in any case, and prefixes", needWriteKey, searchFilter},
		{group, "times", "expires_before and last_used_before exclude their own time", needWriteKey, timeFilters},
		{group, "rotating", "rotating finds the keys whose old secret still works", needWriteKey, rotatingFilter},
		{group, "together", "filters combine, and apply to the owner's keys and the number of pages", needWriteKey, filtersTogether},
		{group, "invalid", "an invalid filter is refused", needNothing, badFilters},
	}
}

// family is a set of keys whose names share a unique part.
type family struct {
	s      *session
	marker string
	query  string // finds these keys and no others
	keys   map[string]created
	order  []string // names without the marker, oldest first
}

func (s *session) newFamily() *family {
	marker := s.newName() + "|"
	_, owner := s.listOwner()
	return &family{s: s, marker: marker, query: "&name_contains=" + url.QueryEscape(marker) + owner, keys: make(map[string]created)}
}

// add creates a key of the family. It is never used, so its last use counts from its creation.
func (f *family) add(name string, more fields) bool {
	owner, _ := f.s.listOwner()
	body := fields{"name": f.marker + name, "owner": owner, "scopes": []string{}, "expires_at": inAnHour()}
	for property, value := range more {
		body[property] = value
	}
	key, ok := f.s.create(body)
	f.keys[name] = key
	f.order = append([]string{name}, f.order...)
	return ok
}

// wants lists with a query, page by page, and checks that it finds exactly these keys.
func (f *family) wants(why, query string, names ...string) {
	var found, want []string
	for _, id := range f.s.walk(query, 2) {
		name := "a key of no family"
		for n, key := range f.keys {
			if key.id == id {
				name = n
			}
		}
		found = append(found, name)
	}
	for _, name := range f.order {
		if slices.Contains(names, name) {
			want = append(want, name)
		}
	}
	if !slices.Equal(found, want) {
		f.s.fail("listing %s finds %q, want %q", why, found, want)
	}
}

func statusFilter(s *session) {
	f := s.newFamily()
	for _, name := range []string{"active", "revoked", "expired", "expired and revoked", "another active"} {
		if !f.add(name, nil) {
			return
		}
	}
	for _, name := range []string{"expired", "expired and revoked"} {
		if !s.expire(f.keys[name]) {
			return
		}
	}
	for _, name := range []string{"revoked", "expired and revoked"} {
		s.want(http.StatusOK, request{operation: "revokeApiKey", key: f.keys[name].id})
	}
	f.wants("all", f.query, f.order...)
	f.wants("ACTIVE", "&status=ACTIVE"+f.query, "active", "another active")
	f.wants("EXPIRED", "&status=EXPIRED"+f.query, "expired")
	f.wants("REVOKED", "&status=REVOKED"+f.query, "revoked", "expired and revoked")
	s.want(http.StatusOK, request{operation: "updateApiKey", key: f.keys["expired"].id,
		body: fields{"expires_at": inAnHour()}.json(), why: "prolonging an expired key"})
	f.wants("ACTIVE after prolonging", "&status=ACTIVE"+f.query, "active", "expired", "another active")
}

func nameFilter(s *session) {
	f := s.newFamily()
	for _, name := range []string{"a%b", "a_b", "aXb", "A%B", `a\b`, "a'b", "a*b", "a?b", "é", "É", "e\u0301", "ключ", "a b", "(a"} {
		if !f.add(name, nil) {
			return
		}
	}
	find := func(part string, names ...string) {
		_, owner := s.listOwner()
		f.wants("names with /"+part+"/", "&name_contains="+url.QueryEscape(f.marker+part)+owner, names...)
	}
	find("a%b", "a%b")
	find("a_b", "a_b")
	find("A%", "A%B")
	find("a", "a%b", "a_b", "aXb", `a\b`, "a'b", "a*b", "a?b", "a b")
	find(`a\`, `a\b`)
	find("a'", "a'b")
	find("a*", "a*b")
	find("a?b", "a?b")
	find("a b", "a b")
	find("(", "(a")
	find("%")
	find("_")
	find("é", "é")
	find("e", "e\u0301")
	find("КЛЮЧ")
	find("клю", "ключ")
	find("", f.order...)
	_, owner := s.listOwner()
	f.wants("names with a part in the middle", "&name_contains="+url.QueryEscape(f.marker[5:]+"aX")+owner, "aXb")
	f.wants("names with the marker in capitals", "&name_contains="+url.QueryEscape(strings.ToUpper(f.marker))+owner)
	f.wants("a name that is too long for all", "&name_contains="+url.QueryEscape(f.marker+strings.Repeat("я", 255-len(f.marker)))+owner)
}

func searchFilter(s *session) {
	f := s.newFamily()
	for _, name := range []string{"Build 100%", "build_2", "КЛЮЧ É", "last"} {
		if !f.add(name, nil) {
			return
		}
	}
	_, owner := s.listOwner()
	find := func(text string, names ...string) {
		f.wants("keys by a search for /"+text+"/", "&search="+url.QueryEscape(text)+owner, names...)
	}
	find(f.marker+"build", "Build 100%", "build_2")
	find(strings.ToUpper(f.marker)+"BUILD", "Build 100%", "build_2")
	find(f.marker+"ключ é", "КЛЮЧ É")
	find(f.marker + "КЛЮЧ E")
	find(f.marker + "%")
	find(f.marker + "build%")
	find(f.marker+"BUILD_", "build_2")
	prefix, _ := f.keys["last"].body["prefix"].(string)
	if cut := strings.LastIndexByte(prefix, '_'); cut > 0 && len(prefix)-cut == 9 {
		find(prefix, "last")
		find(prefix[:cut+6], "last")
		find(prefix[cut+1:], "last")
	}
	f.wants("keys by two searches", "&search="+url.QueryEscape(strings.ToUpper(f.marker))+"&name_contains=_2"+owner, "build_2")
	s.refuses("search", request{operation: "listApiKeys", query: "search=" + f.keys["last"].secret})
	if !s.scopes.Has(apikey.ScopeAdmin) {
		return
	}
	if !f.add("of another", fields{"owner": s.run + "-Other"}) {
		return
	}
	f.wants("keys by a search for an owner", "&search="+strings.ToUpper(s.run)+"-OTHER", "of another")
}

func timeFilters(s *session) {
	f := s.newFamily()
	soon := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second)
	for i, name := range []string{"first", "second", "third"} {
		if !f.add(name, fields{"expires_at": apikey.Timestamp(soon.Add(time.Duration(i) * time.Second)).String()}) {
			return
		}
	}
	list := func(parameter string, t time.Time, offset string, names ...string) {
		f.wants(parameter+" "+t.Format("2006-01-02T15:04:05.000")+offset,
			"&"+parameter+"="+url.QueryEscape(t.Format("2006-01-02T15:04:05.000")+offset)+f.query, names...)
	}
	list("expires_before", soon, "Z")
	list("expires_before", soon.Add(time.Millisecond), "Z", "first")
	list("expires_before", soon.Add(time.Second), "Z", "first")
	list("expires_before", soon.Add(2*time.Hour+2*time.Second), "+02:00", "first", "second")
	list("expires_before", soon.Add(time.Hour), "Z", "first", "second", "third")
	list("expires_before", soon.Add(-time.Hour), "Z")

	// Some may have been created in the same millisecond.
	second := stamp(f.keys["second"].body["created_at"])
	for _, later := range []time.Duration{-24 * time.Hour, 0, time.Millisecond, 24 * time.Hour} {
		at := second.Add(later)
		var names []string
		for name, key := range f.keys {
			if stamp(key.body["created_at"]).Before(at) {
				names = append(names, name)
			}
		}
		list("last_used_before", at, "Z", names...)
	}
}

func rotatingFilter(s *session) {
	f := s.newFamily()
	for _, name := range []string{"never", "at once", "in grace", "in grace, and revoked", "in grace, and expired"} {
		if !f.add(name, nil) {
			return
		}
	}
	for name, grace := range map[string]string{"at once": "0", "in grace": "600", "in grace, and revoked": "600", "in grace, and expired": "600"} {
		if _, ok := s.rotate(f.keys[name], `{"grace_seconds":`+grace+`}`); !ok {
			return
		}
	}
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: f.keys["in grace, and revoked"].id})
	if !s.expire(f.keys["in grace, and expired"]) {
		return
	}
	f.wants("keys in rotation", "&rotating=true"+f.query, "in grace")
	f.wants("keys not in rotation", "&rotating=false"+f.query, "never", "at once", "in grace, and revoked", "in grace, and expired")
	f.wants("revoked keys in rotation", "&rotating=true&status=REVOKED"+f.query)
	f.wants("active keys not in rotation", "&status=ACTIVE&rotating=false"+f.query, "never", "at once")
}

func filtersTogether(s *session) {
	f := s.newFamily()
	soon := apikey.Timestamp(time.Now().Add(10 * time.Minute)).String()
	for _, name := range []string{"a1", "a2", "a3", "b1", "b2"} {
		if !f.add(name, nil) {
			return
		}
	}
	for _, name := range []string{"a4", "a5", "b3"} {
		if !f.add(name, fields{"expires_at": soon}) {
			return
		}
	}
	for _, name := range []string{"a1", "a5"} {
		s.want(http.StatusOK, request{operation: "revokeApiKey", key: f.keys[name].id})
	}
	_, owner := s.listOwner()
	named := "&name_contains=" + url.QueryEscape(f.marker+"a") + owner
	before := "&expires_before=" + url.QueryEscape(apikey.Timestamp(stamp(soon).Add(time.Millisecond)).String())
	used := "&last_used_before=" + url.QueryEscape(apikey.Timestamp(time.Now().Add(24*time.Hour)).String())
	f.wants("a name", named, "a1", "a2", "a3", "a4", "a5")
	f.wants("a name and a status", named+"&status=ACTIVE", "a2", "a3", "a4")
	f.wants("a name and an end", named+before, "a4", "a5")
	f.wants("a status and an end", f.query+"&status=ACTIVE"+before, "a4", "b3")
	f.wants("all of them", named+"&status=REVOKED"+before+used, "a5")
	f.wants("what no key is", named+"&status=EXPIRED"+before+used)
	if !s.scopes.Has(apikey.ScopeAdmin) {
		return
	}
	if !f.add("a6", fields{"owner": s.run + "-other"}) {
		return
	}
	f.wants("a name, of one owner", named+"&status=ACTIVE", "a2", "a3", "a4")
	f.wants("a name, of every owner", strings.TrimSuffix(named, owner)+"&status=ACTIVE", "a2", "a3", "a4", "a6")
}

func scopeFilter(s *session) {
	f := s.newFamily()
	for _, scope := range []string{"datasets:read", "datasets:read-all", "my-datasets:read", "Datasets:read", "a datasets:read b", "a%b", "a_b"} {
		if !f.add(scope, fields{"scopes": strings.Fields(scope)}) {
			return
		}
	}
	find := func(scope string, names ...string) {
		f.wants("keys with the scope "+scope, "&scope="+url.QueryEscape(scope)+f.query, names...)
	}
	find("datasets:read", "datasets:read", "a datasets:read b")
	find("Datasets:read", "Datasets:read")
	find("a", "a datasets:read b")
	find("b", "a datasets:read b")
	find("a_b", "a_b")
	find("a%b", "a%b")
	find("datasets")
}

func metadataFilter(s *session) {
	f := s.newFamily()
	for name, metadata := range map[string]fields{
		"both": {"plan": "pro", "region": "eu"}, "plan": {"plan": "pro"}, "region": {"plan": "free", "region": "eu"},
		"longer": {"plan": "pro2"}, "capital": {"plan": "Pro"}, "swapped": {"pro": "plan"}, "inside": {"x": `","plan":"pro`},
		"empty": {"plan": ""}, "signs": {"a": "b=c,d", "q": "100%"}, "none": {},
	} {
		if !f.add(name, fields{"metadata": metadata}) {
			return
		}
	}
	find := func(entries []string, names ...string) {
		f.wants("keys with metadata "+strings.Join(entries, " and "), "&"+url.Values{"metadata": entries}.Encode()+f.query, names...)
	}
	find([]string{"plan=pro"}, "both", "plan")
	find([]string{"region=eu"}, "both", "region")
	find([]string{"plan=pro", "region=eu"}, "both")
	find([]string{"region=eu", "plan=pro", "plan=pro"}, "both")
	find([]string{"plan=pro", "plan=free"})
	find([]string{"plan=pr"})
	find([]string{"plan="}, "empty")
	find([]string{"region="})
	find([]string{"pro=plan"}, "swapped")
	find([]string{`x=","plan":"pro`}, "inside")
	find([]string{"a=b=c,d", "q=100%"}, "signs")

	const plan, free = "&metadata=plan%3Dpro", "&metadata=plan%3Dfree"
	const ordered, reversed = plan + "&metadata=region%3Deu", "&metadata=region%3Deu" + plan
	if !f.add("another", fields{"metadata": fields{"plan": "pro", "region": "eu"}}) {
		return
	}
	ids, cursor := s.listAfter("", "items_per_page=1"+ordered+f.query)
	more, _ := s.listAfter(cursor, strings.TrimPrefix(reversed, "&")+f.query)
	if ids = append(ids, more...); !slices.Equal(ids, []string{f.keys["another"].id, f.keys["both"].id}) {
		s.fail("a cursor with the entries of metadata in another order finds %v", ids)
	}
	for _, other := range []string{plan, ordered + free} {
		s.refuses("cursor", request{operation: "listApiKeys", query: strings.TrimPrefix(other, "&") + f.query + "&cursor=" + url.QueryEscape(cursor)})
	}
	s.refuses("metadata", request{operation: "listApiKeys", query: "metadata=n%3D" + f.keys["both"].secret})
}

func badFilters(s *session) {
	long := strings.Repeat("a", 256)
	for query, field := range map[string]string{
		"status=":                         "status",
		"status=active":                   "status",
		"status=DELETED":                  "status",
		"status=ACTIVE&status=ACTIVE":     "status",
		"status=ACTIVE,EXPIRED":           "status",
		"name_contains=":                  "name_contains",
		"name_contains=" + long:           "name_contains",
		"name_contains=a&name_contains=a": "name_contains",
		"scope=":                          "scope",
		"scope=a%20b":                     "scope",
		"scope=a&scope=b":                 "scope",
		"scope=" + long:                   "scope",
		"metadata=":                       "metadata",
		"metadata=plan":                   "metadata",
		"metadata=%3Dpro":                 "metadata",
		"metadata=a%3Db&metadata=plan":    "metadata",
		"metadata=a%0Ab%3Dc":              "metadata",
		"metadata=" + long + "%3Da":       "metadata",
		"metadata=a%3D" + long + long:     "metadata",
		"metadata=a%3Db" + strings.Repeat("&metadata=a%3Db", 20): "metadata",
		"search=":                               "search",
		"search=" + long:                        "search",
		"search=a&search=a":                     "search",
		"search=a%0Ab":                          "search",
		"expires_before=":                       "expires_before",
		"expires_before=tomorrow":               "expires_before",
		"expires_before=2030-01-31":             "expires_before",
		"expires_before=2030-01-31T12:00:00":    "expires_before",
		"expires_before=2030-01-31T12:00:60Z":   "expires_before",
		"expires_before=1893456000":             "expires_before",
		"last_used_before=":                     "last_used_before",
		"last_used_before=2030-02-30T12:00:00Z": "last_used_before",
		"last_used_before=never":                "last_used_before",
		"rotating=":                             "rotating",
		"rotating=yes":                          "rotating",
		"rotating=1":                            "rotating",
		"rotating=TRUE":                         "rotating",
		"name=a":                                "name",
		"expires_after=2030-01-31T12:00:00Z":    "expires_after",
	} {
		s.refuses(field, request{operation: "listApiKeys", query: query})
	}
	s.refuses("status", request{operation: "getApiKey", key: s.run, query: "status=ACTIVE"})
}
