package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	composed   = "caf\u00e9"
	decomposed = "cafe\u0301"
	someID     = "0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f"
)

var badNames = map[string]string{
	"empty":                       "",
	"256 characters":              strings.Repeat("n", 256),
	"256 emoji":                   strings.Repeat("🔑", 256),
	"one dot":                     ".",
	"two dots":                    "..",
	"NUL":                         "a\x00b",
	"line feed":                   "a\nb",
	"carriage return at the end":  "a\r",
	"tab":                         "a\tb",
	"escape":                      "\x1b[31mred",
	"delete":                      "a\x7fb",
	"C1 control (U+0085)":         "a\u0085b",
	"C1 control (U+009F)":         "a\u009fb",
	"only a space":                " ",
	"space before":                " a",
	"space after":                 "a ",
	"no-break space before":       "\u00a0a",
	"no-break space after":        "a\u00a0",
	"ideographic space before":    "\u3000a",
	"ideographic space after":     "a\u3000",
	"line separator after":        "a\u2028",
	"a well-formed secret":        apikey.NewSecret("ak", apikey.NewID()).Reveal(),
	"a secret with other prefix":  apikey.NewSecret("my_prod_2", apikey.NewID()).Reveal(),
	"line feed among many others": strings.Repeat("n", 200) + "\n",
}

