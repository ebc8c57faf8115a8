package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

// listKit starts a service with n keys, "key 1" the newest, and returns a client that counts its
// requests.
func listKit(t *testing.T, n int) (*client.Client, *counter, []string) {
	t.Helper()
	k := newKit(t, servertest.Options{})
	var want []string
	for i := n; i >= 1; i-- {
		k.Add(t, "customer", fmt.Sprintf("key %d", i))
		want = append([]string{fmt.Sprintf("key %d", i)}, want...)
	}
	asked := &counter{base: k.Client.Transport}
	c := newClient(t, k.URL, k.secret, client.Options{HTTPClient: &http.Client{Transport: asked}, MaxRetries: -1})
	return c.ForOwner("customer"), asked, want
}

func TestList(t *testing.T) {
	t.Parallel()
	c, asked, want := listKit(t, 7)
	for _, tt := range []struct{ size, requests int }{{1, 7}, {3, 3}, {7, 1}, {100, 1}, {0, 1}} {
		asked.requests.Store(0)
		list := c.List(t.Context(), client.ListOptions{PageSize: tt.size})
		for range 2 { // a list can be read twice
			var got []string
			for key, err := range list {
				must(t, err)
				got = append(got, key.Name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %q, want %q", tt.size, got, want)
			}
		}
		if n := asked.requests.Load(); n != int64(2*tt.requests) {
			t.Errorf("%d requests for pages of %d, want %d", n, tt.size, 2*tt.requests)
		}
	}
	for page, wantKeys := range map[int][]string{1: want[:3], 3: want[6:], 4: nil} {
		answer, err := c.ListPage(t.Context(), page, client.ListOptions{PageSize: 3})
		must(t, err)
		var got []string
		for _, key := range answer.Keys {
			got = append(got, key.Name)
		}
		if !slices.Equal(got, wantKeys) || answer.Pages != 3 {
			t.Errorf("page %d is %q of %d pages, want %q of 3", page, got, answer.Pages, wantKeys)
		}
	}
	for _, err := range c.ForOwner("nobody").List(t.Context(), client.ListOptions{}) {
		t.Errorf("a list without keys goes on: %v", err)
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	theirs := k.admin.ForOwner("customer")
	ctx, start := t.Context(), clock.Now()
	add := func(name string, lives time.Duration) client.CreatedKey {
		t.Helper()
		created, err := theirs.Create(ctx, client.NewKey{Name: name, ExpiresAt: clock.Now().Add(lives),
			Metadata: map[string]string{"plan": "a=b, c&d", "name": name}})
		must(t, err)
		return created
	}
	add("short", time.Minute)
	ended := add("ended 100%", time.Hour)
	_, err := theirs.RevokeFor(ctx, ended.ID, client.ReasonOwnerLeft)
	must(t, err)
	used := add("used 100%", 2*time.Hour)
	clock.Advance(10 * time.Minute)
	_, err = k.admin.Verify(ctx, used.Secret.Reveal())
	must(t, err)
	must(t, k.Verifier.Keys.Flush(ctx))
	add("new", time.Hour)

	zone := time.FixedZone("", 5*60*60) // must not matter
	for name, tt := range map[string]struct {
		filter client.ListOptions
		want   []string
	}{
		"none":             {client.ListOptions{}, []string{"new", "used 100%", "ended 100%", "short"}},
		"active":           {client.ListOptions{Status: client.StatusActive}, []string{"new", "used 100%"}},
		"expired":          {client.ListOptions{Status: client.StatusExpired}, []string{"short"}},
		"revoked":          {client.ListOptions{Status: client.StatusRevoked}, []string{"ended 100%"}},
		"name":             {client.ListOptions{NameContains: " 100%"}, []string{"used 100%", "ended 100%"}},
		"suspended":        {client.ListOptions{Enabled: new(false)}, nil},
		"not suspended":    {client.ListOptions{Enabled: new(true), Status: client.StatusRevoked}, []string{"ended 100%"}},
		"reason":           {client.ListOptions{Reason: client.ReasonOwnerLeft}, []string{"ended 100%"}},
		"another reason":   {client.ListOptions{Reason: client.ReasonPolicy}, nil},
		"scope":            {client.ListOptions{Scope: "keys:nothing"}, nil},
		"metadata":         {client.ListOptions{Metadata: map[string]string{"plan": "a=b, c&d"}}, []string{"new", "used 100%", "ended 100%", "short"}},
		"all of metadata":  {client.ListOptions{Metadata: map[string]string{"plan": "a=b, c&d", "name": "new"}}, []string{"new"}},
		"other metadata":   {client.ListOptions{Metadata: map[string]string{"name": ""}}, nil},
		"no metadata":      {client.ListOptions{Metadata: map[string]string{}, Search: "new"}, []string{"new"}},
		"search":           {client.ListOptions{Search: "USED"}, []string{"used 100%"}},
		"name, no pattern": {client.ListOptions{NameContains: "%"}, []string{"used 100%", "ended 100%"}},
		"end":              {client.ListOptions{ExpiresBefore: start.Add(time.Hour + 1e6).In(zone)}, []string{"ended 100%", "short"}},
		"use":              {client.ListOptions{LastUsedBefore: start.Add(time.Minute).In(zone)}, []string{"ended 100%", "short"}},
		"all, in pages of one": {client.ListOptions{
			Status: client.StatusRevoked, NameContains: "ended", ExpiresBefore: start.Add(2 * time.Hour),
			LastUsedBefore: start.Add(time.Hour), PageSize: 1,
		}, []string{"ended 100%"}},
		"nobody passes": {client.ListOptions{Status: client.StatusActive, NameContains: "short"}, nil},
	} {
		got, err := names(ctx, theirs, tt.filter)
		must(t, err)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	_, err = names(ctx, theirs, client.ListOptions{Status: "DELETED"})
	wantError(t, err, 400, client.CodeInvalidRequest)
	_, err = names(ctx, theirs, client.ListOptions{Metadata: map[string]string{"": "x"}})
	wantError(t, err, 400, client.CodeInvalidRequest)
	_, err = names(ctx, theirs, client.ListOptions{Metadata: map[string]string{"plan=a": "b, c&d"}}) // would find plan
	if err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("a name with = gives %v", err)
	}
}

func TestListBeyondTheLargestPage(t *testing.T) {
	t.Parallel()
	c, asked, want := listKit(t, 205)
	got, err := names(t.Context(), c, client.ListOptions{})
	must(t, err)
	if !slices.Equal(got, want) || asked.requests.Load() != 3 {
		t.Errorf("%d keys in %d requests", len(got), asked.requests.Load())
	}
}

func TestListStopsWhereTheLoopBreaks(t *testing.T) {
	t.Parallel()
	c, asked, _ := listKit(t, 6)
	for _, tt := range []struct{ keys, requests int }{{1, 1}, {2, 1}, {3, 2}, {6, 3}} {
		asked.requests.Store(0)
		seen := 0
		for _, err := range c.List(t.Context(), client.ListOptions{PageSize: 2}) {
			must(t, err)
			if seen++; seen == tt.keys {
				break
			}
		}
		if n := asked.requests.Load(); n != int64(tt.requests) {
			t.Errorf("%d requests for %d keys, want %d", n, tt.keys, tt.requests)
		}
	}
	asked.requests.Store(0)
	_ = c.List(t.Context(), client.ListOptions{})
	if asked.requests.Load() != 0 {
		t.Error("an unread list makes requests")
	}
}

func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	var pages atomic.Int64
	k := newKit(t, servertest.Options{Handler: func(service http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if pages.Add(1) == 2 {
				http.Error(w, "down", http.StatusBadGateway)
				return
			}
			service.ServeHTTP(w, r)
		})
	}})
	for _, name := range []string{"c", "b", "a"} {
		k.Add(t, "customer", name)
	}
	c := newClient(t, k.URL, k.secret, client.Options{HTTPClient: k.Plain, MaxRetries: -1}).ForOwner("customer")
	var seen, failed int
	for key, err := range c.List(t.Context(), client.ListOptions{PageSize: 2}) {
		if err == nil {
			seen++
			continue
		}
		failed++
		wantError(t, err, 502, "")
		if key.ID != "" {
			t.Errorf("an error comes with %+v", key)
		}
	}
	if seen != 2 || failed != 1 || pages.Load() != 2 {
		t.Errorf("%d keys, %d errors, %d requests", seen, failed, pages.Load())
	}
	for _, size := range []int{-1, 101} {
		_, err := names(t.Context(), k.admin, client.ListOptions{PageSize: size})
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
}

