package handlers_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

func TestBadFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct{ name, query, field string }{
		{"an unknown status", "status=GONE", "status"},
		{"a status in lower case", "status=active", "status"},
		{"an empty status", "status=", "status"},
		{"a status without a value", "status", "status"},
		{"two statuses in one", "status=ACTIVE,EXPIRED", "status"},
		{"a status with a space", "status=ACTIVE%20", "status"},
		{"two statuses", "status=ACTIVE&status=EXPIRED", "status"},
		{"a status as an array", "status[]=ACTIVE", "status[]"},
		{"no text", "name_contains=", "name_contains"},
		{"a text without a value", "name_contains", "name_contains"},
		{"256 characters", "name_contains=" + strings.Repeat("n", 256), "name_contains"},
		{"two texts", "name_contains=a&name_contains=b", "name_contains"},
		{"a text that is not UTF-8", "name_contains=a%ff", "name_contains"},
		{"half a character", "name_contains=%D0", "name_contains"},
		{"a text with NUL", "name_contains=a%00", "name_contains"},
		{"no scope", "scope=", "scope"},
		{"two scopes in one", "scope=a+b", "scope"},
		{"a scope with a quote", "scope=a%22", "scope"},
		{"a scope of 129 characters", "scope=" + strings.Repeat("s", 129), "scope"},
		{"a scope that is not ASCII", "scope=%D0%BB", "scope"},
		{"a scope with NUL", "scope=a%00", "scope"},
		{"two scopes", "scope=a&scope=b", "scope"},
		{"no metadata", "metadata=", "metadata"},
		{"metadata without a value", "metadata", "metadata"},
		{"metadata without =", "metadata=plan", "metadata"},
		{"metadata without a name", "metadata==pro", "metadata"},
		{"metadata, and then a bad one", "metadata=plan=pro&metadata=plan", "metadata"},
		{"a metadata name with a line break", "metadata=a%0Ab=c", "metadata"},
		{"a metadata name with DEL", "metadata=a%7F=c", "metadata"},
		{"a metadata name of 41 characters", "metadata=" + strings.Repeat("%D1%8F", 41) + "=", "metadata"},
		{"a metadata value of 501 characters", "metadata=n=" + strings.Repeat("%D1%8F", 501), "metadata"},
		{"a very long metadata value", "metadata=n=" + strings.Repeat("v", 5000), "metadata"},
		{"metadata that is not UTF-8", "metadata=n=a%ff", "metadata"},
		{"a metadata name that is not UTF-8", "metadata=%ff=a", "metadata"},
		{"a secret in metadata", "metadata=n=" + k.admin.Secret, "metadata"},
		{"a secret inside metadata", "metadata=a=b&metadata=n=my+" + k.admin.Secret + ".", "metadata"},
		{"21 entries", strings.Repeat("metadata=n=v&", 20) + "metadata=n=v", "metadata"},
		{"metadata as an array", "metadata[]=n=v", "metadata[]"},
		{"metadata as an object", "metadata[n]=v", "metadata[n]"},
		{"no search", "search=", "search"},
		{"a search of 256 characters", "search=" + strings.Repeat("n", 256), "search"},
		{"two searches", "search=a&search=b", "search"},
		{"a search that is not UTF-8", "search=a%ff", "search"},
		{"a search with NUL", "search=a%00", "search"},
		{"a search with a line break", "search=a%0Ab", "search"},
		{"a search with a secret", "search=" + k.admin.Secret, "search"},
		{"a search with a secret among words", "search=it's+" + k.admin.Secret + "!", "search"},
		{"enabled, neither true nor false", "enabled=yes", "enabled"},
		{"enabled twice", "enabled=true&enabled=true", "enabled"},
		{"an unknown reason", "revocation_reason=boredom", "revocation_reason"},
		{"no reason", "revocation_reason=", "revocation_reason"},
		{"a reason in capitals", "revocation_reason=POLICY", "revocation_reason"},
		{"rotating without a value", "rotating", "rotating"},
		{"rotating, neither true nor false", "rotating=yes", "rotating"},
		{"rotating as a number", "rotating=1", "rotating"},
		{"rotating in capitals", "rotating=TRUE", "rotating"},
		{"rotating twice", "rotating=true&rotating=true", "rotating"},
		{"another name", "name=a", "name"},
		{"a name of another API", "q=a", "q"},
	}
	for _, parameter := range []string{"expires_before", "last_used_before"} {
		for row, value := range map[string]string{
			"empty": "", "no time": "2027-01-31", "no offset": "2027-01-31T12:00:00", "a number": "1801396800", "text": "tomorrow",
			"a plus that is a space": "2027-01-31T12:00:00+02:00", "a leap second": "2016-12-31T23:59:60Z", "lower case": "2027-01-31t12:00:00z",
			"past the year 9999": "9999-12-31T23:59:59-00:01", "February 30": "2027-02-30T12:00:00Z", "quoted": "%222027-01-31T12:00:00Z%22",
			"repeated": "2027-01-31T12:00:00Z&" + parameter + "=2027-01-31T12:00:00Z", "a duration": "P1D",
		} {
			tests = append(tests, struct{ name, query, field string }{parameter + " " + row, parameter + "=" + value, parameter})
		}
		tests = append(tests, struct{ name, query, field string }{parameter + " in wrong case",
			strings.ToUpper(parameter) + "=2027-01-31T12:00:00Z", strings.ToUpper(parameter)})
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) { k.get(k.admin, keysPath+"?"+tt.query).invalid(tt.field) })
	}
	several := k.get(k.admin, keysPath+"?status=x&expires_before=x&last_used_before=x&name_contains=&page=0")
	for _, field := range []string{"status", "expires_before", "last_used_before", "name_contains", "page"} {
		several.invalid(field)
	}
	// The filters are the list's alone.
	k.get(k.admin, keyPath("admin")+"?status=ACTIVE").invalid("status")
}

func TestFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	add := func(owner, name string, lifetime time.Duration) key {
		return k.mustCreate(k.admin, fields{"name": name, "owner": owner, "expires_at": k.in(lifetime)})
	}
	build := add("team", "ci build", time.Hour)
	add("team", "ci deploy", 2*time.Hour)
	web := add("team", "web 100%", 3*time.Hour)
	add("other", "ci other", time.Hour)
	gone := add("team", "old ci", 2*time.Hour)
	k.revoke(k.admin, keyPath(gone.ID)).want(200)
	k.clock.Advance(30 * time.Minute)
	k.get(build, keyPath("web 100%")).want(200)
	add("team", "Ключ_1", time.Hour)
	k.rotate(k.admin, keyPath(web.ID), fields{"grace_seconds": 3600}).want(200)
	k.rotate(k.admin, keyPath(build.ID), fields{"grace_seconds": 3600}).want(200) // it ends before its grace
	k.clock.Advance(30 * time.Minute)                                             // now it is 13:00: ci build and ci other have just ended
	k.get(web, keysPath).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))

	const team = "Ключ_1, old ci, web 100%, ci deploy, ci build, reader"
	for _, tt := range []struct {
		name, query string
		want        string // newest first, joined by ", "
	}{
		{"none", "", team},
		{"active", "status=ACTIVE", "Ключ_1, web 100%, ci deploy, reader"},
		{"expired", "status=EXPIRED", "ci build"},
		{"revoked", "status=REVOKED", "old ci"},
		{"a part of a name", "name_contains=ci", "old ci, ci deploy, ci build"},
		{"case counts", "name_contains=CI", ""},
		{"a space, by a plus", "name_contains=ci+", "ci deploy, ci build"},
		{"a space, by %20", "name_contains=ci%20d", "ci deploy"},
		{"a percent sign", "name_contains=%25", "web 100%"},
		{"an underscore", "name_contains=_", "Ключ_1"},
		{"letters of two bytes", "name_contains=%D0%BB%D1%8E", "Ключ_1"},
		{"letters of two bytes, in another case", "name_contains=%D0%BA%D0%BB", ""},
		{"as they are", "name_contains=люч", "Ключ_1"},
		{"a quote", "name_contains='", ""},
		{"SQL", "name_contains='+OR+1=1+--", ""},
		{"longer than any", "name_contains=" + strings.Repeat("n", 255), ""},
		{"255 emoji", "name_contains=" + strings.Repeat("%F0%9F%94%91", 255), ""},
		{"a search ignores case", "search=CI", "old ci, ci deploy, ci build"},
		{"a search in other letters", "search=КЛЮ", "Ключ_1"},
		{"a search for a pattern", "search=%25", "web 100%"},
		{"a search by an underscore", "search=_", "Ключ_1"},
		{"a search by prefix", "search=" + web.Prefix, "web 100%"},
		{"a search by a part of a prefix", "search=" + web.Prefix[5:], "web 100%"},
		{"a search by what begins all prefixes", "search=ak_", ""},
		{"a search by id", "search=" + web.ID, "web 100%"},
		{"a search by owner", "search=EAM", team},
		{"a search of 255 emoji", "search=" + strings.Repeat("%F0%9F%94%91", 255), ""},
		{"a search and a part of a name", "search=CI&name_contains=d", "old ci, ci deploy, ci build"},
		{"ends before now", "expires_before=2026-11-23T13:00:00Z", ""},
		{"ends before a moment after", "expires_before=2026-11-23T13:00:00.001Z", "ci build"},
		{"with an offset", "expires_before=2026-11-23T15:30:00.001%2B01:00", "Ключ_1, old ci, ci deploy, ci build"},
		{"ends before the year 1", "expires_before=0001-01-01T00:00:00Z", ""},
		{"ends before 1970", "expires_before=1969-12-31T23:59:59Z", ""},
		{"ends before the end of time", "expires_before=9999-12-31T23:59:59.999Z", team},
		{"used before the first came", "last_used_before=2026-11-23T12:00:00Z", ""},
		{"never used counts from creation", "last_used_before=2026-11-23T12:00:00.001Z", "old ci, ci deploy, reader"},
		{"used before half past", "last_used_before=2026-11-23T12:30:00.001Z", "Ключ_1, old ci, ci deploy, ci build, reader"},
		{"used before the year 1", "last_used_before=0001-01-01T00:00:00Z", ""},
		{"used before now", "last_used_before=2026-11-23T13:00:00.001Z", team},
		{"in rotation", "rotating=true", "web 100%"},
		{"not in rotation", "rotating=false", "Ключ_1, old ci, ci deploy, ci build, reader"},
		{"in rotation, with a name", "rotating=true&name_contains=ci", ""},
		{"name and status", "name_contains=ci&status=ACTIVE", "ci deploy"},
		{"status and end", "status=ACTIVE&expires_before=2026-11-23T14:00:00.001Z", "Ключ_1, ci deploy"},
		{"everything", "owner=team&status=EXPIRED&name_contains=b&expires_before=2026-11-23T14:00:00Z&last_used_before=2026-11-23T13:00:00Z", "ci build"},
		{"everything, and one does not fit", "owner=team&status=EXPIRED&name_contains=b&expires_before=2026-11-23T14:00:00Z&last_used_before=2026-11-23T12:30:00Z", ""},
	} {
		k.Run(tt.name, func(k *kit) {
			want := []string{}
			if tt.want != "" {
				want = strings.Split(tt.want, ", ")
			}
			for _, size := range []int{2, 100} {
				k.wantFiltered(reader, tt.query, size, want)
			}
		})
	}
	// An admin's list has all owners' keys, filtered or not.
	k.wantFiltered(k.admin, "name_contains=ci", 3, []string{"old ci", "ci other", "ci deploy", "ci build"})
	k.wantFiltered(k.admin, "name_contains=ci&owner=other", 3, []string{"ci other"})
	k.wantFiltered(k.admin, "status=EXPIRED&owner=nobody", 3, []string{})
	k.wantFiltered(k.admin, "search=OTHER", 3, []string{"ci other"})
	k.wantFiltered(k.admin, "search=Ci&owner=other", 3, []string{"ci other"})
	k.wantFiltered(reader, "search=other", 3, []string{})
	k.get(reader, keysPath+"?name_contains=ci&owner=other").refused(403, "FORBIDDEN")
}

