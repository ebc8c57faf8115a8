package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"modernc.org/sqlite"
)

// pagesPerStep is how many pages, of 4 KiB, are copied and brought to the disk at once: few
// enough that a server's own writes hardly wait for the disk.
const pagesPerStep = 4096

// Backup copies a database into an empty file, as it is at one moment: with everything
// that was acknowledged before. A server may be writing to it all the while, and waits for
// nothing. The file is on disk when Backup returns; progress is told in pages.
func Backup(ctx context.Context, from string, to *os.File, progress func(done, total int)) (err error) {
	e, err := Examine(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// One transaction around all steps: SQLite would begin again after each change by
	// another process, without end beside a busy server.
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return during(ctx, err)
	}
	var tables int // a transaction begins with its first read
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return during(ctx, err)
	}
	if err := conn.Raw(func(c any) error { return copyPages(ctx, c, to, progress) }); err != nil {
		return during(ctx, err)
	}
	if _, err := conn.ExecContext(ctx, `ROLLBACK`); err != nil {
		return during(ctx, err)
	}
	return leaveWAL(to)
}

// copyPages copies all pages of a connection of the driver's, whose transaction is open.
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

// leaveWAL marks a database file as one without a log (file format, offsets 18 and 19), so
// that whoever looks into it leaves no other files beside it. The next server turns the log on.
func leaveWAL(file *os.File) error {
	const offset, legacy = 18, 1
	if _, err := file.WriteAt([]byte{legacy, legacy}, offset); err != nil {
		return err
	}
	return file.Sync()
}
