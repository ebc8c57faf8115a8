package service

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
	"apikeyd/handlers"
	"apikeyd/internal/draft"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

const (
	// adminName is the name and the owner of the first key.
	adminName = handlers.OperatorOwner
	// firstKeyLifetime is that of the first key, unless the maximum is shorter.
	firstKeyLifetime = 10 * 365 * 24 * time.Hour
	maxKeyFileSize   = 1024
)

// firstKey creates the first key, without which nobody could call the API.
type firstKey struct {
	db     *sqlstore.DB
	policy apikey.Policy
	file   string
	log    *slog.Logger
	now    func() time.Time
}

// firstKeyAttempts is how often creating the first key is tried: other nodes may create it at the
// same moment, with the same file.
const firstKeyAttempts = 5

// errFileCame says that another process has just created the file.
var errFileCame = errors.New("another process writes the same file")

// ensure creates the first key of an empty store. The database records the secret's hash before the
// file is written, and the file is durable before the key is committed. So a crash leaves either no
// file or one that the next start recognizes, and never a key whose secret nobody has.
func (f firstKey) ensure(ctx context.Context) error {
	var err error
	for range firstKeyAttempts {
		page, readErr := f.db.Keys(ctx, store.Query{Limit: 1})
		if readErr != nil || page.Total > 0 {
			return readErr
		}
		if err = f.make(ctx); !errors.Is(err, errFileCame) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the first key: %w", err)
	}
	return nil
}

func (f firstKey) make(ctx context.Context) error {
	secret, err := f.secret(ctx)
	if err != nil {
		return err
	}
	now := f.now()
	key, err := f.policy.KeyFor(now, apikey.Settings{
		Owner:     adminName,
		Name:      adminName,
		Scopes:    apikey.Scopes{apikey.ScopeAdmin},
		ExpiresAt: now.Add(f.policy.Longest(firstKeyLifetime)),
	}, secret)
	if err != nil {
		return err
	}
	if err := f.db.CreateKey(ctx, store.Operator("serve"), key); err != nil {
		return f.overtaken(ctx, secret, err)
	}
	f.log.Info("created the first key; its secret is in the file", "file", f.file,
		"name", key.Name, "owner", key.Owner, "expires_at", apikey.Timestamp(key.ExpiresAt).String())
	return f.db.ForgetFirstKeys(ctx)
}

// secret returns the secret in the file if an interrupted start on this database left it there. Any
// other secret in the file may be known to others, so it is moved away and a new one is written.
func (f firstKey) secret(ctx context.Context) (apikey.Secret, error) {
	seen, err := os.Stat(f.file)
	if err == nil {
		left, err := f.read()
		if errors.Is(err, os.ErrNotExist) { // it has just moved the file away
			err = errFileCame
		}
		if err != nil {
			return apikey.Secret{}, err
		}
		if noted, err := f.isNoted(ctx, left); noted || err != nil {
			return left, err
		}
		if err := f.moveAway(seen); err != nil {
			return apikey.Secret{}, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return apikey.Secret{}, err
	}
	secret := f.policy.NewSecret()
	if err := f.db.NoteFirstKey(ctx, secret.Hash()); err != nil {
		return apikey.Secret{}, err
	}
	return secret, f.write(secret)
}

// isNoted reports whether the database has recorded a secret as that of a first key.
func (f firstKey) isNoted(ctx context.Context, secret apikey.Secret) (bool, error) {
	noted, err := f.db.IsFirstKeyNoted(ctx, secret.Hash())
	if noted || err != nil {
		return noted, err
	}
	// In this order: the records are deleted once there is a key.
	page, err := f.db.Keys(ctx, store.Query{Limit: 1})
	if err == nil && page.Total > 0 {
		err = errFileCame
	}
	return false, err
}

// overtaken finds out whether another node created the first key at the same moment. Then a file with
// our secret is useless, unless that key has the same secret.
func (f firstKey) overtaken(ctx context.Context, secret apikey.Secret, cause error) error {
	page, err := f.db.Keys(ctx, store.Query{Limit: 1})
	if err != nil || page.Total == 0 {
		return errors.Join(cause, err)
	}
	if _, err := f.db.Key(ctx, store.ByID(secret.ID())); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	f.log.Info("another node created the first key")
	if left, err := f.read(); err != nil || !left.Hash().Equal(secret.Hash()) {
		return nil // the file belongs to another node
	}
	return os.Remove(f.file)
}

// moveAway renames the file to FILE.old, or to FILE.old.1 and so on if that is taken, with mode 0600.
func (f firstKey) moveAway(seen os.FileInfo) error {
	old, err := f.freeName()
	if err != nil {
		return err
	}
	err = os.Rename(f.file, old)
	if err != nil {
		_ = os.Remove(old) // it is empty
	}
	if errors.Is(err, os.ErrNotExist) {
		return errFileCame
	}
	if err != nil {
		return err
	}
	if moved, err := os.Stat(old); err != nil || !os.SameFile(moved, seen) {
		// Another node was first, and has just written this file.
		if err := os.Link(old, f.file); err != nil {
			return err
		}
		return errors.Join(os.Remove(old), errFileCame)
	}
	f.log.Warn("the database is empty, and the file held the secret of another database's key: moved it away; "+
		"delete it if you do not need that key", "file", f.file, "moved_to", old)
	return errors.Join(os.Chmod(old, 0o600), draft.SyncDir(filepath.Dir(f.file)))
}

// freeName creates an empty file under an unused name.
func (f firstKey) freeName() (string, error) {
	name := f.file + ".old"
	for n := 1; ; n++ {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return name, file.Close()
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
		name = fmt.Sprintf("%s.old.%d", f.file, n)
	}
}

// read returns the secret in the file, and makes the file durable. It returns os.ErrNotExist if there
// is no file, and refuses any other content.
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
	// The start that wrote it may have crashed before it was durable.
	if err := errors.Join(err, file.Sync(), file.Close(), draft.SyncDir(filepath.Dir(f.file))); err != nil {
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

// write creates the file durably. It never replaces one.
func (f firstKey) write(secret apikey.Secret) error {
	d, err := draft.New(f.file)
	if err != nil {
		return err
	}
	defer d.Discard()
	_, err = d.WriteString(secret.Reveal() + "\n")
	if err = errors.Join(err, d.Sync()); err != nil {
		return err
	}
	err = d.Place(f.file, false)
	if _, came := os.Lstat(f.file); err != nil && came == nil {
		return errFileCame
	}
	return err
}
