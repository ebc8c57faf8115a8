package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

const (
	keysPerOwner = 100 // so a list of 20 is the first of five pages
	// maxSecrets is how many secrets are kept: wrk reads all of them into memory.
	maxSecrets = 1_000_000
)

// seed is a database of many keys, with files of their secrets.
type seed struct {
	folder string
	keys   int
}

func (s seed) database() string { return filepath.Join(s.folder, "keys.db") }

// plain is the database of the plain service, with the same keys.
func (s seed) plain() string { return filepath.Join(s.folder, "plain.db") }

// secrets is a file with one secret per line, all of the same length.
func (s seed) secrets() string { return filepath.Join(s.folder, "secrets") }

// known is how many secrets there are: all, or of every few keys one.
func (s seed) known() int { return (s.keys + s.stride() - 1) / s.stride() }

func (s seed) stride() int { return (s.keys + maxSecrets - 1) / maxSecrets }

// caller is the file with the secret of a calling key.
func (s seed) caller(name string) string { return filepath.Join(s.folder, name+".key") }

// callers are the keys that call the operations, in addition to the many. The reader is the first of the
// many, so that it has keys to list.
var callers = map[string]apikey.Settings{
	"admin":    {Owner: "admin", Scopes: apikey.Scopes{apikey.ScopeAdmin}},
	"verifier": {Owner: "gateway", Scopes: apikey.Scopes{apikey.ScopeVerify}},
	"creator":  {Owner: "creator", Scopes: apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite}},
}

// makeSeed returns a seed with this number of keys in folder. It reuses an existing one.
func makeSeed(ctx context.Context, folder string, keys int) (seed, error) {
	s := seed{folder: filepath.Join(folder, fmt.Sprintf("%d-keys", keys)), keys: keys}
	if _, err := os.Stat(s.folder); err == nil {
		return s, nil
	}
	// An incomplete seed has another name.
	part := seed{folder: s.folder + ".part", keys: keys}
	if err := os.RemoveAll(part.folder); err != nil {
		return seed{}, err
	}
	if err := os.MkdirAll(part.folder, 0o700); err != nil {
		return seed{}, err
	}
	if err := part.fill(ctx); err != nil {
		return seed{}, fmt.Errorf("creating %d keys: %w", keys, err)
	}
	return s, os.Rename(part.folder, s.folder)
}

// fill creates the callers and the first of the many keys through the store, and the others as copies of it.
func (s seed) fill(ctx context.Context) (err error) {
	secrets, err := os.OpenFile(s.secrets(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, secrets.Close()) }()
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: s.database(), Serve: true})
	if err != nil {
		return err
	}
	if err := errors.Join(s.createFirst(ctx, db, secrets), db.Close()); err != nil {
		return err
	}
	if err := s.multiply(ctx, secrets); err != nil {
		return err
	}
	return makePlain(ctx, s)
}

func (s seed) createFirst(ctx context.Context, db store.Store, secrets io.Writer) error {
	for name, draft := range callers {
		draft.Name = name
		secret, err := create(ctx, db, draft)
		if err == nil {
			err = os.WriteFile(s.caller(name), []byte(secret), 0o600)
		}
		if err != nil {
			return err
		}
	}
	reader, err := create(ctx, db, draftOf(0))
	if err != nil {
		return err
	}
	_, err = io.WriteString(secrets, reader+"\n")
	return errors.Join(err, os.WriteFile(s.caller("reader"), []byte(reader), 0o600))
}

func create(ctx context.Context, db store.Store, draft apikey.Settings) (string, error) {
	key, secret, err := newKey(draft)
	if err != nil {
		return "", err
	}
	return secret, db.CreateKey(ctx, store.Operator("bench"), key)
}

// draftOf returns the i-th of the many keys. The first of each owner may read its owner's keys.
func draftOf(i int) apikey.Settings {
	d := apikey.Settings{
		Owner:    fmt.Sprintf("customer-%d", i/keysPerOwner),
		Name:     keyName(i),
		Scopes:   apikey.Scopes{"datasets:read", "datasets:write"},
		Metadata: apikey.Metadata{"plan": "pro"},
	}
	if i%keysPerOwner == 0 {
		d.Scopes = append(d.Scopes, apikey.ScopeRead)
	}
	return d
}

func keyName(i int) string { return fmt.Sprintf("key-%d", i) }

func newKey(draft apikey.Settings) (apikey.Key, string, error) {
	now := time.Now()
	draft.ExpiresAt = now.AddDate(10, 0, 0)
	key, secret, err := apikey.Policy{}.NewKey(now, draft)
	return key, secret.Reveal(), err
}

// copyFile copies a database and syncs it, because later writes would be measured.
func copyFile(path, to string) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	file, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	return file.Sync()
}
