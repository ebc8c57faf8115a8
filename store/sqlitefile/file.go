// Package sqlitefile has the tools for a SQLite file: it opens and locks files, connects to them with the settings
// that the service relies on, copies and seals backups, and puts a restored file in place. It knows no tables.
package sqlitefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"apikeyd/store"
	"apikeyd/store/dbname"
)

// File is an open database file with its companions, all of which must stay in place: SQLite keeps writing to a
// deleted file, and acknowledged changes would be lost.
type File struct {
	path    string                 // links resolved
	name    *nameLock              // nil while there is no file
	lock    *flock.Flock           // nil unless servers are locked out
	watched map[string]os.FileInfo // what we opened, by path
}

// Purpose is what a file is opened for.
type Purpose int

// The purposes. Without ToServe and ToReplace, a server may have the file open.
const (
	ToRead    Purpose = iota // an existing file, to read or change it
	ToServe                  // creates the file if there is none, and locks out other servers
	ToReplace                // locks out servers; there need not be a file
	ToExamine                // a file that nobody writes to, such as a backup, wherever it lies
)

// Open opens a file, which nobody else may then use under another name until Close.
func Open(path string, purpose Purpose) (f *File, err error) {
	f = &File{watched: make(map[string]os.FileInfo)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if purpose != ToExamine {
		if err := dbname.CheckOpen(path); err != nil {
			return f, err
		}
	}
	// The lock lies beside the file's own name, whichever link leads to it.
	if f.path, err = resolve(path); err != nil {
		return f, f.missing(err, purpose)
	}
	switch purpose {
	case ToExamine:
		f.name, err = lockName(f.path, os.O_RDONLY)
		return f, err
	case ToServe:
		err = f.takeName(os.O_RDWR)
	default:
		err = f.takeName(os.O_RDONLY)
	}
	if purpose == ToRead || err != nil && !errors.Is(err, os.ErrNotExist) {
		return f, f.missing(err, purpose)
	}
	// After the name: refusing a file leaves no lock beside it.
	if err = f.LockOut(); err == nil && f.name == nil && purpose == ToServe {
		err = f.takeName(os.O_RDWR | os.O_CREATE)
	}
	return f, err
}

// missing returns store.ErrMissing if a file that must exist does not.
func (f *File) missing(err error, purpose Purpose) error {
	if purpose == ToRead && errors.Is(err, os.ErrNotExist) {
		return store.ErrMissing
	}
	return err
}

// Path is where the file is, links resolved.
func (f *File) Path() string { return f.path }

// RecordName notes on the file itself that a log may come to lie beside this name.
func (f *File) RecordName() { f.name.record() }

// RealPath is where a database is or would be, links resolved.
func RealPath(path string) string {
	if real, err := follow(path); err == nil {
		return real
	}
	return path
}

// resolve returns the absolute RealPath of a file to open.
func resolve(path string) (string, error) {
	real, err := follow(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// follow follows the links to a file, which itself need not exist.
func follow(path string) (string, error) {
	if _, missing := os.Lstat(path); !errors.Is(missing, os.ErrNotExist) {
		return filepath.EvalSymlinks(path)
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(folder, filepath.Base(path)), err
}

// LockOut locks out all servers until Close. It returns store.ErrInUse if there is one.
func (f *File) LockOut() error {
	path := f.path + ".lock"
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return err
	}
	if !held {
		return store.ErrInUse
	}
	f.lock = lock
	return f.Watch(path) // without it another server would get in
}

// IsServed reports whether a server has a database open. It creates no file to find out.
func IsServed(path string) (bool, error) {
	path, err := resolve(path)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(path + ".lock"); err != nil {
		return false, nil // no server was ever here, or it is about to end
	}
	lock := flock.New(path+".lock", flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	return !free, errors.Join(err, lock.Close())
}

// Watch adds a file to those that must stay where they are.
func (f *File) Watch(path string) error {
	info, err := os.Stat(path)
	f.watched[path] = info
	return err
}

// Present fails if a file was deleted or replaced.
func (f *File) Present() error {
	for path, opened := range f.watched {
		info, err := os.Stat(path)
		if err != nil || !os.SameFile(info, opened) {
			return fmt.Errorf("%w: the file %s was removed or replaced", store.ErrUnavailable, path)
		}
	}
	return nil
}

// Close releases the locks. All pools must have been closed before.
func (f *File) Close() error {
	var errs []error
	if f.lock != nil {
		errs = append(errs, f.lock.Unlock())
	}
	if f.name != nil {
		errs = append(errs, f.name.release())
	}
	return errors.Join(errs...)
}

// companions are the files that SQLite keeps beside a database and would apply to any file that gets its name.
var companions = []string{"-wal", "-journal"}

// HasLog reports whether a log lies beside a file: the database is in use or was not closed. Then the file
// alone is not the whole database.
func HasLog(path string) bool {
	if real, err := resolve(path); err == nil {
		path = real
	}
	for _, suffix := range companions {
		if _, err := os.Lstat(path + suffix); err == nil {
			return true
		}
	}
	return false
}

// Size returns a file's size, 0 if it does not exist.
func Size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
