package apikey_test

import (
	"testing"
	"time"

	"apikeyd/apikey"
)

func TestSessionIDs(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if id := apikey.NewSessionID(); !id.IsSession() {
			t.Fatalf("%s is no session's", id)
		}
		if id := apikey.NewID(); id.IsSession() { // one in 4 billion
			t.Fatalf("%s is a session's", id)
		}
	}
	key, secret, err := apikey.Policy{Prefix: "own"}.NewSessionKey(time.Now(), apikey.Settings{
		Owner: "o", Name: "n", ExpiresAt: time.Now().Add(time.Hour),
	}, apikey.SessionLink, apikey.ID{})
	if err != nil {
		t.Fatal(err)
	}
	if id, hash, ok := apikey.Identify(secret.Reveal()); !ok || id != key.ID || hash != key.SecretHash || !id.IsSession() {
		t.Errorf("the secret of a session leads to %s, %t", id, ok)
	}
}
