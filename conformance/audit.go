package conformance

import (
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
)

func auditChecks() []check {
	const group = "audit"
	return []check{
		{group, "changes", "every change makes one event that says who did what to which key", needAdminKey | needWriteKey, auditedChanges},
		{group, "fields", "an event has each changed field's old and new value", needAdminKey | needWriteKey, auditedFields},
		{group, "refused-calls", "a call that is refused or changes nothing makes no event", needAdminKey | needWriteKey, unauditedCalls},
		{group, "filters", "filters narrow the events", needAdminKey | needWriteKey, auditFilters},
		{group, "pages", "events can be paged while more arrive", needAdminKey | needWriteKey, auditPages},
		{group, "invalid", "an invalid audit filter is refused", needAdminKey, badAuditFilters},
	}
}

// events lists all events that match a query, page by page.
func (s *session) events(query string, size int) []map[string]any {
	var all []map[string]any
	before := ""
	for range 1000 {
		a := s.want(http.StatusOK, request{operation: "listAuditEvents",
			query: "items_per_page=" + strconv.Itoa(size) + query + before})
		data := list(a.body["data"])
		for _, item := range data {
			all = append(all, object(item))
		}
		next, more := a.body["next"].(string)
		if len(data) > size || more && len(data) != size {
			s.fail("%s: %d events in an answer of %d, and more to come: %t", a.about, len(data), size, more)
		}
		if !more {
			return all
		}
		before = "&before=" + next
	}
	s.fail("listing events never ends")
	return all
}

func (s *session) eventsOf(id string) []map[string]any { return s.events("&key="+id, 20) }

// reported returns a key's events that are written in the background, which takes real time whatever the clock is.
func (s *session) reported(action string, key created) (events []map[string]any) {
	for deadline := time.Now().Add(5 * time.Second); len(events) == 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		events = s.events("&action="+action+"&key="+key.id, 20)
	}
	return events
}

// wantEvent compares an event with its call.
func (s *session) wantEvent(event map[string]any, action string, call answer, want fields) {
	want = want.with("action", action).with("request_id", call.header.Get("X-Request-Id"))
	for field, value := range want {
		if event[field] != value {
			s.fail("the event of %s says %s %v, want %v", action, field, event[field], value)
		}
	}
	address, told := event["address"].(string)
	if _, err := netip.ParseAddr(address); err != nil && (told || !s.noAddress) {
		s.fail("the event of %s came from address %q", action, address)
	}
}

func auditedChanges(s *session) {
	made := s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().with("owner", s.run).json()})
	key := created{body: made.body}
	key.id, _ = made.body["id"].(string)
	key.name, _ = made.body["name"].(string)
	key.secret, _ = made.body["secret"].(string)
	if key.id == "" || key.secret == "" {
		return
	}
	s.made = append(s.made, key)
	s.keepSecret(key.secret)
	renamed := key.name + " renamed"
	update := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"name": renamed}.json()})
	rotate := s.want(http.StatusOK, request{operation: "rotateApiKey", key: key.id, body: fields{"grace_seconds": 600}.json()})
	secret, _ := rotate.body["secret"].(string)
	s.keepSecret(secret)
	report := s.want(http.StatusAccepted, leakReport(key.secret, "the old secret"))
	revoke := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})

	events := s.eventsOf(key.id)
	if len(events) != 5 {
		s.fail("5 changes made %d events", len(events))
		return
	}
	mine := fields{"key_id": key.id, "owner": s.run, "name": renamed, "actor": s.id, "via": "http"}
	s.wantEvent(events[0], "revoke", revoke, mine)
	s.wantEvent(events[1], "leak", report, mine.with("actor", key.id).with("via", "leak report"))
	s.wantEvent(events[2], "rotate", rotate, mine)
	s.wantEvent(events[3], "update", update, mine)
	s.wantEvent(events[4], "create", made, mine.with("name", key.name))
	if !slices.IsSortedFunc(events, func(a, b map[string]any) int {
		return strings.Compare(text(b["id"]), text(a["id"]))
	}) {
		s.fail("the events are not newest first")
	}
}

