// Package draft writes files that get their name once they are complete.
package draft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Draft is a file that gets its name once it is complete. Until then it has a temporary name in the
// same folder, and only its owner can read it.
type Draft struct{ *os.File }

// New creates a draft in the folder of path.
func New(path string) (Draft, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	return Draft{file}, err
}

// WritePrivate atomically writes a file that no other user can read, replacing an existing one.
func WritePrivate(path, text string) error {
	d, err := New(path)
	if err != nil {
		return err
	}
	defer d.Discard()
	_, err = d.WriteString(text)
	if err = errors.Join(err, d.Sync()); err != nil {
		return err
	}
	return d.Place(path, true)
}

// Discard removes a draft that was not placed. It is safe to call after Place too.
func (d Draft) Discard() {
	_ = d.Close() // it may be closed already
	_ = os.Remove(d.Name())
}

// Place durably gives the draft its name. Without replace it never replaces a file, not even one that
// was created at the same moment.
func (d Draft) Place(path string, replace bool) error {
	if err := d.Close(); err != nil {
		return err
	}
	if !replace {
		err := os.Link(d.Name(), path)
		if err == nil {
			return errors.Join(os.Remove(d.Name()), SyncDir(filepath.Dir(path)))
		}
		if errors.Is(err, os.ErrExist) {
			return Exists(path)
		}
		// This file system has no hard links, so another process may create the file in between.
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return Exists(path)
		}
	}
	if err := os.Rename(d.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Exists returns the error for a file that already exists.
func Exists(path string) error {
	return fmt.Errorf("%s exists already; name another file, or say --force to replace it", path)
}

// Hash returns the SHA-256 of the whole draft, and its size.
func (d Draft) Hash() (sum string, size int64, err error) {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(hash, d)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// Fill copies a file into the draft and syncs it.
func (d Draft) Fill(ctx context.Context, from *os.File, progress func(done, total int64)) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	const part = 16 << 20
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(d, from, part)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return d.Sync()
		}
		done += n
		progress(done, info.Size())
	}
}

// SyncDir makes a rename durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
