package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return databasetest.OpenWith(t, sqlstore.Options{Path: databasetest.NewPath(t), Serve: true, Now: now})
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error is %v, want %v", got, want)
	}
}

// Another process takes a right away from an acting key: the next change notices.
func TestActorChangedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, beside := databasetest.Open(t, path), databasetest.OpenBeside(t, path)
	for name, tt := range map[string]struct {
		change func(apikey.Key) error
		want   func(error) bool
	}{
		"revoked": {
			func(k apikey.Key) error {
				return second(beside.RevokeKey(t.Context(), databasetest.Operator, store.ByID(k.ID), apikey.ReasonUnspecified))
			},
			func(err error) bool { return errors.Is(err, store.ErrActorGone) },
		},
		"without its scope": {
			func(k apikey.Key) error {
				change := apikey.Change{Scopes: &apikey.Scopes{apikey.ScopeRead}}
				return second(beside.UpdateKey(t.Context(), databasetest.Operator, store.ByID(k.ID), change))
			},
			func(err error) bool { _, denied := errors.AsType[*apikey.DeniedError](err); return denied },
		},
	} {
		t.Run(name, func(t *testing.T) {
			acting, _ := databasetest.Draft(t, name)
			acting.Scopes = apikey.Scopes{apikey.ScopeWrite}
			must(t, db.CreateKey(t.Context(), databasetest.Operator, acting))
			actor := store.Actor{Key: acting.ID, Secret: acting.SecretHash, Via: "test"}
			create := func(n string) error {
				key, _ := databasetest.Draft(t, name+n)
				key.Owner, key.Scopes = acting.Owner, apikey.Scopes{}
				return db.CreateKey(t.Context(), actor, key)
			}
			must(t, create(" 1"))
			must(t, create(" 2")) // from the cache of acting keys
			must(t, tt.change(acting))
			if err := create(" 3"); !tt.want(err) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
