package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"modernc.org/sqlite"
)

// pagesPerStep is how many pages, of 4 KiB, are copied and flushed to disk at once: few enough
// that a server's own writes hardly wait for the disk.
const pagesPerStep = 4096

// Copy copies a database into an empty file, as it is at one moment: with everything that was acknowledged
// before. A server may be writing to it meanwhile, and waits for nothing. The file is on disk when Copy
// returns; progress is counted in pages.
func Copy(ctx context.Context, from *sql.DB, to *os.File, progress func(done, total int)) (err error) {
	conn, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// One transaction for all steps: else SQLite would start again after each change by another process, and
	// never finish beside a busy server.
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return During(ctx, err)
	}
	var tables int // a transaction begins with its first read
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return During(ctx, err)
	}
	if err := conn.Raw(func(c any) error { return copyPages(ctx, c, to, progress) }); err != nil {
		return During(ctx, err)
	}
	if _, err := conn.ExecContext(ctx, `ROLLBACK`); err != nil {
		return During(ctx, err)
	}
	return leaveWAL(to)
}

// copyPages copies all pages of a driver connection, whose transaction is open.
func copyPages(ctx context.Context, conn any, to *os.File, progress func(done, total int)) (err error) {
	source, ok := conn.(interface {
		NewBackup(uri string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the SQLite driver makes no backups")
	}
	// Nobody else sees the file before it is whole, so it needs no journal.
	target, err := dsn(to.Name(), url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(off)", "synchronous(off)"}})
	if err != nil {
		return err
	}
	backup, err := source.NewBackup(target)
	if err != nil {
		return fmt.Errorf("writing %s: %w", to.Name(), err)
	}
	defer func() { err = errors.Join(err, backup.Finish()) }()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err = backup.Step(pagesPerStep); err != nil {
			return fmt.Errorf("writing %s: %w", to.Name(), err)
		}
		if err := to.Sync(); err != nil {
			return err
		}
		progress(backup.PageCount()-backup.Remaining(), backup.PageCount())
	}
	return nil
}

// leaveWAL marks a database file as not in WAL mode (file format, offsets 18 and 19), so that reading it
// creates no other files. The next server switches WAL mode on again.
func leaveWAL(file *os.File) error {
	const offset, legacy = 18, 1
	if _, err := file.WriteAt([]byte{legacy, legacy}, offset); err != nil {
		return err
	}
	return file.Sync()
}

// Detach makes a database that was closed one file again, with neither a log nor a lock beside it.
func Detach(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(leaveWAL(file), file.Close(), os.Remove(path+".lock"))
}