func auditedFields(s *session) {
	end, later := inAnHour(), apikey.Timestamp(time.Now().Add(2*time.Hour)).String()
	key := s.create(s.keyBody().with("expires_at", end).with("scopes", []string{"a:b"}).with("rate_limit", nil).with("quota", nil))
	limit, plan := map[string]any{"limit": 5.0, "window_seconds": 60.0}, map[string]any{"plan": "<pro>"}
	change := func(body fields) {
		s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: body.json()})
	}
	change(fields{"name": key.name + "é", "expires_at": later})
	change(fields{"scopes": []string{}})
	change(fields{"metadata": plan, "rate_limit": limit})
	change(fields{"rate_limit": nil})
	change(fields{"enabled": false})
	change(fields{"enabled": true})
	rotated := s.rotate(key, `{"grace_seconds":60}`)
	grace := rotated.body["grace_ends_at"]
	revoked := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, query: "reason=superseded"}).body["revoked_at"]

	type object = map[string]any
	fromTo := func(from, to any) object { return object{"from": from, "to": to} }
	want := []object{
		{"revoked_at": object{"to": revoked}, "revocation_reason": object{"to": "superseded"}, "grace_ends_at": object{"from": grace}},
		{"grace_ends_at": object{"to": grace}},
		{"enabled": fromTo(false, true)},
		{"enabled": fromTo(true, false)},
		{"rate_limit": object{"from": limit}},
		{"metadata": fromTo(object{}, plan), "rate_limit": object{"to": limit}},
		{"scopes": fromTo([]any{"a:b"}, []any{})},
		{"name": fromTo(key.name, key.name+"é"), "expires_at": fromTo(end, later)},
		{"name": object{"to": key.name}, "expires_at": object{"to": end}, "scopes": object{"to": []any{"a:b"}},
			"metadata": object{"to": object{}}, "enabled": object{"to": true}},
	}
	events := s.eventsOf(key.id)
	if len(events) != len(want) {
		s.fail("%d changes made %d events", len(want), len(events))
		return
	}
	for i, event := range events {
		if !reflect.DeepEqual(event["changes"], any(want[i])) {
			s.fail("the event of %v says that %v changed, want %v", event["action"], event["changes"], want[i])
		}
	}
}

func unauditedCalls(s *session) {
	key, other := s.create(s.keyBody()), s.create(s.keyBody())
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: `{}`})
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"name": key.name}.json()})
	s.want(http.StatusConflict, request{operation: "updateApiKey", key: key.id, body: fields{"name": other.name}.json()})
	s.want(http.StatusBadRequest, request{operation: "updateApiKey", key: key.id, body: `{"name":""}`})
	s.want(http.StatusOK, request{operation: "getApiKey", key: key.id})
	if n := len(s.eventsOf(key.id)); n != 1 {
		s.fail("a creation and calls that change nothing made %d events", n)
	}
}

