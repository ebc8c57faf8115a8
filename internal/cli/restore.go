package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"apikeyd/internal/draft"
	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// restoreCommand restores a backup into a new database.
type restoreCommand struct {
	databaseFlag
	File               string `arg:"" optional:"" help:"The backup."`
	Force              bool   `help:"Replace an existing database, unless a server uses it. The old one is kept next to it, and its later revocations are carried over."`
	RevocationsFrom    string `xor:"revocations" placeholder:"FILE" help:"Carry over what was revoked, rotated, reported as leaked or shortened after the backup, from this database or audit export (the database that --force replaces)."`
	WithoutRevocations bool   `xor:"revocations" help:"Carry over nothing from the database that --force replaces."`
	Confirm            bool   `xor:"revocations" help:"Instead of restoring, confirm that everything revoked after the backup is revoked in the database; a server may run meanwhile."`
}

// Help says more than the flags do.
func (restoreCommand) Help() string {
	return `Every byte of the backup is checked first. The database appears complete, or not at all. Run it as the server's user.

A backup knows nothing of what came after it: SECRETS THAT WERE REVOKED OR ROTATED SINCE WOULD WORK AGAIN. So restore
carries over every revocation, rotation, leak report, earlier expiry and lost scope from the database that --force
replaces, or that --revocations-from names. Without either, the server warns until you run --confirm (docs/backup.md).

Examples:
  apikeyd restore /backup/keys-2030-01-31.db --database /var/lib/apikeyd/apikeyd.db --force
  apikeyd restore /backup/keys-2030-01-31.db --database new.db --revocations-from broken/apikeyd.db
  apikeyd restore --confirm --database /var/lib/apikeyd/apikeyd.db
  apikeyd restore /backup/keys-2030-01-31.db --database drill.db`
}

// Validate refuses a database that is not a file.
func (c *restoreCommand) Validate() error {
	switch {
	case c.Confirm && (c.File != "" || c.Force):
		return errors.New("--confirm is about a database that was restored already: it takes no backup and no --force")
	case c.Confirm:
		return c.databaseFlag.Validate()
	case c.File == "":
		return errors.New("name the backup: apikeyd restore FILE")
	}
	return errors.Join(c.databaseFlag.Validate(), c.file())
}

// Run restores a backup.
func (c *restoreCommand) Run(ctx context.Context, s streams) (err error) {
	if c.Confirm {
		return c.confirm(ctx, s)
	}
	began := time.Now()
	from, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it was only read
	site, err := sqlitefile.OpenSite(c.Database)
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w; stop that server first", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	if err := c.checkTarget(from, site); err != nil {
		return err
	}
	bar := newProgressBar(s.err)
	defer bar.clear()
	to, err := draft.New(site.Path())
	if err != nil {
		return err
	}
	defer to.Discard()
	restored, err := c.copy(ctx, from, to, bar)
	if err != nil {
		return notMade(ctx, c.Database, err)
	}
	bar.say("carrying over revocations")
	if restored.reconciled, err = c.reconcile(ctx, to.Name(), site, restored.Last); err != nil {
		return err
	}
	if restored.kept, err = site.Put(to.Name()); err != nil {
		return c.explain(ctx, err)
	}
	bar.clear()
	return c.report(s, restored, took(began))
}

// open opens the backup, and refuses other files early.
func (c *restoreCommand) open(ctx context.Context) (*os.File, error) {
	info, err := os.Stat(c.File) // first, because opening a pipe would wait for a writer
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file, so no backup", c.File)
	case sqlitefile.HasLog(c.File):
		return nil, fmt.Errorf("%s is a database in use, or one that was not closed: it is incomplete without the files "+
			"next to it; make a backup of it with apikeyd backup", c.File)
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	if err := c.look(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// look refuses files that cannot be restored, before anything is copied.
func (c *restoreCommand) look(ctx context.Context) error {
	e, err := sqlstore.ExamineFile(ctx, c.File)
	if errors.Is(err, store.ErrTooNew) {
		return fmt.Errorf("%w; restore it with that version, or a later one", err)
	}
	if err != nil {
		return fmt.Errorf("%s is not a backup that can be restored: %w", c.File, err)
	}
	return e.Close()
}

// checkTarget refuses early what site.Put would refuse.
func (c *restoreCommand) checkTarget(from *os.File, site *sqlitefile.Site) error {
	there, err := os.Stat(site.Path())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if backup, err := from.Stat(); err != nil || os.SameFile(backup, there) {
		return errors.Join(err, fmt.Errorf("%s and %s are the same file; name another with --database", c.File, c.Database))
	}
	if !c.Force {
		return draft.Exists(c.Database)
	}
	return nil
}

// restored is the result of a restore.
type restored struct {
	sqlstore.Contents
	reconciled
	sum    string // SHA-256 of the backup
	kept   string // the replaced database; empty if there was none
	sealed bool
}

// copy creates the database and checks it.
func (c *restoreCommand) copy(ctx context.Context, from *os.File, to draft.Draft, bar *progressBar) (r restored, err error) {
	if err := to.Fill(ctx, from, bar.copying); err != nil {
		return r, err
	}
	bar.say("checking")
	if r.sum, _, err = to.Hash(); err != nil {
		return r, err
	}
	if r.sealed, err = sqlitefile.Unseal(to.File); err == nil {
		r.Contents, err = examineDraft(ctx, to)
	}
	if err != nil {
		return r, fmt.Errorf("the backup %s is damaged: %w", c.File, err)
	}
	return r, to.Close()
}

// explain says what to do if the database cannot be put in place.
func (c *restoreCommand) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, sqlitefile.ErrOccupied):
		return draft.Exists(c.Database)
	case errors.Is(err, sqlitefile.ErrOpen):
		return fmt.Errorf("%s was left as it is: %w; end it first", c.Database, err)
	case errors.Is(err, sqlitefile.ErrLeftover):
		return fmt.Errorf("%s was left as it is: %w, with the rest of that database", c.Database, err)
	case ctx.Err() != nil:
		return notMade(ctx, c.Database, err)
	}
	return fmt.Errorf("%s was left as it is: %w; to keep what it holds, move it away with its -wal and -shm, "+
		"and restore again", c.Database, err)
}

func (c *restoreCommand) report(s streams, r restored, took string) error {
	_, err := fmt.Fprintf(s.out, "restored %s to %s in %s, from a backup with SHA-256 %s\n",
		r.Contents, c.Database, took, r.sum)
	warnOfAlteration(s.err, r.Contents)
	if !r.sealed {
		fmt.Fprintln(s.err, "NOTE: the file carries no checksum of apikeyd backup: changed values in it cannot be detected.")
	}
	return errors.Join(err, c.reportReconciled(s, r))
}

// confirm records that the operator reconciled a restored database.
func (c *restoreCommand) confirm(ctx context.Context, s streams) (err error) {
	db, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	restored, err := db.ConfirmRestored(ctx)
	if errors.Is(err, sqlstore.ErrNotRestored) {
		_, err = fmt.Fprintf(s.out, "nothing to confirm: no restore of %s awaits it\n", dbname.Show(c.Database))
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "confirmed the restore of %s at %s\n", dbname.Show(c.Database), timestamp(restored.At))
	return err
}
