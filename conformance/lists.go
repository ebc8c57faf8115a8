package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"apikeyd/apikey"
)

func listChecks() []check {
	const group = "lists"
	return []check{
		{group, "pages", "pages list every key once, newest first", needWriteKey, paging},
		{group, "defaults", "the defaults are page 1 of 20, and a page past the end is empty", needNothing, listDefaults},
		{group, "page-numbers", "page and items_per_page are whole numbers within their limits", needNothing, badPages},
		{group, "parameters", "unknown and repeated query parameters are refused", needNothing, badQueries},
		{group, "revoked", "revoked keys stay in the list", needWriteKey, listRevoked},
	}
}

// listOwner returns the owner of the keys that this run lists: its own owner if the key may choose
// one, else the key's.
func (s *session) listOwner() (owner, query string) {
	if !s.scopes.Has(apikey.ScopeAdmin) {
		return s.owner, ""
	}
	return s.run, "&owner=" + url.QueryEscape(s.run)
}

func paging(s *session) {
	owner, query := s.listOwner()
	var want []string
	for range 7 {
		key := s.create(s.keyBody().with("owner", owner))
		want = append([]string{key.id}, want...)
	}
	seen := s.walk(query, 3)
	ids := slices.DeleteFunc(slices.Clone(seen), func(id string) bool { return !slices.Contains(want, id) })
	if !slices.Equal(ids, want) {
		s.fail("walking the pages of 3 finds %v, want %v", ids, want)
	}
	if !slices.IsSortedFunc(seen, func(a, b string) int { return strings.Compare(b, a) }) {
		s.fail("the list is not newest first")
	}
	if len(seen) > len(slices.Compact(slices.Sorted(slices.Values(seen)))) {
		s.fail("a key came twice")
	}
}

// walk lists all pages and returns the ids.
func (s *session) walk(query string, size int) []string {
	var ids []string
	for page := 1; ; page++ {
		a := s.want(http.StatusOK, request{operation: "listApiKeys",
			query: fmt.Sprintf("page=%d&items_per_page=%d%s", page, size, query)})
		data := list(a.body["data"])
		for _, item := range data {
			id, _ := object(item)["id"].(string)
			ids = append(ids, id)
		}
		p := object(a.body["pagination"])
		total, _ := p["total_pages"].(float64)
		if p["current_page"] != float64(page) || p["items_per_page"] != float64(size) || len(data) > size {
			s.fail("%s: %d keys, pagination %v", a.about, len(data), p)
		}
		if next, _ := p["next_cursor"].(string); (next != "") != (page < int(total)) {
			s.fail("%s: page %d of %v has the next_cursor %q", a.about, page, total, next)
		}
		if page < int(total) && len(data) != size {
			s.fail("%s: %d keys on a page that is not the last", a.about, len(data))
		}
		if len(data) == 0 || page > int(total) || page > 1000 {
			if int(total) != (len(ids)+size-1)/size {
				s.fail("%s: total_pages is %v for %d keys", a.about, total, len(ids))
			}
			return ids
		}
	}
}

func listDefaults(s *session) {
	a := s.want(http.StatusOK, request{operation: "listApiKeys"})
	p := object(a.body["pagination"])
	if p["current_page"] != 1.0 || p["items_per_page"] != 20.0 {
		s.fail("%s: pagination is %v", a.about, p)
	}
	a = s.want(http.StatusOK, request{operation: "listApiKeys", query: "page=1000000&items_per_page=100"})
	if a.status == http.StatusOK && len(list(a.body["data"])) != 0 {
		s.fail("%s: %d keys past the end", a.about, len(list(a.body["data"])))
	}
}

func badPages(s *session) {
	for name, tooMuch := range map[string]string{"page": "1000001", "items_per_page": "101"} {
		for _, value := range []string{"0", "-1", tooMuch, "99999999999999999999", "1.5", "1e2", "two", "", "%00", "1%2C2"} {
			s.refuses(name, request{operation: "listApiKeys", query: name + "=" + value})
		}
	}
}

func badQueries(s *session) {
	for query, field := range map[string]string{
		"page=1&page=1":       "page",
		"page=1&page=2":       "page",
		"Page=1":              "Page",
		"limit=10":            "limit",
		"owner=":              "owner",
		"owner=a%0Ab":         "owner",
		"page=1;owner=x":      "query",
		"page=%zz":            "query",
		"owner=a&owner=b":     "owner",
		"items_per_page=10&x": "x",
	} {
		s.refuses(field, request{operation: "listApiKeys", query: query})
	}
	s.refuses("page", request{operation: "getApiKey", key: s.run, query: "page=1"})
}

func listRevoked(s *session) {
	owner, query := s.listOwner()
	key := s.create(s.keyBody().with("owner", owner))
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	a := s.want(http.StatusOK, request{operation: "listApiKeys", query: "items_per_page=100" + query})
	for _, item := range list(a.body["data"]) {
		if found := object(item); found["id"] == key.id {
			if found["status"] != "REVOKED" {
				s.fail("%s: the revoked key is listed as %v", a.about, found["status"])
			}
			return
		}
	}
	s.fail("%s: the revoked key is not there", a.about)
}