var badUUIDs = map[string]string{
	"UUID":              someID,
	"UUID in capitals":  strings.ToUpper(someID),
	"UUID, mixed case":  strings.ToUpper(someID[:20]) + someID[20:],
	"UUID of version 4": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
	"UUID of zeros":     "00000000-0000-0000-0000-000000000000",
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, fields{"name": "target"})
	before := k.everything()
	refused := func(k *kit, name string) {
		k.create(k.admin, fields{"name": name}).invalid("name")
		k.patch(k.admin, keyPath(target.ID), fields{"name": name}).invalid("name")
	}
	for row, name := range badNames {
		if _, err := apikey.ParseSecret(name); err == nil {
			k.secrets.add(name)
		}
		k.Run("name/"+row, func(k *kit) { refused(k, name) })
		k.Run("owner/"+row, func(k *kit) {
			k.create(k.admin, fields{"owner": name}).invalid("owner")
			query := "?owner=" + percent(name)
			k.get(k.admin, keysPath+query).invalid("owner")
			k.get(k.admin, keyPath(target.ID)+query).invalid("owner")
			k.patch(k.admin, keyPath(target.ID)+query, fields{}).invalid("owner")
			k.revoke(k.admin, keyPath(target.ID)+query).invalid("owner")
		})
	}
	for row, name := range badUUIDs {
		k.Run("name/"+row, func(k *kit) { refused(k, name) })
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

// The message about a bad name says which rule it breaks, and comes together with those about other fields.
func TestBadNamesAreExplained(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for name, want := range map[string]string{
		" a": "must not begin or end with white space", "a\u00a0": "must not begin or end with white space",
		".": `must not be "." or ".."`, "..": `must not be "." or ".."`,
		"a\nb": "must not contain control characters such as line breaks",
	} {
		for _, field := range []string{"name", "owner"} {
			details := k.create(k.admin, fields{field: name}).invalid(field).Details
			if len(details) != 1 || details[0].Message != want {
				k.Errorf("%s %q: %+v, want %q", field, name, details, want)
			}
		}
	}
	if details := k.create(k.admin, fields{"name": " a", "expires_at": k.in(-time.Hour)}).invalid("name").Details; len(details) != 2 {
		k.Errorf("of a bad name and a past expiry: %+v", details)
	}
}

func TestGoodNames(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := map[string]string{
		"one character":               "n",
		"255 characters":              strings.Repeat("n", 255),
		"255 emoji":                   strings.Repeat("🔑", 255),
		"an emoji of many parts":      "👩‍👩‍👧‍👦",
		"Cyrillic":                    "ключ",
		"Arabic":                      "مفتاح",
		"composed":                    composed,
		"decomposed":                  decomposed,
		"three dots":                  "...",
		"dots inside":                 "a..b",
		"a path":                      "../../etc/passwd",
		"only a slash":                "/",
		"only a percent sign":         "%",
		"a NUL that is spelled":       "%00",
		"spaces inside":               "a  b",
		"no-break space inside":       "a\u00a0b",
		"zero width space at the end": "a\u200b", // not white space to Unicode
		"quotes":                      `"a" 'b' \c`,
		"markup":                      "<script>alert(1)</script>",
		"SQL":                         "'; DROP TABLE api_keys; --",
		"SQL wildcard":                "%_",
		"UUID without dashes":         strings.ReplaceAll(someID, "-", ""),
		"UUID in braces":              "{" + someID + "}",
		"UUID as URN":                 "urn:uuid:" + someID,
		"UUID with more after it":     someID + "0",
		"replacement character":       "\ufffd",
		"not quite a secret":          mistyped(apikey.NewSecret("ak", apikey.NewID()).Reveal()),
		"words of JavaScript":         "__proto__",
		"beyond the BMP":              "𝒦",
	}
	for row, name := range tests {
		k.Run(row, func(k *kit) {
			created := k.mustCreate(k.admin, fields{"name": name, "owner": "creates"})
			renamed := k.mustCreate(k.admin, fields{"name": "before " + row, "owner": "renames"})
			k.patch(k.admin, keyPath(renamed.ID), fields{"name": name}).want(200)
			for _, made := range []key{created, renamed} {
				got := k.get(k.admin, keyPath(name)+"?owner="+made.Owner).want(200).key()
				if got.ID != made.ID || got.Name != name {
					k.Errorf("got %s %q, want %s %q", got.ID, got.Name, made.ID, name)
				}
			}
			owned := k.mustCreate(k.admin, fields{"name": "n", "owner": name})
			list := k.get(k.admin, keysPath+"?owner="+percent(name)).want(200).list()
			if len(list.Data) != 1 || list.Data[0].ID != owned.ID || list.Data[0].Owner != name {
				k.Errorf("the keys of owner %q are %v", name, list.Data)
			}
		})
	}
	k.mustCreate(k.admin, fields{"name": "n", "owner": someID}) // an owner may be a user's UUID
}

// likeNames are names that careless decoding confuses.
var likeNames = []string{
	"a/b", "a%2Fb", "a%2fb", "a%252Fb", "a", "b", "ab", "100%", "100%25", "100", "a b", "a+b", "a%20b", "a%2Bb",
	"ключ", "%D0%BA%D0%BB%D1%8E%D1%87", "a?b", "a#b", "a;b", "a,b", "a&b=c", "a:b", "a.b", "a\\b", "..a", "%2e%2e",
	composed, decomposed, "%", "%25", "/", "//", "a/", "/a", "%00", "%zz", "*", ":key_name", "A/B", "🔑",
}

// percent encodes every byte, needed or not.
func percent(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, "%%%02X", name[i])
	}
	return b.String()
}

func TestEachNameReachesItsOwnKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, name := range likeNames {
		k.mustCreate(k.admin, fields{"name": name})
	}
	for i, name := range likeNames {
		k.Run(name, func(k *kit) {
			paths := []string{keyPath(name), keysPath + "/" + percent(name), keysPath + "/" + strings.ToLower(percent(name))}
			path := paths[i%len(paths)]
			var id string
			for _, path := range paths {
				got := k.get(k.admin, path).want(200).key()
				if got.Name != name {
					k.Fatalf("%s reached %q", path, got.Name)
				}
				id = got.ID
			}
			before := k.everything()
			k.patch(k.admin, path, fields{"scopes": []string{"patched"}}).want(200)
			k.wantOnly(before, id, func(k *key) { k.Scopes = []string{"patched"} })
			before = k.everything()
			k.revoke(k.admin, path).want(200)
			k.wantOnly(before, id, func(k *key) { k.Status, k.RevokedAt, k.Reason = "REVOKED", "2026-11-23T12:00:00.000Z", "unspecified" })
		})
	}
}

