package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// NoticeColumns are the names of the columns of notices.
const NoticeColumns = `kind, about, subject, threshold`

const (
	// noticesLooked is how many keys one call of WriteNotices looks at.
	noticesLooked = 1000
	// noticesAtOnce is how many notices one transaction writes: few enough that waiting changes hardly notice.
	noticesAtOnce = 64
)

// noticeVia is how the log calls the service itself as the actor of notices.
const noticeVia = "notices"

// noticeWalk is an index of the keys that may be due, its column of time first. What about and since are in SQL,
// moments is in Go.
type noticeWalk struct{ column, about, since, where string }

var noticeWalks = [...]noticeWalk{
	store.NoticeEnd:   {`expires_at`, `expires_at`, `created_at`, `revoked_at IS NULL`},
	store.NoticeGrace: {`old_secret_until`, `old_secret_until`, madeAt, `old_secret_until IS NOT NULL`},
	store.NoticeSecret: {
		`created_at`, madeAt, madeAt, `revoked_at IS NULL AND replace(scopes, '` + apikey.ScopeAdmin + `', '') <> scopes`,
	},
}

const madeAt = `coalesce(rotated_at, created_at)`

// query returns keys, and the threshold of the notice that was written of each; NULL if none was.
func (w noticeWalk) query() string {
	return fmt.Sprintf(`SELECT id, %[1]s, %[2]s, %[3]s, coalesce(suspended, %[5]s),
			(SELECT threshold FROM notices WHERE kind = $1 AND about = %[2]s AND subject = api_keys.id)
		FROM api_keys WHERE %[4]s AND (%[1]s, id) > ($2, $3) AND %[1]s <= $4 ORDER BY %[1]s, id LIMIT $5`,
		w.column, w.about, w.since, w.where, ownerSuspended)
}

// moments returns what a notice of a key is about, and since when.
func moments(kind store.NoticeKind, key *apikey.Key) (about, since time.Time) {
	switch kind {
	case store.NoticeEnd:
		return key.ExpiresAt, key.CreatedAt
	case store.NoticeGrace:
		return key.OldSecretUntil, key.SecretMade()
	default:
		return key.SecretMade(), key.SecretMade()
	}
}

// noticeBounds returns the times between which a walk looks at keys.
func noticeBounds(kind store.NoticeKind, rules store.NoticeRules, now time.Time) (from, to time.Time) {
	switch kind {
	case store.NoticeEnd:
		return now.Add(-store.ExpiredWithin), now.Add(rules.Furthest(kind))
	case store.NoticeGrace:
		return now, now.Add(rules.Furthest(kind))
	default:
		return time.UnixMilli(0), now.Add(-rules.AdminAge)
	}
}

// WriteNotices implements store.Notices. It looks for keys beside the writer, and again at those that are due in the
// transaction that writes their notices.
func (db *DB) WriteNotices(
	ctx context.Context, kind store.NoticeKind, rules store.NoticeRules, after store.NoticePlace,
) (written int, next store.NoticePlace, err error) {
	if kind == store.NoticeSecret && rules.AdminAge == 0 || kind != store.NoticeSecret && len(rules.Thresholds) == 0 {
		return 0, next, nil
	}
	var due []apikey.ID
	err = db.read(ctx, func() error {
		due, next, err = lookForNotices(ctx, db.points, kind, rules, after, db.now())
		return err
	})
	for len(due) > 0 && err == nil {
		some := due[:min(len(due), noticesAtOnce)]
		due = due[len(some):]
		n := 0
		err = db.writer.background(ctx, func(t *transaction) error {
			n = 0
			m := db.newMutation(t, store.Operator(noticeVia))
			for _, id := range some {
				said, err := m.writeNotice(id, kind, rules)
				if err != nil {
					return err
				}
				if said {
					n++
				}
			}
			return nil
		})
		if err == nil {
			written += n
		}
	}
	return written, next, err
}

func lookForNotices(
	ctx context.Context, q querier, kind store.NoticeKind, rules store.NoticeRules, after store.NoticePlace, now time.Time,
) (due []apikey.ID, next store.NoticePlace, err error) {
	from, to := noticeBounds(kind, rules, now)
	if after.About.Before(from) {
		after = store.NoticePlace{About: from}
	}
	looked := 0
	err = q.each(ctx, func(r row) error {
		var about, since time.Time
		var suspended bool
		var said sql.NullInt64
		err := r.Scan(idColumn{&next.ID}, timeColumn{&next.About}, timeColumn{&about}, timeColumn{&since}, flagColumn{&suspended}, &said)
		looked++
		threshold, is := rules.Due(kind, about, since, now)
		if is && !suspended && (!said.Valid || said.Int64 > threshold.Milliseconds()) {
			due = append(due, next.ID)
		}
		return err
	}, noticeWalks[kind].query(), int(kind), after.About.UnixMilli(), after.ID[:], to.UnixMilli(), noticesLooked)
	if looked < noticesLooked {
		next = store.NoticePlace{}
	}
	return due, next, err
}

