package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// What ended a foreign secret after a backup ends it in the restored database.
func TestCarryOverForeignSecrets(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	names := []string{"kept", "rotated", "in-grace", "revoked", "leaked"}
	keys := make(map[string]apikey.Key)
	for _, name := range names {
		foreign, err := apikey.ForeignSecret("foreign-secret-of-" + name[:4])
		must(t, err)
		key, _ := databasetest.Draft(t, name)
		key.SecretHash, key.Foreign = foreign.Hash, apikey.ForeignCurrent
		must(t, db.ImportKey(t.Context(), databasetest.Operator, key, foreign.Scheme))
		keys[name] = key
	}
	to, err := os.Create(filepath.Join(t.TempDir(), "backup.db"))
	must(t, err)
	must(t, sqlstore.Backup(t.Context(), path, to, func(int, int) {}))
	must(t, to.Close())

	rotate := func(name string, grace time.Duration) {
		key := keys[name]
		_, err := db.RotateKey(t.Context(), databasetest.Operator, store.ByID(key.ID),
			apikey.Rotation{From: key.SecretHash, To: key.NewSecret().Hash(), Grace: grace})
		must(t, err)
	}
	rotate("rotated", 0)
	rotate("in-grace", time.Hour)
	_, err = db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(keys["revoked"].ID), apikey.ReasonUnspecified)
	must(t, err)
	_, err = db.EndSecret(t.Context(), store.Actor{Key: keys["leaked"].ID, Secret: keys["leaked"].SecretHash})
	must(t, err)

	later, err := sqlstore.Examine(t.Context(), path)
	must(t, err)
	defer func() { must(t, later.Close()) }()
	backup, err := sqlstore.ExamineFile(t.Context(), to.Name())
	must(t, err)
	contents, err := backup.Contents(t.Context())
	must(t, err)
	must(t, backup.Close())
	restored, err := sqlstore.OpenRestored(t.Context(), to.Name(), contents.Last)
	must(t, err)
	done, err := restored.CarryOver(t.Context(), databasetest.Operator, later, contents.Last)
	must(t, err)
	if done.Rotated != 2 || done.Revoked != 2 {
		t.Errorf("carried over %+v, want 2 rotations and 2 revocations", done)
	}
	now := time.Now()
	for _, name := range names {
		key, err := restored.Key(t.Context(), store.ByID(keys[name].ID))
		must(t, err)
		works := name == "kept" || name == "in-grace"
		if key.HasForeign(now) != works || (key.Accepts(keys[name].SecretHash, now) && !key.IsRevoked()) != works {
			t.Errorf("%s: the key has a foreign secret: %t, want %t", name, key.HasForeign(now), works)
		}
		id, _, err := restored.ForeignKey(t.Context(), []apikey.Foreign{{Scheme: apikey.SchemeSHA256, Hash: keys[name].SecretHash}})
		must(t, err)
		if id != key.ID {
			t.Errorf("%s: the foreign secret leads to %s", name, id)
		}
	}
	must(t, restored.Close())
	restoredFile, err := sqlstore.Examine(t.Context(), to.Name())
	must(t, err)
	must(t, restoredFile.Foreign(t.Context()))
	must(t, restoredFile.Close())
}
