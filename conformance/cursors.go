package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func cursorChecks() []check {
	const group = "lists"
	return []check{
		{group, "cursor", "following next_cursor finds every key once, even while keys change", needWriteKey, cursorWalk},
		{group, "cursor-filters", "a cursor works only with the filters of its list", needWriteKey, cursorFilters},
	}
}

// listAfter lists with a query, after a cursor unless it is empty, and returns the ids and
// next_cursor.
func (s *session) listAfter(cursor, query string) (ids []string, next string) {
	if cursor != "" {
		query += "&cursor=" + url.QueryEscape(cursor)
	}
	a := s.want(http.StatusOK, request{operation: "listApiKeys", query: query})
	for _, item := range list(a.body["data"]) {
		id, _ := object(item)["id"].(string)
		ids = append(ids, id)
	}
	p := object(a.body["pagination"])
	if cursor != "" && (p["current_page"] != 0.0 || p["total_pages"] != 0.0) {
		s.fail("%s: with a cursor current_page and total_pages are 0, but pagination is %v", a.about, p)
	}
	next, _ = p["next_cursor"].(string)
	return ids, next
}

// cursorWalk lists keys while it revokes the listed ones and creates others.
func cursorWalk(s *session) {
	f := s.newFamily()
	var want []string
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		f.add(name, nil)
		want = append([]string{f.keys[name].id}, want...)
	}
	var seen []string
	cursor := ""
	for range want {
		var ids []string
		ids, cursor = s.listAfter(cursor, "items_per_page=2&status=ACTIVE"+f.query)
		seen = append(seen, ids...)
		for _, id := range ids {
			s.want(http.StatusOK, request{operation: "revokeApiKey", key: id})
		}
		if cursor == "" {
			break
		}
		f.add("meanwhile, after "+strings.Repeat("I", len(seen)), nil)
	}
	if !slices.Equal(seen, want) {
		s.fail("revoking active keys while listing them finds %v, want %v", seen, want)
	}
	if cursor != "" {
		s.fail("there is a next_cursor after the last key")
	}
}

func cursorFilters(s *session) {
	f := s.newFamily()
	f.add("1", nil)
	f.add("2", nil)
	query := strings.TrimPrefix(f.query, "&")
	_, cursor := s.listAfter("", "items_per_page=1&"+query)
	if cursor == "" {
		s.fail("there is no next_cursor, but a key follows")
		return
	}
	after := "&cursor=" + url.QueryEscape(cursor)
	ids, next := s.listAfter(cursor, "items_per_page=9&"+query)
	if !slices.Equal(ids, []string{f.keys["1"].id}) || next != "" {
		s.fail("after the first of two keys come %v, next_cursor %q", ids, next)
	}
	for field, query := range map[string]string{"page": query + "&page=1" + after, "cursor": query + after + after} {
		s.refuses(field, request{operation: "listApiKeys", query: query})
	}
	for _, query := range []string{
		"cursor=", "cursor=2", query + "&cursor=" + url.QueryEscape(cursor+cursor), query + "&status=ACTIVE" + after,
		strings.TrimPrefix(after, "&"), query + "x" + after,
	} {
		s.refuses("cursor", request{operation: "listApiKeys", query: query})
	}
}