// writeNotice writes a notice of a key, if it is still due, and reports whether it was.
func (m *mutation) writeNotice(id apikey.ID, kind store.NoticeKind, rules store.NoticeRules) (said bool, err error) {
	key, err := findKey(context.Background(), m, store.ByID(id), m.dialect.rowLock)
	if err != nil {
		return false, err
	}
	about, since := moments(kind, &key)
	threshold, due := rules.Due(kind, about, since, m.now)
	expired, wrong := key.IsExpired(m.now), key.IsRevoked() || key.Suspended || key.OwnerSuspended
	var action string
	var notice store.Notice
	switch {
	case !due || wrong || expired && kind != store.NoticeEnd:
		return false, nil
	case kind == store.NoticeGrace:
		action, notice = store.ActionGraceEnding, store.Notice{EndsAt: apikey.Timestamp(key.GraceEnd(m.now))}
	case kind == store.NoticeSecret && !key.Scopes.Has(apikey.ScopeAdmin):
		return false, nil
	case kind == store.NoticeSecret:
		action, notice = store.ActionRotationDue, store.Notice{SecretSince: apikey.Timestamp(about)}
	case expired:
		action, notice = store.ActionExpired, store.Notice{EndsAt: apikey.Timestamp(about)}
	default:
		action = store.ActionExpiring
		notice = store.Notice{EndsAt: apikey.Timestamp(about), Threshold: int(threshold / time.Second)}
	}
	if said, err = m.markNotice(kind, about, id[:], threshold); err != nil || !said {
		return false, err
	}
	return true, m.notice(action, &key, notice)
}

// markNotice records that a notice is written, and reports whether it was not before.
func (m *mutation) markNotice(kind store.NoticeKind, about time.Time, subject []byte, threshold time.Duration) (fresh bool, err error) {
	rows, err := execCounting(m, `INSERT INTO notices (`+NoticeColumns+`) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, about, subject) DO UPDATE SET threshold = excluded.threshold
		WHERE notices.threshold > excluded.threshold RETURNING threshold`,
		int(kind), about.UnixMilli(), subject, threshold.Milliseconds())
	return rows > 0, err
}

// notice writes an event that is a notice.
func (m *mutation) notice(action string, key *apikey.Key, n store.Notice) error {
	m.changed = key.ID // nodes must hear of every event
	if key.ID.IsZero() {
		m.changed = apikey.OwnerID(key.Owner)
	}
	event := m.eventOf(action, key)
	event.Changes = n.Differences()
	m.notices = append(m.notices, event)
	return m.insertEvent(&event, event.Changes.String())
}

// logNotices logs notices that were written.
func (w *writer) logNotices(written []store.Event) {
	for i := range written {
		store.LogNotice(context.Background(), w.outage.log, &written[i])
	}
}

// RecordQuotaReached implements store.Notices.
func (db *DB) RecordQuotaReached(ctx context.Context, subject store.Subject, until time.Time) error {
	return db.writer.background(ctx, func(t *transaction) error {
		m := db.newMutation(t, store.Operator(noticeVia))
		about, quota, err := m.quotaOf(subject)
		if err != nil || quota.IsNone() {
			return err
		}
		said, err := m.markNotice(store.NoticeQuota, until, subjectKey(subject), 0)
		if err != nil || !said {
			return err
		}
		return m.notice(store.ActionQuota, &about, store.Notice{Limit: quota.Limit, ResetsAt: apikey.Timestamp(until)})
	})
}

// quotaOf returns what an event about a subject names, and the subject's quota; none if there is no such key any more.
func (m *mutation) quotaOf(subject store.Subject) (about apikey.Key, quota apikey.Quota, err error) {
	if subject.Key.IsZero() {
		owner, err := findOwner(context.Background(), m, subject.Owner)
		return apikey.Key{Settings: apikey.Settings{Owner: subject.Owner, Name: subject.Owner}}, owner.Quota, err
	}
	about, err = findKey(context.Background(), m, store.ByID(subject.Key), m.dialect.rowLock)
	if errors.Is(err, sql.ErrNoRows) || about.IsRevoked() {
		return about, apikey.Quota{}, nil
	}
	return about, about.Quota, err
}

// pruneNotices forgets notices about what ended before a time. Those about secrets stay: such a time says nothing of
// them, and there are few.
func (db *DB) pruneNotices(ctx context.Context, before time.Time) (removed int, err error) {
	for _, kind := range []store.NoticeKind{store.NoticeEnd, store.NoticeGrace, store.NoticeQuota} {
		n, err := db.removeAll(ctx, `DELETE FROM notices WHERE (`+noticeKey+`) IN (
				SELECT `+noticeKey+` FROM notices WHERE kind = $1 AND about < $2 ORDER BY `+noticeKey+` LIMIT $3)
			RETURNING kind`, int(kind), before.UnixMilli())
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

const noticeKey = `kind, about, subject`
