package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

const (
	seeders      = 64  // concurrent callers that create keys
	keysPerOwner = 100 // so a list of 20 is the first of five pages
)

// seed is a database of many keys, with files of their secrets.
type seed struct {
	folder string
	keys   int
}

func (s seed) database() string { return filepath.Join(s.folder, "keys.db") }

// secrets is a file with one secret per line, all of the same length.
func (s seed) secrets() string { return filepath.Join(s.folder, "secrets") }

// caller is the file with the secret of a calling key.
func (s seed) caller(name string) string { return filepath.Join(s.folder, name+".key") }

// callers are the keys that call the operations, in addition to the many. The reader is one of the
// many, so that it has keys to list.
var callers = map[string]apikey.Settings{
	"admin":    {Owner: "admin", Scopes: apikey.Scopes{apikey.ScopeAdmin}},
	"verifier": {Owner: "gateway", Scopes: apikey.Scopes{apikey.ScopeVerify}},
	"creator":  {Owner: "creator", Scopes: apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite}},
}

// makeSeed returns a seed with this number of keys in folder. It reuses an existing one.
func makeSeed(ctx context.Context, folder string, keys int) (seed, error) {
	s := seed{folder: filepath.Join(folder, fmt.Sprintf("seed-%d", keys)), keys: keys}
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

func (s seed) fill(ctx context.Context) (err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: s.database(), Serve: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return s.fillStore(ctx, db)
}

func (s seed) fillStore(ctx context.Context, db store.Store) error {
	for name, draft := range callers {
		draft.Name = name
		secret, err := create(ctx, db, draft)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.caller(name), []byte(secret.Reveal()), 0o600); err != nil {
			return err
		}
	}
	lines, err := s.createMany(ctx, db)
	if err != nil {
		return err
	}
	width := len(lines) / s.keys
	reader := lines[:width-1]
	return errors.Join(
		os.WriteFile(s.secrets(), lines, 0o600),
		os.WriteFile(s.caller("reader"), reader, 0o600),
	)
}

// createMany creates the keys and returns their secrets, one per line.
func (s seed) createMany(ctx context.Context, db store.Store) ([]byte, error) {
	width := len(apikey.NewSecret(apikey.DefaultPrefix, apikey.NewID()).Reveal()) + 1
	lines := make([]byte, s.keys*width)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range seeders {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= s.keys {
					return
				}
				secret, err := create(ctx, db, draftOf(i))
				if err != nil {
					cancel(err)
					return
				}
				copy(lines[i*width:], secret.Reveal()+"\n")
			}
		})
	}
	wg.Wait()
	return lines, context.Cause(ctx)
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

func create(ctx context.Context, db store.Store, draft apikey.Settings) (apikey.Secret, error) {
	now := time.Now()
	draft.ExpiresAt = now.AddDate(10, 0, 0)
	key, secret, err := apikey.Policy{}.NewKey(now, draft)
	if err != nil {
		return apikey.Secret{}, err
	}
	return secret, db.CreateKey(ctx, store.Operator("bench"), key)
}

// copyTo copies the database and syncs it, because later writes would be measured.
func (s seed) copyTo(path string) (err error) {
	from, err := os.Open(s.database())
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	to, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return to.Sync()
}