// A new key pushes older ones to the next page; they must not be listed twice.
func TestListWhileKeysAreCreated(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	for i := 5; i >= 1; i-- {
		k.Add(t, "customer", fmt.Sprint(i))
	}
	var got []string
	for key, err := range k.admin.ForOwner("customer").List(t.Context(), client.ListOptions{PageSize: 2}) {
		must(t, err)
		got = append(got, key.Name)
		if len(got) == 2 {
			for i := range 5 { // more than a page
				k.Add(t, "customer", fmt.Sprint("new ", i))
			}
		}
	}
	if want := []string{"1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Keys that the loop revokes no longer pass the filter, but it skips no other key.
func TestListWhileKeysAreRevoked(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	var want, got []string
	for i := 12; i >= 1; i-- {
		k.Add(t, "customer", fmt.Sprint(i))
		want = append([]string{fmt.Sprint(i)}, want...)
	}
	theirs := k.admin.ForOwner("customer")
	for key, err := range theirs.List(t.Context(), client.ListOptions{Status: client.StatusActive, PageSize: 3}) {
		must(t, err)
		got = append(got, key.Name)
		_, err = theirs.Revoke(t.Context(), key.ID)
		must(t, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestListAfter(t *testing.T) {
	t.Parallel()
	c, _, want := listKit(t, 5)
	filter := client.ListOptions{PageSize: 2, Search: "KEY"}
	first, err := c.ListAfter(t.Context(), "", filter)
	must(t, err)
	second, err := c.ListPage(t.Context(), 2, filter)
	must(t, err)
	filter.PageSize = 100
	third, err := c.ListAfter(t.Context(), second.NextCursor, filter)
	must(t, err)
	var got []string
	for _, page := range []client.KeyPage{first, second, third} {
		for _, key := range page.Keys {
			got = append(got, key.Name)
		}
	}
	if !slices.Equal(got, want) || first.Pages != 3 || third.Pages != 0 || third.NextCursor != "" {
		t.Errorf("%q, want %q; pages %d, %d; next %q", got, want, first.Pages, third.Pages, third.NextCursor)
	}
	for _, o := range []client.ListOptions{{Search: "ke"}, {Search: "KEY", Status: client.StatusActive}} {
		_, err = c.ListAfter(t.Context(), first.NextCursor, o)
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
}

// An older service has no cursors. Its first page must not pass for the whole list.
func TestListOfAnOlderService(t *testing.T) {
	t.Parallel()
	one := `{"data":[],"pagination":{"total_pages":2,"current_page":1,"items_per_page":1}}`
	c := newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, nil, one), nil }),
	}})
	_, err := names(t.Context(), c, client.ListOptions{})
	if err == nil || !strings.Contains(err.Error(), "older than this client") {
		t.Errorf("the list ends with %v", err)
	}
}

// A service that announces pages and has none must not be asked forever.
func TestListEndsAtAnEmptyPage(t *testing.T) {
	t.Parallel()
	asked := &counter{base: roundTrip(func(*http.Request) (*http.Response, error) {
		return answer(200, nil, `{"data":[],"pagination":{"total_pages":1000000,"current_page":1,"items_per_page":1,"next_cursor":"x"}}`), nil
	})}
	c := newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{Transport: asked}})
	all, err := names(t.Context(), c, client.ListOptions{})
	must(t, err)
	if len(all) != 0 || asked.requests.Load() != 1 {
		t.Errorf("%q after %d requests", all, asked.requests.Load())
	}
}

func TestListEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, asked, _ := listKit(t, 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.List(ctx, client.ListOptions{PageSize: 1}) {
		last = err
		if asked.requests.Load() == 2 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || !strings.HasPrefix(last.Error(), "apikeyd: ") {
		t.Errorf("the list ends with %v", last)
	}
}
