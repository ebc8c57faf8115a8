package client_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx, theirs := t.Context(), k.admin.ForOwner("customer")
	add := func(name string, lives time.Duration) client.CreatedKey {
		t.Helper()
		created, err := theirs.Create(ctx, client.NewKey{Name: name, ExpiresAt: clock.Now().Add(lives)})
		must(t, err)
		return created
	}
	const day = 24 * time.Hour
	add("short", time.Minute)
	add("soon", 100*day)
	add("long", 200*day)
	rotated := add("rotated", 200*day)
	_, err := theirs.Revoke(ctx, add("gone", day).ID)
	must(t, err)
	_, err = theirs.Suspend(ctx, add("suspended", 200*day).ID)
	must(t, err)
	clock.Advance(91 * day)
	add("new", 200*day)
	_, err = theirs.Rotate(ctx, rotated.ID, time.Hour)
	must(t, err)
	all := client.Summary{Active: 4, Expired: 1, Revoked: 2, Suspended: 1, Rotating: 1, ExpiringSoon: 1, Unused: 3}
	everybody := all
	everybody.Active++ // the admin's key
	for _, tt := range []struct {
		name string
		c    *client.Client
		want client.Summary
	}{
		{"an owner", theirs, all},
		{"everybody", k.admin, everybody},
		{"a key", k.as(t, rotated.Secret.Reveal()), all},
		{"nobody", k.admin.ForOwner("nobody"), client.Summary{}},
	} {
		must(t, k.Verifier.Keys.Flush(ctx))
		got, err := tt.c.Summary(ctx)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
		if tt.name == "nobody" {
			continue
		}
		rotating, err := names(ctx, tt.c, client.ListOptions{Rotating: true})
		if err != nil || len(rotating) != 1 || rotating[0] != "rotated" {
			t.Errorf("%s: in rotation are %q, %v", tt.name, rotating, err)
		}
	}
	_, err = k.as(t, rotated.Secret.Reveal()).ForOwner("admin").Summary(ctx)
	wantError(t, err, 403, client.CodeForbidden)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx, start := t.Context(), clock.Now()
	created, err := k.admin.ForOwner("customer").Create(ctx, client.NewKey{Name: "a/b", ExpiresAt: start.Add(48 * time.Hour)})
	must(t, err)
	clock.Advance(2*time.Hour + time.Minute)
	for _, scopes := range [][]string{nil, nil, {"datasets:read"}} {
		_, err := k.admin.Verify(ctx, created.Secret.Reveal(), scopes...)
		must(t, err)
	}
	_, err = k.admin.Verify(ctx, "no secret")
	must(t, err)

	own := k.as(t, created.Secret.Reveal())
	codes := func(valid int, refusals ...client.VerifyCode) map[client.VerifyCode]int {
		all := map[client.VerifyCode]int{client.VerifyValid: valid}
		for _, code := range refusals {
			all[code] = 1
		}
		return all
	}
	for name, tt := range map[string]struct {
		usage    func() (client.Usage, error)
		interval time.Duration
		n        int
		last     client.UsageCount
	}{
		"an owner": {func() (client.Usage, error) { return own.Usage(ctx) },
			time.Minute, 60, client.UsageCount{Start: start.Add(2*time.Hour + time.Minute), Valid: 2, Refused: 1, Codes: codes(2, client.VerifyInsufficientScope)}},
		"an owner, asked by an admin": {func() (client.Usage, error) { return k.admin.ForOwner("customer").Usage(ctx) },
			time.Minute, 60, client.UsageCount{Start: start.Add(2*time.Hour + time.Minute), Valid: 2, Refused: 1, Codes: codes(2, client.VerifyInsufficientScope)}},
		"everybody": {func() (client.Usage, error) { return k.admin.Usage(ctx) },
			time.Minute, 60, client.UsageCount{Start: start.Add(2*time.Hour + time.Minute), Valid: 2, Refused: 2, Codes: codes(2, client.VerifyInsufficientScope, client.VerifyNotFound)}},
		"a key by name": {func() (client.Usage, error) { return own.KeyUsage(ctx, "a/b") },
			time.Hour, 24, client.UsageCount{Start: start.Add(2 * time.Hour), Valid: 2, Refused: 1, Codes: codes(2, client.VerifyInsufficientScope)}},
		"a key by id": {func() (client.Usage, error) { return k.admin.KeyUsage(ctx, created.ID) },
			time.Hour, 24, client.UsageCount{Start: start.Add(2 * time.Hour), Valid: 2, Refused: 1, Codes: codes(2, client.VerifyInsufficientScope)}},
	} {
		u, err := tt.usage()
		if err != nil || !u.Since.Equal(start) || u.Interval != tt.interval || len(u.Counts) != tt.n {
			t.Errorf("%s: since %s, %d times %s, %v", name, u.Since, len(u.Counts), u.Interval, err)
			continue
		}
		if diff := cmp.Diff(tt.last, u.Counts[tt.n-1]); diff != "" {
			t.Errorf("%s: the last differs (-want +got):\n%s", name, diff)
		}
		for i, count := range u.Counts[:tt.n-1] {
			at := tt.last.Start.Add(-time.Duration(tt.n-1-i) * tt.interval)
			if !count.Start.Equal(at) || count.Valid+count.Refused+len(count.Codes) != 0 {
				t.Errorf("%s: entry %d is %+v, want nothing at %s", name, i, count, at)
			}
		}
	}
	for name, usage := range map[string]func(client.UsageOptions) (client.Usage, error){
		"an owner": func(o client.UsageOptions) (client.Usage, error) { return own.UsageWith(ctx, o) },
		"a key":    func(o client.UsageOptions) (client.Usage, error) { return own.KeyUsageWith(ctx, "a/b", o) },
	} {
		u, err := usage(client.UsageOptions{Interval: client.UsageByDay, Since: start.AddDate(0, 0, -1), Until: start.AddDate(0, 0, 2)})
		day := start.Truncate(24 * time.Hour)
		if err != nil || u.Interval != 24*time.Hour || len(u.Counts) != 4 || !u.Counts[1].Start.Equal(day) || u.Counts[1].Valid != 2 {
			t.Errorf("%s by the day: %+v, %v", name, u, err)
		}
		_, err = usage(client.UsageOptions{Interval: client.UsageByMinute, Since: start.AddDate(0, 0, -1)})
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
	_, err = own.ForOwner("admin").Usage(ctx)
	wantError(t, err, 403, client.CodeForbidden)
	_, err = own.KeyUsage(ctx, "admin")
	wantError(t, err, 404, client.CodeKeyNotFound)
	_, err = own.KeyUsage(ctx, "..")
	wantError(t, err, 404, client.CodeKeyNotFound)
}

// An unrelated answer does not count as a usage of zero.
func TestInvalidUsage(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://keys.example.com", "ak_x", client.Options{MaxRetries: -1, HTTPClient: &http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: http.NoBody, Proto: strings.ToUpper(r.URL.Scheme)}, nil
		}),
	}})
	if _, err := c.Summary(t.Context()); err == nil {
		t.Error("an empty answer is a summary")
	}
	if _, err := c.Usage(t.Context()); err == nil {
		t.Error("an empty answer is a usage")
	}
}
