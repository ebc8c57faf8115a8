package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
	"apikeyd/store"
)

// wantEvents compares events, except for their ids and their places in the chain.
func (f *fixture) wantEvents(got []store.Event, want ...store.Event) {
	f.Helper()
	diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Event{}, "ID", "Mark"), cmpopts.EquateEmpty())
	if diff != "" {
		f.Errorf("the events differ (-want +got):\n%s", diff)
	}
}

// changed is an event's entry about a field; a nil value is absent.
func (f *fixture) changed(field string, from, to any) apikey.Difference {
	return apikey.Difference{Field: field, From: f.canonical(from), To: f.canonical(to)}
}

func (f *fixture) canonical(value any) jsontext.Value {
	f.Helper()
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	f.must(err)
	canonical := jsontext.Value(text)
	f.must(canonical.Canonicalize())
	return canonical
}

// creation returns the changes in the event of a new key without a rate limit.
func (f *fixture) creation(key apikey.Key) apikey.Differences {
	return apikey.Differences{
		f.changed("enabled", nil, !key.Suspended),
		f.changed("expires_at", nil, apikey.Timestamp(key.ExpiresAt)), f.changed("metadata", nil, key.Metadata),
		f.changed("name", nil, key.Name), f.changed("scopes", nil, key.Scopes),
	}
}

// changedFields names the fields that an event changed.
func changedFields(e store.Event) string {
	var fields []string
	for _, change := range e.Changes {
		fields = append(fields, change.Field)
	}
	return strings.Join(fields, " ")
}

func testEventChanges(f *fixture) {
	slow, fast := apikey.RateLimit{Limit: 1, Window: time.Minute}, apikey.RateLimit{Limit: 9, Window: time.Hour}
	later, end := f.clock.Now().Add(2*time.Hour), apikey.Timestamp(f.clock.Now().Add(time.Hour))
	none, free, odd := apikey.Metadata{}, apikey.Metadata{"plan": "free"}, apikey.Metadata{"<&\u2028é\U0001F511": "\"\\\n", "\uffff": ""}
	read, some := apikey.Scopes{apikey.ScopeRead}, apikey.Scopes{"a:<b>", "c&d"}
	name := "<b>\u2028 ключ"
	key := f.create("acme", "ci", apikey.ScopeRead)
	tests := []struct {
		change apikey.Change
		want   apikey.Differences
	}{
		{apikey.Change{Name: &name}, apikey.Differences{f.changed("name", "ci", name)}},
		{apikey.Change{Scopes: &some}, apikey.Differences{f.changed("scopes", read, some)}},
		{apikey.Change{Scopes: &apikey.Scopes{}}, apikey.Differences{f.changed("scopes", some, apikey.Scopes{})}},
		{apikey.Change{ExpiresAt: &later}, apikey.Differences{f.changed("expires_at", end, apikey.Timestamp(later))}},
		{apikey.Change{Metadata: &free}, apikey.Differences{f.changed("metadata", none, free)}},
		{apikey.Change{Metadata: &odd}, apikey.Differences{f.changed("metadata", free, odd)}},
		{apikey.Change{Metadata: &none}, apikey.Differences{f.changed("metadata", odd, none)}},
		{apikey.Change{RateLimit: &slow}, apikey.Differences{f.changed("rate_limit", nil, slow)}},
		{apikey.Change{RateLimit: &fast}, apikey.Differences{f.changed("rate_limit", slow, fast)}},
		{apikey.Change{RateLimit: &apikey.RateLimit{}, Metadata: &free},
			apikey.Differences{f.changed("metadata", none, free), f.changed("rate_limit", fast, nil)}},
	}
	for _, tt := range tests {
		f.must(second(f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), tt.change)))
		if diff := cmp.Diff(tt.want, f.events()[0].Changes); diff != "" {
			f.Errorf("the changes differ (-want +got):\n%s", diff)
		}
	}
	f.wantChains(len(tests) + 1)
}

