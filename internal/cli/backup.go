package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/draft"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// backupCommand copies a database while it is served.
type backupCommand struct {
	databaseFlag
	File  string `arg:"" help:"Where the backup goes."`
	Force bool   `help:"Replace FILE if it exists."`
}

// Help says more than the flags do.
func (backupCommand) Help() string {
	return `The backup is one moment of the database, with everything that was acknowledged before. It is checked before it
gets its name. It contains hashes and no secrets, but shows all names and owners. The database notes when it was made.

Examples:
  apikeyd backup keys.bak
  apikeyd backup /backup/keys-2030-01-31.db --database /var/lib/apikeyd/apikeyd.db`
}

// Validate refuses a database that is not a file.
func (c *backupCommand) Validate() error { return errors.Join(c.databaseFlag.Validate(), c.file()) }

// Run creates a backup.
func (c *backupCommand) Run(ctx context.Context, s streams) error {
	began := time.Now()
	if err := c.checkTarget(); err != nil {
		return err
	}
	bar := newProgressBar(s.err)
	defer bar.clear()
	to, err := draft.New(c.File)
	if err != nil {
		return err
	}
	defer to.Discard()
	contents, err := c.copy(ctx, to, bar)
	if err != nil {
		return notMade(ctx, c.File, err)
	}
	sum, size, err := to.Hash()
	if err != nil {
		return notMade(ctx, c.File, err)
	}
	if err := to.Place(c.File, c.Force); err != nil {
		return err
	}
	noteErr := sqlstore.NoteBackup(ctx, c.Database, began)
	bar.clear()
	warnOfAlteration(s.err, contents)
	if noteErr != nil {
		fmt.Fprintf(s.err, "WARNING: the backup is good, but the server will not know of it, because the database takes no note: %v\n", noteErr)
	}
	_, err = fmt.Fprintf(s.out, "backed up %s to %s: %s in %s, SHA-256 %s\n",
		contents, c.File, megabytes(size), took(began), sum)
	return err
}

// checkTarget refuses to replace a FILE that must not be replaced.
func (c *backupCommand) checkTarget() error {
	if c.File == "-" {
		return errors.New("a backup cannot go to standard output: it is checked before it gets its name; name a file")
	}
	if c.isCompanion() {
		return fmt.Errorf("%s belongs to the database itself; name another file", c.File)
	}
	if sqlitefile.HasLog(c.File) {
		return fmt.Errorf("%s is a database in use, or one that was not closed; name another file", c.File)
	}
	info, err := os.Lstat(c.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; name another", c.File)
	case !c.Force:
		return draft.Exists(c.File)
	}
	return nil
}

// isCompanion reports whether FILE is the database or one of the files next to it, by name or by a
// link: SQLite would use such a file as its own.
func (c *backupCommand) isCompanion() bool {
	info, err := os.Lstat(c.File)
	name, _ := filepath.Abs(sqlitefile.RealPath(c.File)) // it fails only without a working directory
	database, _ := filepath.Abs(sqlitefile.RealPath(c.Database))
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".lock"} {
		own := database + suffix
		if name == own {
			return true
		}
		if there, ownErr := os.Stat(own); err == nil && ownErr == nil && os.SameFile(info, there) {
			return true
		}
	}
	return false
}

// copy creates and checks the backup.
func (c *backupCommand) copy(ctx context.Context, to draft.Draft, bar *progressBar) (sqlstore.Contents, error) {
	err := sqlstore.Backup(ctx, c.Database, to.File, func(done, total int) {
		bar.copying(int64(done), int64(total))
	})
	if errors.Is(err, store.ErrMissing) {
		return sqlstore.Contents{}, fmt.Errorf("%w; name it with --database", err)
	}
	if err != nil {
		return sqlstore.Contents{}, err
	}
	bar.say("checking")
	contents, err := examineDraft(ctx, to)
	if err != nil {
		return contents, fmt.Errorf("the copy is damaged, and the database may be too: run apikeyd doctor: %w", err)
	}
	return contents, sqlitefile.Seal(to.File)
}

// examineDraft checks everything in a database that is not in use yet.
func examineDraft(ctx context.Context, d draft.Draft) (contents sqlstore.Contents, err error) {
	e, err := sqlstore.ExamineFile(ctx, d.Name())
	if err != nil {
		return contents, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return e.All(ctx)
}

// warnOfAlteration warns if the audit log was altered, which does not affect the keys.
func warnOfAlteration(w io.Writer, c sqlstore.Contents) {
	if c.Altered != nil {
		fmt.Fprintf(w, "WARNING: %v; see what apikeyd audit verify says\n", c.Altered)
	}
}

// notMade says why a file was not created.
func notMade(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; %s was not written", path)
	}
	return fmt.Errorf("%s was not written: %w", path, err)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

func took(began time.Time) string { return fmt.Sprintf("%.1f s", time.Since(began).Seconds()) }

func timestamp(t time.Time) string { return apikey.Timestamp(t).String() }
