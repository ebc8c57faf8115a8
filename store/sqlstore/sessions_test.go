package sqlstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// What was ended or opened since a backup does not come back with it.
func TestRestoreEndsSessions(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "keys.db"), Serve: true})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	now := time.Now()
	key, _, err := apikey.Policy{}.NewSessionKey(now, apikey.Settings{Owner: "acme", Name: "alice", ExpiresAt: now.Add(time.Hour)},
		apikey.SessionSignIn, apikey.ID{})
	must(t, err)
	must(t, db.StartSession(t.Context(), store.Visitor("test", "", ""), key))
	link, _, err := apikey.NewLink(now, apikey.Link{Owner: "acme", Name: "bob", Scopes: apikey.Scopes{apikey.ScopeRead}, Lasts: time.Hour})
	must(t, err)
	must(t, db.CreateLink(t.Context(), store.Operator("test"), link))
	must(t, db.NoteRestored(t.Context(), sqlstore.Restored{At: now}))
	if _, err := db.Key(t.Context(), store.ByID(key.ID)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session after a restore: %v", err)
	}
	err = db.OpenLink(t.Context(), store.Visitor("test", "", ""), link.ID, link.Token, func(apikey.Link, *apikey.Key) (apikey.Key, error) {
		return key, nil
	})
	if !errors.Is(err, apikey.ErrNoLink) {
		t.Errorf("a link after a restore: %v", err)
	}
}
