package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

const askBackup = "stop the server and restore the last backup (docs/backup.md)"

// unreadable is the finding for a database that cannot be opened.
func unreadable(err error) Finding {
	f := found("%v", err)
	switch {
	case errors.Is(err, store.ErrMissing):
		return f.fail("name it with --database, or run apikeyd serve once to make it")
	case errors.Is(err, sqlstore.ErrEmpty):
		return f.warn("apikeyd serve creates a database in it")
	case errors.Is(err, sqlitefile.ErrOtherName), errors.Is(err, sqlitefile.ErrOtherLog),
		errors.Is(err, sqlitefile.ErrMounted), errors.Is(err, sqlitefile.ErrLinked):
		return f.fail("all processes must open the file by the same name (docs/operations.md)")
	case errors.Is(err, store.ErrUnavailable):
		return f.fail("run doctor as the user that serves, who must be able to write to the file and its folder, " +
			"and stop other processes that use it")
	case errors.Is(err, store.ErrTooNew):
		return f.fail("use that version of apikeyd, or a later one")
	case errors.Is(err, store.ErrForeign):
		return f.fail("name another file with --database; if it was one of apikeyd, " + askBackup)
	}
	return f.fail("fix that, or " + askBackup)
}

func checkSchema(ctx context.Context, e *sqlstore.Examination) Finding {
	contents, err := e.Contents(ctx)
	if err != nil {
		return found("%v", err).fail(askBackup)
	}
	f := found("a database of apikeyd with schema %d: %s", contents.Schema, contents)
	if !e.IsCurrent() {
		return f.warn("apikeyd serve brings it up to date; make a backup before")
	}
	return f
}

func checkSettings(ctx context.Context, e *sqlstore.Examination) Finding {
	err := e.Settings(ctx)
	if err != nil {
		return found("%v", err).fail("use the apikeyd that was built for this machine")
	}
	logged, err := e.IsWAL(ctx)
	switch {
	case err != nil:
		return found("%v", err).fail(askBackup)
	case !logged:
		return found("synchronous=FULL, foreign_keys=on; journal_mode is not WAL until the database is served")
	}
	return found("journal_mode=WAL, synchronous=FULL, foreign_keys=on")
}

func checkIntegrity(ctx context.Context, e *sqlstore.Examination) Finding {
	if err := e.Integrity(ctx); err != nil {
		return found("%v", err).fail(askBackup)
	}
	return found("pages and indexes are sound")
}

// ofThisSchema makes a check only if the schema is current.
func ofThisSchema(check func(context.Context, *sqlstore.Examination) Finding) func(context.Context, *sqlstore.Examination) Finding {
	return func(ctx context.Context, e *sqlstore.Examination) Finding {
		if !e.IsCurrent() {
			return found("not checked: the schema is older").warn("run doctor again after apikeyd serve has upgraded it")
		}
		return check(ctx, e)
	}
}

func checkKeys(ctx context.Context, e *sqlstore.Examination) Finding {
	if err := errors.Join(e.Keys(ctx), e.Foreign(ctx), e.Owners(ctx), e.Names(ctx)); err != nil {
		return found("%v", err).fail(askBackup)
	}
	return found("each can be read, and no name is held twice")
}

func (d Deployment) checkCounts(ctx context.Context, e *sqlstore.Examination) Finding {
	err := e.Counts(ctx)
	switch {
	case err == nil:
		return found("key_counts says how many there are")
	case !errors.Is(err, sqlstore.ErrMiscounts):
		return found("%v", err).fail(askBackup)
	case d.Recount == nil:
		return found("%v: lists tell wrong numbers of pages", err).fail("run apikeyd doctor --repair")
	}
	if err := d.Recount(ctx); err != nil {
		return found("%v", err).fail("fix that, then run apikeyd doctor --repair again")
	}
	return found("%v: the keys were recounted", err).warn("find out who wrote to the database")
}

func checkAudit(ctx context.Context, e *sqlstore.Examination) Finding {
	if err := e.Audit(ctx); err != nil {
		return found("%v", err).fail("run apikeyd audit verify; if nobody can explain the result, " + askBackup)
	}
	return found("its chains are intact; apikeyd audit verify --expect compares them with heads that you noted")
}

const (
	// builtIn is a year before the first release: an earlier clock is wrong.
	builtIn = 2025
	// clockSlack is how far the clock may be behind the last write, because clocks are adjusted now
	// and then.
	clockSlack = 5 * time.Second
)

func checkClock(ctx context.Context, e *sqlstore.Examination) Finding {
	contents, err := e.Contents(ctx)
	if err != nil {
		return found("%v", err).fail(askBackup)
	}
	return judgeClock(time.Now(), contents.Last)
}

// judgeClock compares the clock with the time of the last write.
func judgeClock(now, last time.Time) Finding {
	const set = "set the clock, and keep it with NTP: keys expire by it"
	f := found("it is %s", apikey.Timestamp(now))
	if behind := last.Sub(now); behind > clockSlack {
		f.Found += fmt.Sprintf(", but the last key or event was written at %s", apikey.Timestamp(last))
		return f.fail(set)
	}
	if now.Year() < builtIn {
		return f.fail(set)
	}
	return f
}

// checkRestored reports a restore that awaits confirmation.
func (d Deployment) checkRestored(ctx context.Context, e *sqlstore.Examination) Finding {
	r, err := e.Restored(ctx)
	switch {
	case err != nil:
		return found("%v", err).fail(askBackup)
	case r.At.IsZero():
		return found("no restore awaits confirmation")
	case !r.IsOpen():
		return found("restored at %s; confirmed at %s", apikey.Timestamp(r.At), apikey.Timestamp(r.ConfirmedAt))
	}
	return found("restored at %s, and not yet confirmed: keys revoked since may work again", apikey.Timestamp(r.At)).
		warn("reconcile it (docs/backup.md), then run apikeyd restore --confirm")
}

// backupAge is how old the last backup may become, here and in the alert ApikeydBackupOld. A nightly job may fail once.
const backupAge = 48 * time.Hour

// checkBackup reports how old the last backup is. None at all is no warning, because the disk may be copied instead.
func checkBackup(ctx context.Context, e *sqlstore.Examination) Finding {
	last, err := e.LastBackup(ctx)
	if err != nil {
		return found("%v", err).warn("make a backup, which writes the note again")
	}
	return judgeBackup(time.Now(), last)
}

func judgeBackup(now, last time.Time) Finding {
	if last.IsZero() {
		return found("apikeyd backup has not copied this database yet (docs/backup.md)")
	}
	age := now.Sub(last)
	f := found("the last one was made %.1f h ago, at %s", max(0, age.Hours()), apikey.Timestamp(last))
	if age > backupAge {
		return f.warn("make one, and find out why the job that makes them does not")
	}
	return f
}
