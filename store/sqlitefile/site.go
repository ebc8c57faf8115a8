package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"apikeyd/internal/draft"
	"apikeyd/store/dbname"
)

// Site is the place of a database file. Until Close, no server can use it.
type Site struct {
	file *File
	old  *sql.DB // while it is being replaced
}

// The reasons for which a Site takes no file.
var (
	ErrOccupied = errors.New("there is a database already")
	ErrLeftover = errors.New("files of another database are next to it")
	ErrOpen     = errors.New("another process has the database open")
)

// OpenSite takes the place at path. It returns store.ErrInUse while a server is there. The
// caller must Close it.
func OpenSite(path string) (*Site, error) {
	file, err := Open(path, ToReplace)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", dbname.Show(path), err)
	}
	return &Site{file: file}, nil
}

// Path is where the file will be, links resolved.
func (s *Site) Path() string { return s.file.path }

// Close gives the place back.
func (s *Site) Close() error { return errors.Join(s.release(), s.file.Close()) }

func (s *Site) release() (err error) {
	if s.old != nil {
		err = s.old.Close()
		s.old = nil
	}
	return err
}

// Take locks the database that is there until Close, and returns it for reading: Put will replace it. Take
// checkpoints and removes its log, so the caller must have checked that it is a database of apikeyd. It returns
// ErrOpen if another process has it open.
func (s *Site) Take(ctx context.Context) (old *sql.DB, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if s.old, err = OpenPool(ctx, s.file.path, ModeRecover); err != nil {
		return nil, err
	}
	s.old.SetMaxOpenConns(1) // the one that has the lock
	var journal string
	// SQLite leaves WAL mode, and removes the log, only when no other connection is open.
	if err := s.old.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&journal); err != nil {
		return nil, errors.Join(ErrOpen, Translate(err))
	}
	if journal != "delete" {
		return nil, ErrOpen
	}
	// Other connections wait from now on, and SQLite refuses to write to a file that was moved.
	if _, err := s.old.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
		return nil, errors.Join(ErrOpen, Translate(err))
	}
	// Without a log, its index is useless.
	if err := os.Remove(s.file.path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return s.old, nil
}

// Put puts a file in the place, atomically and durably: after a crash, either the old file or the whole new one is
// there. It returns ErrOccupied if a database is there that was not taken. The one that was taken
// gives way, and keeps the name that Put returns.
func (s *Site) Put(file string) (kept string, err error) {
	path := s.file.path
	if _, err := os.Lstat(path); err == nil && s.old == nil {
		return "", ErrOccupied
	}
	// SQLite would apply a log that lies there to the new file, and mix two databases.
	for _, suffix := range companions {
		if _, err := os.Lstat(path + suffix); !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%w: move %s away", ErrLeftover, path+suffix)
		}
	}
	// The logs must be gone for good before the new file comes.
	if err := draft.SyncDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	if s.old != nil {
		if kept, err = s.keep(); err != nil {
			return "", err
		}
	}
	if err := os.Rename(file, path); err != nil {
		if kept != "" {
			err = errors.Join(err, os.Remove(kept)) // a file of two names is not served
		}
		return "", err
	}
	return kept, draft.SyncDir(filepath.Dir(path))
}

// keep gives the old database a second name, the first that is free.
func (s *Site) keep() (string, error) {
	name := s.file.path + ".replaced"
	for n := 1; ; n++ {
		err := os.Link(s.file.path, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("the replaced database cannot be kept: %w", err)
		}
		name = fmt.Sprintf("%s.replaced.%d", s.file.path, n)
	}
}
