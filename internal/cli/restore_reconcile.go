package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// restoreOperator is the actor that carries over revocations.
var restoreOperator = store.Operator("restore")

// reconciled says how a restored database was brought up to date after its backup.
type reconciled struct {
	carried sqlstore.CarriedOver
	source  string // empty for none
	until   string // when an audit export ends, which may be incomplete; empty for a database
	problem error  // why the source could not be used
}

// isComplete reports whether every later revocation is known to be carried over.
func (r reconciled) isComplete() bool {
	return r.source != "" && r.problem == nil && r.until == "" && r.carried.Missing == 0
}

// reconcile carries over into the draft what was revoked after the backup.
func (c *restoreCommand) reconcile(
	ctx context.Context, path string, site *sqlitefile.Site, knows time.Time,
) (r reconciled, err error) {
	old, err := c.replaced(ctx, site)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			removeCompanions(path)
		}
	}()
	db, err := sqlstore.OpenRestored(ctx, path, knows)
	if err != nil {
		return r, notMade(ctx, c.Database, err)
	}
	r, err = c.carryOver(ctx, db, old, knows)
	if err == nil && !r.isComplete() {
		err = db.NoteRestored(ctx, sqlstore.Restored{At: time.Now().UTC().Truncate(time.Millisecond), Knows: knows})
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return r, notMade(ctx, c.Database, err)
	}
	return r, sqlitefile.Detach(path)
}

// replaced returns the database that --force replaces, or nil.
func (c *restoreCommand) replaced(ctx context.Context, site *sqlitefile.Site) (*sqlstore.Examination, error) {
	if !c.Force {
		return nil, nil
	}
	old, err := sqlstore.ExamineReplaced(ctx, site)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return old, nil
}

// carryOver takes later revocations from --revocations-from, else from the database that --force
// replaces. Only a source that was named must be readable.
func (c *restoreCommand) carryOver(
	ctx context.Context, db *sqlstore.DB, old *sqlstore.Examination, knows time.Time,
) (r reconciled, err error) {
	switch {
	case c.RevocationsFrom != "" && (old == nil || !isSameFile(c.RevocationsFrom, c.Database)):
		r, err = carryOverFrom(ctx, db, c.RevocationsFrom, knows)
		if err != nil {
			return r, fmt.Errorf("--revocations-from %s: %w", c.RevocationsFrom, err)
		}
		if old != nil { // it may know more; if it is unreadable, that is why another was named
			more, _ := db.CarryOver(ctx, restoreOperator, old, knows)
			r.carried.Add(more)
			err = ctx.Err()
		}
	case old != nil && !c.WithoutRevocations:
		r.source = "the replaced database"
		r.carried, r.problem = db.CarryOver(ctx, restoreOperator, old, knows)
		err = ctx.Err()
	}
	return r, err
}

// carryOverFrom takes later revocations from a database or an audit export.
func carryOverFrom(ctx context.Context, db *sqlstore.DB, path string, knows time.Time) (r reconciled, err error) {
	r.source = path
	if export, err := openExport(path); err != nil || export != nil {
		if err != nil {
			return r, err
		}
		r.carried, err = db.CarryOverEvents(ctx, restoreOperator, export.events)
		r.until = export.last.String()
		return r, errors.Join(err, export.file.Close())
	}
	from, err := sqlstore.Examine(ctx, path)
	if err != nil {
		return r, err
	}
	r.carried, err = db.CarryOver(ctx, restoreOperator, from, knows)
	return r, errors.Join(err, from.Close())
}

func isSameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// removeCompanions removes the files that an interrupted restore created next to its draft.
func removeCompanions(path string) {
	for _, suffix := range []string{"-wal", "-shm", "-journal", ".lock"} {
		_ = os.Remove(path + suffix) // it may not exist
	}
}

// reportReconciled reports what was carried over and kept, and warns if that is not everything.
func (c *restoreCommand) reportReconciled(s streams, r restored) error {
	var out, warning strings.Builder
	if r.kept != "" {
		fmt.Fprintf(&out, "kept the replaced database as %s\n", filepath.Join(filepath.Dir(c.Database), filepath.Base(r.kept)))
	}
	if r.source != "" && (r.problem == nil || r.carried.Ended() > 0) {
		fmt.Fprintf(&out, "carried over from %s: %s revoked, %d with another secret, %d that end earlier, lost scopes or networks, or were suspended\n",
			r.source, count(r.carried.Revoked, "key"), r.carried.Rotated, r.carried.Reduced)
		if r.carried.Owners > 0 {
			fmt.Fprintf(&out, "%s suspended, or with a lower limit\n", count(r.carried.Owners, "owner"))
		}
		if r.carried.Unknown > 0 {
			fmt.Fprintf(&out, "%s made after the backup: those are lost\n", count(r.carried.Unknown, "key"))
		}
	}
	if r.carried.Lost > 0 {
		fmt.Fprintf(&out, "%s rotated after the backup: revoked, since the export does not tell their new secrets\n",
			count(r.carried.Lost, "key"))
	}
	if r.problem != nil {
		fmt.Fprintf(&warning, "WARNING: not everything was carried over from %s: %v.\n", r.source, r.problem)
	}
	if r.carried.Missing > 0 && r.problem == nil {
		fmt.Fprintf(&warning, "WARNING: %s does not have %s of the backup.\n", r.source, count(r.carried.Missing, "key"))
	}
	if !r.isComplete() {
		since := "its backup was made"
		switch {
		case r.until != "":
			since = r.until + ", the time of the export's last event,"
		case !r.Last.IsZero():
			since = timestamp(r.Last) + ", the time of its last event,"
		}
		warning.WriteString("WARNING: this database knows nothing of what happened after " + since + "\n" +
			"WARNING: so SECRETS THAT WERE REVOKED, ROTATED OR REPORTED AS LEAKED SINCE WORK AGAIN once it is served.\n" +
			"Restore again with --revocations-from, or revoke them first: apikeyd keys revoke --database " + c.Database +
			" ID. How to find them: docs/backup.md.\n" +
			"The server warns until you say that it is done: apikeyd restore --confirm --database " + c.Database + "\n")
	}
	_, err := fmt.Fprint(s.out, out.String())
	_, warned := fmt.Fprint(s.err, warning.String())
	return errors.Join(err, warned)
}