// wantOnly expects that one key changed in a given way, and no other key.
func (k *kit) wantOnly(before []key, id string, change func(*key)) {
	k.Helper()
	want := append([]key{}, before...)
	for i := range want {
		if want[i].ID == id {
			change(&want[i])
		}
	}
	if diff := cmp.Diff(want, k.everything()); diff != "" {
		k.Errorf("other changes than to %s (-want +got):\n%s", id, diff)
	}
}

func TestPathsOfNoKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, fields{"name": "target"})
	k.mustCreate(k.admin, fields{"name": "a/b"})
	k.mustCreate(k.admin, fields{"name": "a b"})
	before := k.everything()
	tests := []struct{ name, path string }{
		{"a slash", "/%2F"},
		{"an encoded slash, encoded", "/%252F"},
		{"encoded twice", "/a%252Fb"},
		{"plus is no space", "/a+b"},
		{"NUL", "/%00"},
		{"NUL inside", "/tar%00get"},
		{"NUL after", "/target%00"},
		{"invalid UTF-8", "/%ff"},
		{"overlong UTF-8", "/%c0%af"},
		{"a surrogate", "/%ed%a0%80"},
		{"invalid UTF-8 after a name", "/target%ff"},
		{"raw bytes", "/\xff\xfe"},
		{"line feed", "/target%0a"},
		{"a dot", "/%2e"},
		{"two dots", "/%2e%2e"},
		{"two dots as they are", "/.."},
		{"space after", "/target%20"},
		{"wrong case", "/Target"},
		{"256 characters", "/" + strings.Repeat("n", 256)},
		{"8 KB", "/" + strings.Repeat("n", 8<<10)},
		{"id of nothing", "/" + someID},
		{"id of zeros", "/00000000-0000-0000-0000-000000000000"},
		{"id without dashes", "/" + strings.ReplaceAll(target.ID, "-", "")},
		{"id in braces", "/%7B" + target.ID + "%7D"},
		{"id as URN", "/urn:uuid:" + target.ID},
		{"id with more after it", "/" + target.ID + "0"},
		{"id with white space", "/%20" + target.ID},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			k.get(k.admin, keysPath+tt.path).refused(404, "KEY_NOT_FOUND")
			k.patch(k.admin, keysPath+tt.path, fields{}).refused(404, "KEY_NOT_FOUND")
			k.revoke(k.admin, keysPath+tt.path).refused(404, "KEY_NOT_FOUND")
		})
	}
	for _, escape := range []string{"/%zz", "/%", "/target%2", "/%u0041", "/%%"} {
		k.Run("broken escape "+escape, func(k *kit) {
			// net/http cannot parse such a request line, and answers it itself.
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				k.do(request{method: method, path: keysPath + escape, key: k.admin.Secret, outside: true}).want(400)
			}
		})
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

func TestIDNeverFallsBackToName(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	// No request can create such a key, but an older version might have.
	odd := someID
	name := "odd"
	k.mustCreate(k.admin, fields{"name": name})
	stored, err := k.db.Key(k.Context(), store.ByName("admin", name))
	k.must(err)
	_, err = k.db.UpdateKey(k.Context(), operator, store.ByName("admin", name), apikey.Change{Name: &odd})
	k.must(err)
	for _, path := range []string{keyPath(odd), keyPath(strings.ToUpper(odd)), keysPath + "/" + percent(odd)} {
		k.get(k.admin, path).refused(http.StatusNotFound, "KEY_NOT_FOUND")
	}
	id := stored.ID.String()
	for _, path := range []string{keyPath(id), keyPath(strings.ToUpper(id)), keysPath + "/" + percent(id)} {
		if got := k.get(k.admin, path).want(200).key(); got.Name != odd {
			k.Errorf("%s reached %q", path, got.Name)
		}
	}
}
