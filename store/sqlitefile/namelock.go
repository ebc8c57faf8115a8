package sqlitefile

import (
	"errors"
	"os"
)

// SQLite finds a database's write-ahead log by the file's name, and a server finds the lock of other servers so too.
// A file that is used under two names at once (hard links, or a file mounted into two containers) gets two logs
// and is destroyed. So Open takes a nameLock before anything else.

// The reasons for which a file must not be opened under the name that was given.
var (
	ErrOtherName = errors.New("the file is open under another name")
	ErrOtherLog  = errors.New("a write-ahead log with changes stands beside another name of the file")
	ErrMounted   = errors.New("the file is mounted alone, without its folder, so its write-ahead log would not be beside it")
	ErrLinked    = errors.New("the file has other names (hard links), and this system cannot tell whether one of them is in use")
)

// takeName opens the database file, which no one else may use under another name until
// Close.
func (f *File) takeName(flag int) error {
	info, err := os.Stat(f.path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if f.name, err = lockName(f.path, flag); err != nil {
		return err
	}
	f.watched[f.path] = f.name.info
	return f.name.check()
}

// Links returns how many names (hard links) a database file has besides the given one.
func Links(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return max(int(countLinks(path, info))-1, 0) //nolint:gosec // no file has so many
}
