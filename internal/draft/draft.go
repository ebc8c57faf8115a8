// Package draft writes files that get their name when they are whole.
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

// Draft is a file that gets its name when it is whole. Until then it lies beside that name,
// readable by its owner alone.
type Draft struct{ *os.File }

// New begins a file beside path.
func New(path string) (Draft, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	return Draft{file}, err
}

// WritePrivate makes a file that nobody else can read, whole or not at all, in place of one
// that is there.
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

// Discard removes what got no name. It may be called in any case.
func (d Draft) Discard() {
	_ = d.Close() // it may be closed already
	_ = os.Remove(d.Name())
}

// Place gives the draft its name, for good. Without replace it never takes the place of
// another file, not even of one that was made this moment.
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
		// This file system knows no links: then nobody can be kept from coming in between.
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return Exists(path)
		}
	}
	if err := os.Rename(d.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Exists is the error of a file that is there already.
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

// Fill copies a file into the draft, and brings it to the disk.
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
