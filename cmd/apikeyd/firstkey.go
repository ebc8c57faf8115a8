package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// adminName is the name and the owner of the first key.
	adminName = "admin"
	// firstKeyLifetime is that of the first key, unless the maximum is shorter.
	firstKeyLifetime = 10 * 365 * 24 * time.Hour
	maxKeyFileSize   = 1024
)

// firstKey makes the key without which nobody could call the API.
type firstKey struct {
	store  store.Store
	policy apikey.Policy
	file   string
	log    *slog.Logger
	now    func() time.Time
}

// ensure gives an empty store its first key. The file is durable before the key is
// committed, so a crash in between leaves a file to adopt and never a key whose
// secret nobody has.
func (f firstKey) ensure(ctx context.Context) error {
	page, err := f.store.Keys(ctx, store.Query{Limit: 1})
	if err != nil || page.Total > 0 {
		return err
	}
	now := f.now()
	draft := apikey.Draft{
		Owner:     adminName,
		Name:      adminName,
		Scopes:    apikey.Scopes{apikey.ScopeAdmin},
		ExpiresAt: now.Add(f.policy.Longest(firstKeyLifetime)),
	}
	adopted, err := f.read()
	written := false
	var key apikey.Key
	switch {
	case err == nil:
		key, err = f.policy.KeyFor(now, draft, adopted)
	case errors.Is(err, os.ErrNotExist):
		var secret apikey.Secret
		if key, secret, err = f.policy.NewKey(now, draft); err == nil {
			err, written = f.write(secret), true
		}
	}
	if err != nil {
		return fmt.Errorf("the first key: %w", err)
	}
	if err := f.store.CreateKey(ctx, store.Operator("serve"), key); err != nil {
		return f.overtaken(ctx, key, written, err)
	}
	f.log.Info("made the first key; its secret is in the file", "file", f.file,
		"name", key.Name, "owner", key.Owner, "expires_at", apikey.Timestamp(key.ExpiresAt).String())
	return nil
}

// overtaken looks whether the first key could not be made because another node made it at
// the same moment. Then a file of ours holds the secret of no key.
func (f firstKey) overtaken(ctx context.Context, key apikey.Key, written bool, cause error) error {
	page, err := f.store.Keys(ctx, store.Query{Limit: 1})
	if err != nil || page.Total == 0 {
		return fmt.Errorf("the first key: %w", errors.Join(cause, err))
	}
	if _, err := f.store.Key(ctx, store.ByID(key.ID)); errors.Is(err, store.ErrNotFound) && written {
		f.log.Info("another node made the first key")
		return os.Remove(f.file)
	}
	return nil
}

// read returns the secret that is already in the file, and makes sure that it stays
// there. It returns os.ErrNotExist if there is no file, and refuses any other content
// by naming the file.
func (f firstKey) read() (apikey.Secret, error) {
	info, err := os.Stat(f.file)
	if err != nil {
		return apikey.Secret{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFileSize {
		return apikey.Secret{}, f.refused()
	}
	if info.Mode().Perm()&0o077 != 0 {
		f.log.Warn("others may read the first key", "file", f.file, "mode", info.Mode().Perm().String())
	}
	file, err := os.Open(f.file)
	if err != nil {
		return apikey.Secret{}, err
	}
	text, err := io.ReadAll(file)
	// The crash that left the file may have come before it was durable.
	if err := errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(f.file))); err != nil {
		return apikey.Secret{}, err
	}
	secret, err := apikey.ParseSecret(apikey.TrimSecret(string(text)))
	if err != nil {
		return apikey.Secret{}, f.refused()
	}
	return secret, nil
}

func (f firstKey) refused() error {
	return fmt.Errorf("%s exists and holds no secret, while the database holds no keys; "+
		"move it away, or name another file with --admin-key-file", f.file)
}

func (f firstKey) write(secret apikey.Secret) error {
	return writePrivate(f.file, secret.Reveal()+"\n")
}