func TestMetadataFilter(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	for _, key := range []fields{
		{"name": "pro", "metadata": fields{"plan": "pro", "region": "eu"}},
		{"name": "Pro", "metadata": fields{"plan": "Pro", "region": "eu"}},
		{"name": "pro2", "metadata": fields{"plan": "pro2", "empty": ""}},
		{"name": "by name", "metadata": fields{"Plan": "pro", "pro": "plan", "a=b": "c", "a": "b=c,d"}},
		{"name": "quotes", "metadata": fields{`"plan":"pro"`: `","plan":"pro`, "$.plan": "%"}},
		{"name": "letters", "metadata": fields{"ключ": "значение 🔑", "n": "\x00\n"}},
		{"name": "theirs", "owner": "other", "metadata": fields{"plan": "pro"}},
	} {
		if key["owner"] == nil {
			key["owner"] = "team"
		}
		k.mustCreate(k.admin, key)
	}
	full := fields{}
	query := ""
	for i := range 20 {
		name := fmt.Sprintf("%02d", i) + strings.Repeat("🙂", 38)
		full[name] = strings.Repeat("v", 100+i)
		query += "&metadata=" + url.QueryEscape(name+"="+strings.Repeat("v", 100+i))
	}
	full["00"+strings.Repeat("🙂", 38)] = strings.Repeat("я", 500)
	query += "&status=ACTIVE&name_contains=full"
	query = strings.Replace(query, strings.Repeat("v", 100), url.QueryEscape(strings.Repeat("я", 500)), 1)
	k.mustCreate(k.admin, fields{"name": "full", "owner": "team", "metadata": full})

	for _, tt := range []struct{ query, want string }{
		{"metadata=plan=pro", "pro"},
		{"metadata=plan%3Dpro", "pro"},
		{"metadata=region=eu", "Pro, pro"},
		{"metadata=region=eu&metadata=plan=pro", "pro"},
		{"metadata=plan=pro&metadata=plan=pro", "pro"},
		{"metadata=plan=pro&metadata=plan=Pro", ""},
		{"metadata=plan=pr", ""},
		{"metadata=plan=", ""},
		{"metadata=empty=", "pro2"},
		{"metadata=empty=&metadata=plan=pro2", "pro2"},
		{"metadata=Plan=pro", "by name"},
		{"metadata=pro=plan", "by name"},
		{"metadata=a=b=c,d", "by name"},
		{"metadata=a=b=c", ""}, // the name "a=b" cannot be filtered by
		{"metadata=$.plan=%25", "quotes"},
		{"metadata=" + url.QueryEscape(`"plan":"pro"=","plan":"pro`), "quotes"},
		{"metadata=%D0%BA%D0%BB%D1%8E%D1%87=" + url.QueryEscape("значение 🔑"), "letters"},
		{"metadata=n=%00%0A", "letters"},
		{"metadata=plan=pro&status=REVOKED", ""},
		{"metadata=region=eu&search=PRO&name_contains=P", "Pro"},
		{query[1:], "full"},
	} {
		want := []string{}
		if tt.want != "" {
			want = strings.Split(tt.want, ", ")
		}
		k.wantFiltered(reader, tt.query, 1, want)
	}
	k.wantFiltered(k.admin, "metadata=plan=pro", 1, []string{"theirs", "pro"})
	k.wantFiltered(k.admin, "metadata=plan=pro&owner=other", 1, []string{"theirs"})
	k.get(reader, keysPath+"?metadata=plan=pro&owner=other").refused(403, "FORBIDDEN")
	bad := k.get(reader, keysPath+"?metadata=plan")
	if fault := bad.invalid("metadata"); !strings.Contains(fault.Message, "NAME=VALUE") {
		k.Errorf("the message is %q", fault.Message)
	}
	for _, path := range []string{"/v1/owners", "/v1/audit-events"} {
		k.get(k.admin, path+"?metadata=plan=pro").invalid("metadata")
	}
}

// wantFiltered reads all pages of a filtered list.
func (k *kit) wantFiltered(by key, query string, size int, want []string) {
	k.Helper()
	got := []string{}
	pages := (len(want) + size - 1) / size
	for page := 1; page <= pages+1; page++ {
		list := k.get(by, fmt.Sprintf("%s?items_per_page=%d&page=%d&%s", keysPath, size, page, query)).want(200).list()
		if diff := cmp.Diff(pagination{pages, page, size}, list.Pagination); diff != "" {
			k.Errorf("the pages differ (-want +got):\n%s", diff)
		}
		for _, found := range list.Data {
			got = append(got, found.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("the list differs (-want +got):\n%s", diff)
	}
}
