//go:build full

package console_test

import (
	"net/url"
	"testing"
	"time"
)

// A key that is revoked now was good before.
func TestPast(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // fields hold whole seconds
	then := time.Now().UTC().Truncate(time.Second)
	_, err := k.as(k.admin).Revoke(t.Context(), target.ID.String())
	k.must(err)
	b := k.browse()
	b.signIn(k.admin)
	b.open(pathOf(target.ID))
	b.click("a[href$='/then']")
	b.at(pathOf(target.ID, "then"))
	b.wantNot("main", "datasets:read")

	show := func(at time.Time) {
		b.open(pathOf(target.ID, "then") + "?at=" + at.Format("2006-01-02T15:04:05"))
	}
	show(then)
	b.click("form.audit button") // the same time again
	b.at(pathOf(target.ID, "then") + "?at=" + url.QueryEscape(then.Format("2006-01-02T15:04:05")))
	b.want("#then", "active", "worker", "datasets:read", "number 1")
	b.wantNot("#then", "Revoked")
	b.wantNot("main", "audit verify")
	b.seen.Expect("status of 400")
	show(time.Now().UTC().Add(-24 * time.Hour))
	b.want("#at-why", "since the key was created")
	b.seen.Expect("status of 400")
	b.open(pathOf(target.ID, "then") + "?at=yesterday")
	b.want("#at-why", "Give a date and a time.")
}