func testEventFilters(f *fixture) {
	start := f.clock.Now()
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	f.clock.Advance(time.Second)
	ci := f.draft("acme", "ci")
	f.must(f.CreateKey(f.ctx(), actorOf(admin), ci))
	f.clock.Advance(time.Second)
	other := f.create("other", "ci")
	f.must(second(f.rename(actorOf(admin), store.ByID(other.ID), "cd")))
	f.clock.Advance(time.Second)
	f.revoke(store.ByID(ci.ID))
	f.must(second(f.EndSecret(f.ctx(), finder(other))))
	end := f.clock.Now()

	for name, tt := range map[string]struct {
		query store.EventQuery
		want  string
	}{
		"all":                     {store.EventQuery{}, "leak cd, revoke ci, update cd, create ci, create ci, create admin"},
		"a key":                   {store.EventQuery{Key: ci.ID}, "revoke ci, create ci"},
		"a key under both names":  {store.EventQuery{Key: other.ID}, "leak cd, update cd, create ci"},
		"an unknown key":          {store.EventQuery{Key: apikey.NewID()}, ""},
		"an owner":                {store.EventQuery{Owner: "other"}, "leak cd, update cd, create ci"},
		"an unknown owner":        {store.EventQuery{Owner: "Other"}, ""},
		"a key that acted":        {store.EventQuery{Actor: admin.ID}, "update cd, create ci"},
		"a key that never acted":  {store.EventQuery{Actor: ci.ID}, ""},
		"the operator":            {store.EventQuery{Operator: true}, "revoke ci, create ci, create admin"},
		"an action":               {store.EventQuery{Action: store.ActionCreate}, "create ci, create ci, create admin"},
		"since the start":         {store.EventQuery{Since: start}, "leak cd, revoke ci, update cd, create ci, create ci, create admin"},
		"since just after it":     {store.EventQuery{Since: start.Add(time.Millisecond)}, "leak cd, revoke ci, update cd, create ci, create ci"},
		"since the end":           {store.EventQuery{Since: end}, "leak cd, revoke ci"},
		"since after the end":     {store.EventQuery{Since: end.Add(time.Millisecond)}, ""},
		"since for ever":          {store.EventQuery{Since: time.UnixMilli(-1), Limit: 1}, "leak cd"},
		"until the start":         {store.EventQuery{Until: start}, ""},
		"until just after it":     {store.EventQuery{Until: start.Add(time.Millisecond)}, "create admin"},
		"until the end":           {store.EventQuery{Until: end}, "update cd, create ci, create ci, create admin"},
		"a second":                {store.EventQuery{Since: start.Add(time.Second), Until: start.Add(2 * time.Second)}, "create ci"},
		"until before since":      {store.EventQuery{Since: end, Until: start}, ""},
		"everything at once":      {store.EventQuery{Key: other.ID, Owner: "other", Actor: admin.ID, Action: store.ActionUpdate, Since: start, Until: end}, "update cd"},
		"filters that contradict": {store.EventQuery{Key: other.ID, Owner: "acme"}, ""},
		"the newest of a key":     {store.EventQuery{Key: other.ID, Limit: 1}, "leak cd"},
	} {
		if tt.query.Limit == 0 {
			tt.query.Limit = 100
		}
		events, err := f.AuditEvents(f.ctx(), tt.query)
		f.must(err)
		if got := lines(events); got != tt.want {
			f.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// lines describes events: the action, and the key.
func lines(events []store.Event) string {
	var all []string
	for _, event := range events {
		all = append(all, event.Action+" "+event.Name)
	}
	return strings.Join(all, ", ")
}

// testEventPages reads pages while events are added, and while the clock is set back.
func testEventPages(f *fixture) {
	for i := range 7 {
		f.create("acme", numbered(i))
		f.clock.Advance(-time.Minute)
	}
	var got []store.Event
	query := store.EventQuery{Limit: 3}
	for {
		page, err := f.AuditEvents(f.ctx(), query)
		f.must(err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		query.Before = page[len(page)-1].ID
		f.create("acme", "meanwhile "+numbered(len(got)))
	}
	want := "create key-006, create key-005, create key-004, create key-003, create key-002, create key-001, create key-000"
	if lines(got) != want {
		f.Errorf("the events are %q, want %q", lines(got), want)
	}
}

func testEachEvent(f *fixture) {
	start := f.clock.Now()
	for i := range 5 {
		f.create("acme", numbered(i))
		f.clock.Advance(time.Second)
	}
	walk := func(since time.Time) (events []store.Event) {
		f.must(f.EachEvent(f.ctx(), since, func(e store.Event) error {
			events = append(events, e)
			return nil
		}))
		return events
	}
	all := walk(time.Time{})
	for i, event := range all {
		if event.Seq != int64(i+1) || event.Chain == "" || event.Hash == (store.ChainHash{}) {
			f.Errorf("event %d stands at %+v", i, event.Mark)
		}
	}
	slices.Reverse(all)
	if diff := cmp.Diff(f.events(), all); diff != "" || len(all) != 5 {
		f.Errorf("%d events, which differ (-listed +walked):\n%s", len(all), diff)
	}
	if got := lines(walk(start.Add(3 * time.Second))); got != "create key-003, create key-004" {
		f.Errorf("since then: %q", got)
	}
	enough, n := errors.New("enough"), 0
	f.wantErr(f.EachEvent(f.ctx(), time.Time{}, func(store.Event) error { n++; return enough }), enough)
	if n != 1 {
		f.Errorf("%d events after the first error", n-1)
	}
}
