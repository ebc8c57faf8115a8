package console_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store/storetest"
)

// TestSecretOfOneself rotates the key that the reader is signed in with: the session continues with the
// new secret, even if the old one is refused.
func TestSecretOfOneself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		grace time.Duration
		says  string
	}{
		{0, "The old one is refused from now on."},
		{time.Hour, "The old one is good until"},
	} {
		t.Run(test.grace.String(), func(t *testing.T) {
			t.Parallel()
			c := storetest.NewClock()
			k := newKit(t, options{now: c.Now})
			v := k.visitor()
			v.signIn(k.owner)
			page := pathOf(k.owner.ID)
			v.post(page+"/rotate", url.Values{"grace": {strconv.Itoa(int(test.grace.Seconds()))}}).goes(page + "/secret")
			shown := v.get(page+"/secret").want(http.StatusOK,
				"was rotated", "Its new secret is shown once", test.says)
			if strings.Contains(shown.body, k.owner.Secret) {
				t.Error("the page shows the old secret")
			}
			for passed := time.Duration(0); passed < test.grace; passed += 20 * time.Minute { // so that the session does not time out
				c.Advance(20 * time.Minute)
				v.get("/console/keys").want(http.StatusOK)
			}
			if k.valid(k.owner.Secret) {
				t.Error("the old secret is still good")
			}
			v.get("/console/keys").want(http.StatusOK, "<h1>Keys</h1>")
			v.get(page + "/secret").goes(page)
		})
	}
}

// TestSecretTooLate opens the page of a secret with a cookie that is too old or belongs to another
// session or key.
func TestSecretTooLate(t *testing.T) {
	t.Parallel()
	const cookie = "apikeyd_secret"
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	other := k.add("acme", "other", apikey.ScopeRead)
	third := k.add("acme", "third", apikey.ScopeRead)
	v := k.visitor()
	v.signIn(k.owner)
	for _, test := range []struct {
		name   string
		change func()
		opened key
		status int
	}{
		{"in time", func() {}, other, http.StatusOK},
		{"too late", func() { c.Advance(2 * time.Minute) }, other, http.StatusSeeOther},
		{"of another key", func() {}, third, http.StatusSeeOther},
		{"of another session", func() { v.signIn(k.owner) }, other, http.StatusSeeOther},
	} {
		kept := v.post(pathOf(other.ID, "rotate"), url.Values{"grace": {"0"}}).goes(pathOf(other.ID, "secret")).cookies[cookie]
		test.change()
		v.cookies[cookie] = kept.Value
		got := v.get(pathOf(test.opened.ID, "secret")).want(test.status)
		if shown := strings.Contains(got.body, "shown once"); shown != (test.status == http.StatusOK) {
			t.Errorf("%s: the secret is shown: %t", test.name, shown)
		}
		delete(v.cookies, cookie)
	}
}
