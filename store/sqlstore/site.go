package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"apikeyd/store/dbname"
)

// Site is the place of a database file, kept free of servers until Close.
type Site struct {
	files *files
	old   *sql.DB // while it is being replaced
}

// The reasons for which a Site takes no file.
var (
	ErrOccupied = errors.New("there is a database already")
	ErrLeftover = errors.New("what belongs to another database lies beside it")
	ErrOpen     = errors.New("another process has the database open")
)

// OpenSite takes the place at path. It returns ErrInUse while a server is there. The
// caller must Close it.
func OpenSite(path string) (_ *Site, err error) {
	if err := dbname.CheckOpen(path); err != nil {
		return nil, err
	}
	f := &files{watched: make(map[string]os.FileInfo)}
	if f.path, err = resolve(path); err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	err = f.takeName(os.O_RDONLY)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = f.takeLock()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), f.close())
	}
	return &Site{files: f}, nil
}

// Path is where the file will be, links resolved.
func (s *Site) Path() string { return s.files.path }

// Close gives the place back.
func (s *Site) Close() error {
	var err error
	if s.old != nil {
		err = s.old.Close()
	}
	return errors.Join(err, s.files.close())
}

// Old locks the database that is there until Close, and returns it for reading, or nil if there
// is none. It takes only a database of apikeyd that no other process has open. The caller must
// not Close what it returns.
func (s *Site) Old(ctx context.Context) (*Examination, error) {
	if s.old == nil {
		if _, err := os.Lstat(s.files.path); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		if err := s.clear(ctx); err != nil {
			if s.old != nil {
				err = errors.Join(err, s.old.Close())
				s.old = nil
			}
			return nil, err
		}
	}
	e := &Examination{files: s.files, pool: s.old, path: s.files.path}
	var err error
	e.version, e.target, err = schemaVersions(ctx, s.old)
	return e, err
}

// Put gives a file the place, at once and for good: after a crash there is either what was
// there before or the file, whole. Without replace it returns ErrOccupied if a database is
// there. With it, what Old returns gives way, and keeps the name that Put returns.
func (s *Site) Put(ctx context.Context, file string, replace bool) (kept string, err error) {
	var old *Examination
	if replace {
		if old, err = s.Old(ctx); err != nil {
			return "", err
		}
	} else if _, err := os.Lstat(s.files.path); err == nil {
		return "", ErrOccupied
	}
	// SQLite would take a log that lies there for the new file's, and make a mix of two.
	for _, suffix := range logs {
		if _, err := os.Lstat(s.files.path + suffix); !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%w: move %s away", ErrLeftover, s.files.path+suffix)
		}
	}
	// The logs must be gone for good before the new file comes.
	if err := syncFolder(s.files.path); err != nil {
		return "", err
	}
	if old != nil {
		if kept, err = s.keep(); err != nil {
			return "", err
		}
	}
	if err := os.Rename(file, s.files.path); err != nil {
		if kept != "" {
			err = errors.Join(err, os.Remove(kept)) // a file of two names is not served
		}
		return "", err
	}
	return kept, syncFolder(s.files.path)
}

// keep gives the old database a second name, the first that is free.
func (s *Site) keep() (string, error) {
	name := s.files.path + ".replaced"
	for n := 1; ; n++ {
		err := os.Link(s.files.path, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("the replaced database cannot be kept: %w", err)
		}
		name = fmt.Sprintf("%s.replaced.%d", s.files.path, n)
	}
}

// logs are what SQLite keeps beside a database and would apply to whatever has its name.
var logs = []string{"-wal", "-journal"}

// clear brings the logs of the old database home, which takes them away, and locks it
// until Close: who opens it meanwhile waits, and SQLite then lets nobody write to a file
// that has been moved.
func (s *Site) clear(ctx context.Context) error {
	// First as one who only looks: to a file that is none of ours nothing must happen, nor
	// to what lies beside it.
	e, err := Examine(ctx, s.files.path)
	if err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	if s.old, err = openPool(ctx, s.files.path, mending); err != nil {
		return err
	}
	s.old.SetMaxOpenConns(1) // the one that has the lock
	var mode string
	// Out of WAL mode goes only who is alone.
	if err := s.old.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode); err != nil {
		return errors.Join(ErrOpen, translate(err))
	}
	if mode != "delete" {
		return ErrOpen
	}
	if _, err := s.old.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
		return errors.Join(ErrOpen, translate(err))
	}
	// With no log beside it, what SQLite knew of it is of no use.
	if err := os.Remove(s.files.path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// HasLog reports whether something lies beside a file that says: it is in use, or was not
// closed. Then the file alone is not the database.
func HasLog(path string) bool {
	if real, err := resolve(path); err == nil {
		path = real
	}
	for _, suffix := range logs {
		if _, err := os.Lstat(path + suffix); err == nil {
			return true
		}
	}
	return false
}

// syncFolder makes what happened to names in a file's folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
