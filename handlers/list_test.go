package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
)

func TestBadQueries(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, parameter := range []string{"page", "items_per_page"} {
		tests := map[string]string{
			"zero":                "0",
			"negative":            "-1",
			"huge":                "99999999999999999999",
			"past 64 bits":        "9223372036854775808",
			"past 32 bits":        "4294967297",
			"hugely negative":     "-99999999999999999999",
			"fraction":            "1.5",
			"whole, with a point": "1.0",
			"exponent":            "1e1",
			"text":                "two",
			"empty":               "",
			"a space":             "%20",
			"space before":        "%201",
			"space after":         "1%20",
			"hexadecimal":         "0x1",
			"underscore":          "1_0",
			"two numbers":         "1,2",
			"null":                "null",
			"true":                "true",
			"not a number":        "NaN",
			"infinity":            "Infinity",
			"Arabic digit":        "%D9%A1",
			"NUL after":           "1%00",
			"invalid UTF-8":       "%ff",
			"an array":            "[1]",
			"one too many":        map[string]string{"page": "1000001", "items_per_page": "101"}[parameter],
		}
		for row, value := range tests {
			k.Run(parameter+"/"+row, func(k *kit) {
				k.get(k.admin, keysPath+"?"+parameter+"="+value).invalid(parameter)
			})
		}
		malformed := map[string]string{
			"repeated":            parameter + "=1&" + parameter + "=2",
			"repeated, the same":  parameter + "=1&" + parameter + "=1",
			"repeated, disguised": parameter + "=1&%" + fmt.Sprintf("%02x", parameter[0]) + parameter[1:] + "=1",
			"without a value":     parameter,
		}
		for row, query := range malformed {
			k.Run(parameter+"/"+row, func(k *kit) { k.get(k.admin, keysPath+"?"+query).invalid(parameter) })
		}
	}
}

func TestUnknownQueries(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, nil)
	tests := []struct{ name, query, field string }{
		{"unknown", "colour=red", "colour"},
		{"unknown among known", "owner=admin&colour=red", "colour"},
		{"without a value", "colour", "colour"},
		{"wrong case", "Owner=admin", "Owner"},
		{"array brackets", "owner[]=admin", "owner[]"},
		{"no name", "=1", `""`},
		{"broken escape in a value", "owner=%zz", "query"},
		{"broken escape in a name", "%zz=1", "query"},
		{"cut escape", "owner=%a", "query"},
		{"semicolon", "owner=admin;colour=red", "query"},
		{"repeated", "owner=admin&owner=team", "owner"},
		{"a name of 60 KB", strings.Repeat("n-", 30<<10) + "=1", strings.Repeat("n-", 32) + "…"},
		{"a name of another operation", "key_name=a", "key_name"},
	}
	for _, tt := range tests {
		for _, op := range k.operations(target.ID) {
			k.Run(op.id+"/"+tt.name, func(k *kit) {
				k.do(request{method: op.method, path: op.path + "?" + tt.query, key: k.admin.Secret}).invalid(tt.field)
			})
		}
	}
	k.create(k.admin, nil).refused(409, "") // the key is still there, unrevoked
}

