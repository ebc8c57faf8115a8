package sqlstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// No database page ever contains a secret, or its random part alone. Stored names are found
// the same way, so the search works.
func TestNoSecretInAnyPage(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	var secrets []string
	for _, name := range []string{"kept-key", "renamed-before", "revoked-key", "rotated-key", "leaked-key"} {
		key, secret := databasetest.Draft(t, name)
		must(t, db.CreateKey(t.Context(), databasetest.Operator, key))
		secrets = append(secrets, secret.Reveal())
	}
	name := "renamed-after"
	_, err = db.UpdateKey(t.Context(), databasetest.Operator, store.ByName("acme", "renamed-before"), apikey.Change{Name: &name})
	must(t, err)
	_, err = db.RevokeKey(t.Context(), databasetest.Operator, store.ByName("acme", "revoked-key"), apikey.ReasonUnspecified)
	must(t, err)
	rotated, err := db.Key(t.Context(), store.ByName("acme", "rotated-key"))
	must(t, err)
	secret := rotated.NewSecret()
	secrets = append(secrets, secret.Reveal())
	_, err = db.RotateKey(t.Context(), databasetest.Operator, store.ByID(rotated.ID),
		apikey.Rotation{From: rotated.SecretHash, To: secret.Hash(), Grace: time.Minute})
	must(t, err)
	leaked, err := db.Key(t.Context(), store.ByName("acme", "leaked-key"))
	must(t, err)
	_, err = db.EndSecret(t.Context(), store.Actor{Key: leaked.ID, Secret: leaked.SecretHash, Via: "leak report"})
	must(t, err)

	search := func(when string) {
		pages := readAll(t, filepath.Dir(path))
		for _, name := range []string{"kept-key", "renamed-before", "renamed-after", "revoked-key", "rotated-key", "leaked-key"} {
			if !bytes.Contains(pages, []byte(name)) {
				t.Errorf("%s: the search does not even find the name %q", when, name)
			}
		}
		for i, secret := range secrets {
			const randomWidth, checksumWidth = 32, 6
			end := len(secret) - checksumWidth
			if bytes.Contains(pages, []byte(secret)) || bytes.Contains(pages, []byte(secret[end-randomWidth:end])) {
				t.Errorf("%s: the secret of key %d is in a file", when, i)
			}
		}
	}
	search("while open")
	must(t, db.Close())
	search("after Close")
}

// readAll joins the content of all files in a folder.
func readAll(t *testing.T, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []byte
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		must(t, err)
		all = append(all, content...)
	}
	return all
}
