package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/migratestore"
)

// migrateStoreCommand moves a whole database to SQLite or PostgreSQL.
type migrateStoreCommand struct {
	From string `required:"" env:"APIKEYD_MIGRATE_FROM" placeholder:"DATABASE" help:"The source: a SQLite file, or postgres://USER@HOST/DATABASE. Put a password into the environment or ~/.pgpass."`
	To   string `required:"" env:"APIKEYD_MIGRATE_TO" placeholder:"DATABASE" help:"The target: a SQLite file that does not exist, or an empty PostgreSQL database."`
}

// Help says more than the flags do.
func (migrateStoreCommand) Help() string {
	return `Keys with their hashes, last uses, and the audit log with all its chains, byte for byte: existing secrets keep
working, and apikeyd audit verify shows the same heads. At the end all rows of both sides are read again and compared.

Stop every server first: the source must not change meanwhile. It is only read. If the move is interrupted, run it again
to continue. Until it is done, the target cannot be served.

Examples:
  apikeyd migrate-store --from apikeyd.db --to postgres://apikeyd@db.example.com/apikeyd
  apikeyd migrate-store --from postgres://apikeyd@db.example.com/apikeyd --to apikeyd.db`
}

// Validate refuses malformed names before a database is created.
func (c *migrateStoreCommand) Validate() error {
	return errors.Join(checkDatabase("--from", c.From), checkDatabase("--to", c.To))
}

// Run moves the database, or continues an interrupted move.
func (c *migrateStoreCommand) Run(ctx context.Context, s streams) error {
	began := time.Now()
	bar := newProgressBar(s.err)
	moved, err := migratestore.Move(ctx, migratestore.Options{
		From: c.From, To: c.To,
		Progress: func(checking bool, done, total int64) {
			doing := "copying"
			if checking {
				doing = "checking"
			}
			bar.part(doing, done, total)
		},
	})
	bar.clear()
	if err != nil {
		return c.explain(ctx, s, err)
	}
	return c.report(s, moved, time.Since(began))
}

// explain says what to do about a failure.
func (c *migrateStoreCommand) explain(ctx context.Context, s streams, err error) error {
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("%w; stop it first", err)
	case errors.Is(err, migratestore.ErrTargetTaken):
		return fmt.Errorf("%w; name an empty one", err)
	case errors.Is(err, migratestore.ErrOtherSource), errors.Is(err, migratestore.ErrChanged), errors.Is(err, migratestore.ErrDiffers):
		return fmt.Errorf("%w; the target is unusable: stop everything that writes to either side, and retry with an empty target", err)
	case ctx.Err() != nil:
		fmt.Fprintln(s.err, "The target is incomplete. Run the same command again to continue.")
	}
	return err
}

func (c *migrateStoreCommand) report(s streams, m migratestore.Result, took time.Duration) error {
	from, to := dbname.Show(c.From), dbname.Show(c.To)
	what := fmt.Sprintf("%s, %s and %s", count(int(m.Keys), "key"), count(int(m.Uses), "last use"),
		count(int(m.Events), "audit event"))
	if m.Complete {
		_, err := fmt.Fprintf(s.out, "all of %s is in %s already: %s; SHA-256 of all rows on both sides %s\n",
			from, to, what, m.Checksum)
		return err
	}
	earlier := ""
	if m.Found > 0 {
		earlier = fmt.Sprintf(" (%s from an earlier run)", count(int(m.Found), "row"))
	}
	_, err := fmt.Fprintf(s.out, "moved %s%s from %s to %s in %.1f s; SHA-256 of all rows on both sides %s\n",
		what, earlier, from, to, took.Seconds(), m.Checksum)
	fmt.Fprintf(s.err, "NOTE: %s is unchanged. From now on serve only one of the two: "+
		"a key revoked in one still works in the other.\n", from)
	return err
}
