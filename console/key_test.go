package console_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"apikeyd/client"
)

// use verifies a key and writes its last use.
func (k *kit) use(used key) {
	k.Helper()
	answer, err := k.as(k.admin).Verify(k.Context(), used.Secret)
	k.must(err)
	if !answer.Valid() {
		k.Fatalf("the key is %s", answer.Code)
	}
	k.must(k.Verifier.Keys.Flush(k.Context()))
}

func pathOf(id fmt.Stringer, below ...string) string {
	return strings.Join(append([]string{"/console/keys/" + id.String()}, below...), "/")
}

// valid reports whether a secret is valid.
func (k *kit) valid(secret string) bool {
	k.Helper()
	answer, err := k.as(k.admin).Verify(k.Context(), secret)
	k.must(err)
	return answer.Valid()
}

// get returns a key as an administrator sees it.
func (k *kit) get(owner, name string) client.Key {
	k.Helper()
	found, err := k.as(k.admin).ForOwner(owner).Get(k.Context(), name)
	k.must(err)
	return found
}

// signedIn returns an HTTP client that is signed in with a key.
func (k *kit) signedIn(with key) *http.Client {
	k.Helper()
	jar, err := cookiejar.New(nil)
	k.must(err)
	c := &http.Client{Jar: jar, Timeout: time.Minute}
	answer, err := c.PostForm(k.URL+"/console/sign-in", url.Values{"secret": {with.Secret}})
	k.must(err)
	k.must(answer.Body.Close())
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path != "/console" {
		k.Fatalf("signing in answers %s at %s", answer.Status, answer.Request.URL)
	}
	return c
}
