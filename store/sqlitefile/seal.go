package sqlitefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"apikeyd/store"
)

// A seal is the last line of a backup: the hash of everything before it. SQLite stores no checksums, so without a
// seal a flipped byte in a value would go unnoticed. It lies behind the last page, where SQLite does not look: a
// sealed file is a database like any other.
const (
	sealPrefix = "\napikeyd backup, SHA-256 of all before this line: "
	sealLength = len(sealPrefix) + 2*sha256.Size + 1
)

// Seal appends the seal to a file, and flushes it to disk.
func Seal(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	line, err := sealOf(file, size)
	if err != nil {
		return err
	}
	if _, err := file.Write(line); err != nil {
		return err
	}
	return file.Sync()
}

// Unseal checks the seal of a file and cuts it off. It reports whether there was one: a
// plain copy of a database has none.
func Unseal(file *os.File) (sealed bool, err error) {
	info, err := file.Stat()
	if err != nil || info.Size() < int64(sealLength) {
		return false, err
	}
	size := info.Size() - int64(sealLength)
	line := make([]byte, sealLength)
	if _, err := file.ReadAt(line, size); err != nil {
		return false, err
	}
	if !bytes.HasPrefix(line, []byte(sealPrefix)) {
		return false, nil
	}
	want, err := sealOf(file, size)
	if err != nil {
		return true, err
	}
	if !bytes.Equal(line, want) {
		return true, fmt.Errorf("%w: it is not what was written (its SHA-256 differs)", store.ErrDamaged)
	}
	return true, errors.Join(file.Truncate(size), file.Sync())
}

func sealOf(file *os.File, size int64) ([]byte, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(file, 0, size)); err != nil {
		return nil, err
	}
	return []byte(sealPrefix + hex.EncodeToString(hash.Sum(nil)) + "\n"), nil
}
