package sqlstore_test

import (
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// What limited an owner after a backup still limits it in the restored database, and nothing else changes.
func TestCarryOverOwners(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	change := func(name string, c apikey.OwnerChange) {
		t.Helper()
		_, err := db.UpdateOwner(t.Context(), databasetest.Operator, name, c)
		must(t, err)
	}
	key := databasetest.Create(t, db, "ci")
	change("suspended later", apikey.OwnerChange{MaxKeys: new(5)})
	change("raised later", apikey.OwnerChange{MaxKeys: new(5), RateLimit: &apikey.RateLimit{Limit: 1, Window: time.Minute}})
	change("enabled later", apikey.OwnerChange{Suspended: new(true)})
	networks := func(all ...string) *apikey.CIDRs { return new(apikey.ParseCIDRs(all)) }
	change("moved later", apikey.OwnerChange{AllowedCIDRs: networks("10.0.0.0/8", "::/0")})
	change("opened later", apikey.OwnerChange{AllowedCIDRs: networks("10.0.0.0/8")})
	backup := func(name string) string {
		to, err := os.Create(filepath.Join(t.TempDir(), name))
		must(t, err)
		must(t, sqlstore.Backup(t.Context(), path, to, func(int, int) {}))
		must(t, to.Close())
		return to.Name()
	}
	copies := []string{backup("a.db"), backup("b.db")}
	change("suspended later", apikey.OwnerChange{Suspended: new(true)})
	change("raised later", apikey.OwnerChange{MaxKeys: new(50), RateLimit: &apikey.RateLimit{}})
	change("enabled later", apikey.OwnerChange{Suspended: new(false)})
	change("moved later", apikey.OwnerChange{AllowedCIDRs: networks("10.1.0.0/16", "192.0.2.7")})
	change("opened later", apikey.OwnerChange{AllowedCIDRs: networks()})
	change("restricted later", apikey.OwnerChange{AllowedCIDRs: networks("192.0.2.7")})
	change("unknown", apikey.OwnerChange{Quota: &apikey.Quota{Limit: 9, Period: apikey.Day, StartsOn: 1}})
	change("unknown", apikey.OwnerChange{MaxKeys: new(9), Metadata: &apikey.Metadata{"a": "b"}})
	none := apikey.Metadata{}
	want := map[string]apikey.OwnerSettings{
		"suspended later": {Suspended: true, MaxKeys: 5, Metadata: none},
		"raised later":    {MaxKeys: 5, RateLimit: apikey.RateLimit{Limit: 1, Window: time.Minute}, Metadata: none},
		"enabled later":   {Suspended: true, Metadata: none},
		"unknown":         {MaxKeys: 9, Quota: apikey.Quota{Limit: 9, Period: apikey.Day, StartsOn: 1}, Metadata: none},
		key.Owner:         {Metadata: none},

		"moved later":      {AllowedCIDRs: *networks("10.1.0.0/16", "192.0.2.7"), Metadata: none},
		"opened later":     {AllowedCIDRs: *networks("10.0.0.0/8"), Metadata: none},
		"restricted later": {AllowedCIDRs: *networks("192.0.2.7"), Metadata: none},
	}
	for i, carry := range []func(*sqlstore.DB) (sqlstore.CarriedOver, error){
		func(restored *sqlstore.DB) (sqlstore.CarriedOver, error) {
			e, err := sqlstore.Examine(t.Context(), path)
			must(t, err)
			defer func() { must(t, e.Close()) }()
			_, err = e.All(t.Context())
			must(t, err)
			return restored.CarryOver(t.Context(), databasetest.Operator, e, time.Time{})
		},
		func(restored *sqlstore.DB) (sqlstore.CarriedOver, error) {
			return restored.CarryOverEvents(t.Context(), databasetest.Operator, eventsOf(t, db))
		},
	} {
		restored, err := sqlstore.OpenRestored(t.Context(), copies[i], time.Time{})
		must(t, err)
		done, err := carry(restored)
		if err != nil || done.Owners != 4 || done.Ended() != 4 {
			t.Errorf("%+v, %v; want four owners", done, err)
		}
		for name, settings := range want {
			got, _, err := restored.OwnerSettings(t.Context(), name)
			must(t, err)
			if diff := cmp.Diff(settings, got); diff != "" {
				t.Errorf("owner %q (-want +got):\n%s", name, diff)
			}
		}
		must(t, restored.Close())
	}
}

func eventsOf(t *testing.T, db *sqlstore.DB) iter.Seq2[store.Event, error] {
	t.Helper()
	return func(yield func(store.Event, error) bool) {
		must(t, db.EachEvent(t.Context(), time.Time{}, func(e store.Event) error {
			yield(e, nil)
			return nil
		}))
	}
}