func TestList(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	want := []key{reader}
	for i := range 6 {
		made := k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", i), "owner": "team",
			"expires_at": k.in(time.Duration(i+1) * time.Hour)})
		want = append([]key{made}, want...)
	}
	k.revoke(k.admin, keyPath(want[0].ID)).want(200)
	k.revoke(k.admin, keyPath(want[3].ID)).want(200)
	k.clock.Advance(2 * time.Hour)
	statuses := []string{"REVOKED", "ACTIVE", "ACTIVE", "REVOKED", "EXPIRED", "EXPIRED", "ACTIVE"}
	for i := range want {
		want[i] = k.get(reader, keyPath(want[i].ID)).want(200).key()
		if want[i].Status != statuses[i] {
			k.Errorf("key %d is %s, want %s", i, want[i].Status, statuses[i])
		}
	}

	tests := []struct {
		query string
		want  pagination
		keys  []key
	}{
		{"", pagination{1, 1, 20}, want},
		{"?page=1", pagination{1, 1, 20}, want},
		{"?items_per_page=100", pagination{1, 1, 100}, want},
		{"?items_per_page=7", pagination{1, 1, 7}, want},
		{"?items_per_page=3", pagination{3, 1, 3}, want[:3]},
		{"?items_per_page=3&page=2", pagination{3, 2, 3}, want[3:6]},
		{"?page=3&items_per_page=3", pagination{3, 3, 3}, want[6:]},
		{"?page=4&items_per_page=3", pagination{3, 4, 3}, nil},
		{"?page=2", pagination{1, 2, 20}, nil},
		{"?page=1000000&items_per_page=100", pagination{1, 1000000, 100}, nil},
		{"?items_per_page=1&page=7", pagination{7, 7, 1}, want[6:]},
		{"?owner=team", pagination{1, 1, 20}, want},
	}
	for _, tt := range tests {
		k.Run("reader "+tt.query, func(k *kit) {
			answer := k.get(reader, keysPath+tt.query).want(200)
			got := answer.list()
			if diff := cmp.Diff(keyList{tt.keys, tt.want}, got, cmpopts.EquateEmpty()); diff != "" {
				k.Errorf("the list differs (-want +got):\n%s", diff)
			}
			if strings.Contains(string(answer.raw), `"data":null`) || strings.Contains(string(answer.raw), "secret") {
				k.Errorf("data is null, or holds a secret: %s", answer.raw)
			}
		})
	}
	nobody := k.get(k.admin, keysPath+"?owner=nobody").want(200).list()
	if diff := cmp.Diff(pagination{0, 1, 20}, nobody.Pagination); diff != "" {
		k.Errorf("the pages of nothing differ (-want +got):\n%s", diff)
	}
}

func TestPagingWalksEveryKeyOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	want := []string{k.admin.ID}
	for i := range 22 {
		owner := fmt.Sprint("owner ", i%3)
		want = append(want, k.mustCreate(k.admin, fields{"name": fmt.Sprint(i), "owner": owner}).ID)
	}
	slices.Reverse(want)
	for _, size := range []int{1, 2, 5, 10, 22, 23, 24, 100} {
		k.Run(fmt.Sprint(size), func(k *kit) {
			var got []string
			pages := 1
			for page := 1; page <= pages; page++ {
				list := k.get(k.admin, fmt.Sprintf("%s?items_per_page=%d&page=%d", keysPath, size, page)).want(200).list()
				pages = list.Pagination.TotalPages
				for _, found := range list.Data {
					got = append(got, found.ID)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				k.Errorf("ids differ (-want +got):\n%s", diff)
			}
			if wantPages := (len(want) + size - 1) / size; pages != wantPages {
				k.Errorf("%d pages, want %d", pages, wantPages)
			}
		})
	}
}

func TestListByOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	alice := k.add("alice", "reader", apikey.ScopeRead)
	bob := k.add("bob", "reader", apikey.ScopeRead)
	second := k.mustCreate(k.admin, fields{"name": "second", "owner": "alice"})
	adminOfBob := k.add("bob", "admin", apikey.ScopeAdmin)
	tests := []struct {
		name  string
		by    key
		query string
		want  []key // newest first
	}{
		{"one's own", alice, "", []key{second, alice}},
		{"one's own, named", alice, "?owner=alice", []key{second, alice}},
		{"another's own", bob, "", []key{adminOfBob, bob}},
		{"an admin sees all", k.admin, "", []key{adminOfBob, second, bob, alice, k.admin}},
		{"every admin does", adminOfBob, "", []key{adminOfBob, second, bob, alice, k.admin}},
		{"an admin names one", k.admin, "?owner=alice", []key{second, alice}},
		{"an admin names itself", k.admin, "?owner=admin", []key{k.admin}},
		{"owners compare byte for byte", k.admin, "?owner=Alice", nil},
		{"an admin names nobody", k.admin, "?owner=nobody", nil},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			got := k.get(tt.by, keysPath+tt.query).want(200).list().Data
			if diff := cmp.Diff(ids(tt.want), ids(got)); diff != "" {
				k.Errorf("ids differ (-want +got):\n%s", diff)
			}
		})
	}
	k.get(alice, keysPath+"?owner=bob").refused(403, "FORBIDDEN")
	k.get(alice, keysPath+"?owner=nobody").refused(403, "FORBIDDEN")
}

func ids(keys []key) []string {
	all := []string{}
	for _, k := range keys {
		all = append(all, k.ID)
	}
	return all
}
