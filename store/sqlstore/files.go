package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"apikeyd/store"
	"apikeyd/store/dbname"
)

// files are the files of an open database, which must stay where they are: SQLite
// goes on writing to a deleted file, and what was acknowledged would be lost.
type files struct {
	path    string                 // of the database, links resolved
	name    *nameLock              // nil while there is no file
	lock    *flock.Flock           // nil unless serving
	watched map[string]os.FileInfo // what we opened, by path
}

// openFiles makes sure that the database file exists, is private, and is ours alone
// to serve.
func openFiles(path string, serve bool) (f *files, err error) {
	f = &files{watched: make(map[string]os.FileInfo)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := dbname.CheckOpen(path); err != nil {
		return f, err
	}
	// By one name, whichever link leads there: the lock stands beside it.
	if f.path, err = resolve(path); err == nil {
		if serve {
			err = f.takeForServer()
		} else {
			err = f.takeName(os.O_RDONLY)
		}
	}
	if errors.Is(err, os.ErrNotExist) && !serve {
		err = store.ErrMissing
	}
	return f, err
}

// takeForServer makes the database file if there is none, and locks out other servers.
func (f *files) takeForServer() error {
	// The name first, where there is a file: a refusal leaves no lock file behind.
	err := f.takeName(os.O_RDWR)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := f.takeLock(); err != nil || f.name != nil {
		return err
	}
	return f.takeName(os.O_RDWR | os.O_CREATE)
}

// RealPath is where a database is or would be, links resolved.
func RealPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// resolve follows the links to a file, which itself need not exist.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if _, missing := os.Lstat(path); errors.Is(missing, os.ErrNotExist) {
		var folder string
		folder, err = filepath.EvalSymlinks(filepath.Dir(path))
		real = filepath.Join(folder, filepath.Base(path))
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

func (f *files) takeLock() error {
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
	return f.watch(path) // without it another server would get in
}

// IsServed reports whether a server has the database, and makes no file to find out.
func IsServed(path string) (bool, error) {
	path, err := resolve(path)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(path + ".lock"); err != nil {
		return false, nil // no server was ever here, or its end is near
	}
	lock := flock.New(path+".lock", flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	return !free, errors.Join(err, lock.Close())
}

// watch remembers which file this is.
func (f *files) watch(path string) error {
	info, err := os.Stat(path)
	f.watched[path] = info
	return err
}

// present notices that a file was deleted or replaced.
func (f *files) present() error {
	for path, opened := range f.watched {
		info, err := os.Stat(path)
		if err != nil || !os.SameFile(info, opened) {
			return fmt.Errorf("%w: the file %s was removed or replaced", store.ErrUnavailable, path)
		}
	}
	return nil
}

// close comes after SQLite has closed its connections.
func (f *files) close() error {
	var errs []error
	if f.lock != nil {
		errs = append(errs, f.lock.Unlock())
	}
	if f.name != nil {
		errs = append(errs, f.name.release())
	}
	return errors.Join(errs...)
}
