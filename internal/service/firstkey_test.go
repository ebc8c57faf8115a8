package service

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// After an interrupted first start, an older file has been moved away once, and the file that the start
// wrote is adopted.
func TestInterruptedStartBesideAnOldFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := apikey.Policy{}.NewSecret().Reveal()
	must(t, os.WriteFile(filepath.Join(dir, "admin.key"), []byte(old+"\n"), 0o600))
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "apikeyd.db"), Serve: true})
	must(t, err)
	secret, err := firstKey{db: db, file: filepath.Join(dir, "admin.key"), log: log, now: time.Now}.secret(t.Context())
	must(t, errors.Join(err, db.Close()))
	url := run(t, Config{Database: filepath.Join(dir, "apikeyd.db"), Settings: Settings{Listen: "127.0.0.1:0"}})
	text, err := os.ReadFile(filepath.Join(dir, "admin.key"))
	must(t, err)
	if string(text) != secret.Reveal()+"\n" {
		t.Error("the file of the interrupted start was not adopted")
	}
	wantStatus(t, http.StatusOK, url+"/v1/api-keys", secret.Reveal())
	wantStatus(t, http.StatusUnauthorized, url+"/v1/api-keys", old)
}

// Nodes that start at the same moment on an empty store create one key, and the file with its secret
// stays, whether or not they share a folder.
func TestFirstKeyOfSeveralNodes(t *testing.T) {
	t.Parallel()
	const nodes = 8
	for _, shared := range []bool{true, false} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "admin.key"), []byte(apikey.Policy{}.NewSecret().Reveal()), 0o600))
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "apikeyd.db"), Serve: true})
		must(t, err)
		var wg sync.WaitGroup
		for n := range nodes {
			file := filepath.Join(dir, "admin.key")
			if !shared {
				file = filepath.Join(dir, strconv.Itoa(n)+".key")
			}
			wg.Go(func() {
				first := firstKey{db: db, file: file, log: slog.New(slog.DiscardHandler), now: time.Now}
				if err := first.ensure(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		key, err := db.Key(t.Context(), store.ByName(adminName, adminName))
		must(t, err)
		pattern := "admin.key"
		if !shared {
			pattern = "[0-9].key"
		}
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		if len(files) != 1 {
			t.Fatalf("the files are %v, want one", files)
		}
		text, err := os.ReadFile(files[0])
		must(t, err)
		secret, err := apikey.ParseSecret(apikey.TrimSecret(string(text)))
		if err != nil || secret.ID() != key.ID {
			t.Errorf("the file does not hold the first key's secret (%v)", err)
		}
		must(t, db.Close())
	}
}
