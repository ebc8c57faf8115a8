package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
)

const eventColumns = `id, at, action, key_id, owner, name, changed, actor_id, via, request_id`

// audit writes the event of a change to key, as it is afterwards.
func (m *mutation) audit(action string, key apikey.Key, changed []string) error {
	m.action = action
	id := apikey.NewID()
	return m.exec(
		`INSERT INTO audit_events (`+eventColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		id[:], millis(m.now), action, key.ID[:], key.Owner, key.Name, strings.Join(changed, " "),
		nullID(m.actor.Key), m.actor.Via, m.actor.RequestID)
}

// AuditEvents implements store.Store.
func (db *DB) AuditEvents(ctx context.Context, limit int) ([]store.Event, error) {
	rows, err := db.reader.QueryContext(ctx,
		`SELECT `+eventColumns+` FROM audit_events ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, during(ctx, err)
	}
	defer rows.Close()
	var events []store.Event
	for rows.Next() {
		event, err := scanEvent(rows)
		if err != nil {
			return nil, during(ctx, err)
		}
		events = append(events, event)
	}
	return events, during(ctx, rows.Err())
}

func scanEvent(rows *sql.Rows) (store.Event, error) {
	var (
		event              store.Event
		id, keyID, actorID []byte
		at                 sql.NullInt64
		changed            string
	)
	err := rows.Scan(&id, &at, &event.Action, &keyID, &event.Owner, &event.Name, &changed,
		&actorID, &event.Via, &event.RequestID)
	copy(event.ID[:], id)
	copy(event.Key[:], keyID)
	copy(event.Actor[:], actorID)
	event.At = fromMillis(at)
	event.Changed = strings.Fields(changed)
	return event, err
}