func auditFilters(s *session) {
	owner := s.newName()
	admin := s.create(s.keyBody().with("owner", owner).with("scopes", []string{apikey.ScopeAdmin}))
	key := s.createAs(admin.secret, s.keyBody().with("owner", owner))
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, secret: admin.secret,
		body: fields{"name": key.name + " 2"}.json()})
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	whole := s.events("&owner="+url.QueryEscape(owner), 20)
	if len(whole) != 4 {
		s.fail("4 changes made %d events of their owner", len(whole))
		return
	}
	// Some may have the same millisecond.
	during := func(keep func(time.Time) bool) (found []int) {
		for i, event := range whole {
			if keep(stamp(event["at"])) {
				found = append(found, i)
			}
		}
		return found
	}
	second := stamp(whole[2]["at"])
	at := func(later time.Duration) string {
		return url.QueryEscape(apikey.Timestamp(second.Add(later)).String())
	}
	for query, want := range map[string][]int{
		"key=" + key.id:                               {0, 1, 2},
		"key=" + key.id + "&action=update":            {1},
		"actor=" + admin.id:                           {1, 2},
		"actor=" + admin.id + "&action=create":        {2},
		"actor=" + s.id + "&key=" + key.id:            {0},
		"actor=operator&key=" + key.id:                nil,
		"action=leak&key=" + key.id:                   nil,
		"owner=" + url.QueryEscape(owner+"x"):         nil,
		"key=00000000-0000-0000-0000-000000000000":    nil,
		"actor=00000000-0000-0000-0000-000000000000":  nil,
		"before=00000000-0000-0000-0000-000000000000": nil,
		"since=" + at(0) + "&owner=" + url.QueryEscape(owner): during(
			func(t time.Time) bool { return !t.Before(second) }),
		"since=" + at(time.Millisecond) + "&owner=" + url.QueryEscape(owner): during(
			func(t time.Time) bool { return t.After(second) }),
		"until=" + at(0) + "&owner=" + url.QueryEscape(owner): during(
			func(t time.Time) bool { return t.Before(second) }),
		"until=" + at(time.Millisecond) + "&key=" + key.id: slices.DeleteFunc(during(
			func(t time.Time) bool { return !t.After(second) }), func(i int) bool { return i == 3 }),
		"before=" + text(whole[1]["id"]) + "&owner=" + url.QueryEscape(owner): {2, 3},
	} {
		var got []int
		for _, event := range s.events("&"+query, 20) {
			got = append(got, slices.IndexFunc(whole, func(e map[string]any) bool { return text(e["id"]) == text(event["id"]) }))
		}
		if !slices.Equal(got, want) {
			s.fail("events with %s are %v of those of the owner, want %v", query, got, want)
		}
	}
}

func auditPages(s *session) {
	owner := s.newName()
	var want []string
	for range 5 {
		key := s.create(s.keyBody().with("owner", owner))
		want = append([]string{key.id}, want...)
	}
	for _, size := range []int{1, 2, 5, 100} {
		var got []string
		for _, event := range s.events("&owner="+url.QueryEscape(owner), size) {
			got = append(got, text(event["key_id"]))
		}
		if !slices.Equal(got, want) {
			s.fail("reading events by %d finds those of %v, want %v", size, got, want)
		}
	}
	first := s.want(http.StatusOK, request{operation: "listAuditEvents", query: "items_per_page=2&owner=" + url.QueryEscape(owner)})
	s.create(s.keyBody().with("owner", owner))
	rest := s.events("&owner="+url.QueryEscape(owner)+"&before="+text(first.body["next"]), 20)
	if len(rest) != 3 || text(rest[0]["key_id"]) != want[2] {
		s.fail("after 2 of 5 events, and one that came since, %d are left to read, want 3", len(rest))
	}
	if n := len(list(s.want(http.StatusOK, request{operation: "listAuditEvents"}).body["data"])); n > 20 {
		s.fail("an answer holds %d events unless asked otherwise, want 20 at most", n)
	}
}

func badAuditFilters(s *session) {
	for query, field := range map[string]string{
		"key=":                         "key",
		"key=ci":                       "key",
		"key=" + s.id + "&key=" + s.id: "key",
		"key=urn:uuid:" + s.id:         "key",
		"owner=":                       "owner",
		"owner=a%00b":                  "owner",
		"actor=":                       "actor",
		"actor=Operator":               "actor",
		"actor=" + s.id + "0":          "actor",
		"action=created":               "action",
		"action=":                      "action",
		"since=yesterday":              "since",
		"since=2026-01-31":             "since",
		"until=2026-02-30T00:00:00Z":   "until",
		"before=1":                     "before",
		"items_per_page=0":             "items_per_page",
		"items_per_page=101":           "items_per_page",
		"page=2":                       "page",
		"name=ci":                      "name",
	} {
		s.refuses(field, request{operation: "listAuditEvents", query: query})
	}
}
