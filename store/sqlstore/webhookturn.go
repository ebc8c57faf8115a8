package sqlstore

import (
	"context"
	"sync"
	"time"

	"apikeyd/apikey"
)

const (
	// turnLasts is how long a process may deliver after it began to renew its turn.
	turnLasts = 10 * time.Second
	// turnRenewed is how often it renews its turn.
	turnRenewed = 3 * time.Second
	// turnTaken is how long another process must see no renewal before it takes the turn. It measures that itself, so
	// a wrong clock does not matter.
	turnTaken = 15 * time.Second
	// turnName is the name of the one row.
	turnName = "deliveries"
)

// turnOfDelivery is what a process knows about whose turn it is to deliver.
type turnOfDelivery struct {
	mu    sync.Mutex
	me    apikey.ID
	until time.Time
	seen  deliverer
	since time.Time // when seen was first seen
}

// deliverer is a row of webhook_turn.
type deliverer struct {
	holder apikey.ID // zero if it was released
	beat   int64
}

// HoldWebhooks implements store.WebhookQueue. A file has one server.
func (db *DB) HoldWebhooks(ctx context.Context) (until time.Time, err error) {
	began := time.Now()
	if db.file != nil {
		return began.Add(turnLasts), nil
	}
	t := &db.delivering
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.me.IsZero() {
		t.me = apikey.NewID()
	}
	if began.Add(turnLasts - turnRenewed).Before(t.until) {
		return t.until, nil
	}
	var now deliverer
	if err := db.read(ctx, func() error {
		now, err = readTurn(ctx, db.points, "")
		return err
	}); err != nil {
		return t.valid(began), err
	}
	if now != t.seen || t.since.IsZero() {
		t.seen, t.since = now, time.Now()
	}
	if !now.holder.IsZero() && now.holder != t.me && time.Since(t.since) < turnTaken {
		return time.Time{}, nil
	}
	mine := deliverer{t.me, now.beat + 1}
	err = db.writer.background(ctx, func(tx *transaction) error {
		if err := tx.exec(`INSERT INTO webhook_turn (name, holder, beat) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING`,
			turnName, make([]byte, len(apikey.ID{}))); err != nil {
			return err
		}
		at, err := readTurn(context.Background(), tx, tx.dialect.rowLock)
		if err != nil || at != now {
			mine = deliverer{}
			return err
		}
		return tx.exec(`UPDATE webhook_turn SET holder = $1, beat = $2 WHERE name = $3`, mine.holder[:], mine.beat, turnName)
	})
	if err != nil {
		return t.valid(began), err
	}
	if mine.holder.IsZero() { // another one was faster
		t.until = time.Time{}
		return time.Time{}, nil
	}
	t.seen, t.since, t.until = mine, time.Now(), began.Add(turnLasts)
	return t.until, nil
}

// valid returns the end of a turn that could not be renewed; zero if that has passed.
func (t *turnOfDelivery) valid(now time.Time) time.Time {
	if now.Before(t.until) {
		return t.until
	}
	return time.Time{}
}

// readTurn returns the process that delivers; the zero deliverer if none ever did.
func readTurn(ctx context.Context, q querier, rowLock string) (d deliverer, err error) {
	err = q.each(ctx, func(r row) error { return r.Scan(idColumn{&d.holder}, &d.beat) },
		`SELECT holder, beat FROM webhook_turn WHERE name = $1`+rowLock, turnName)
	return d, err
}

// ReleaseWebhooks implements store.WebhookQueue.
func (db *DB) ReleaseWebhooks(ctx context.Context) error {
	t := &db.delivering
	t.mu.Lock()
	defer t.mu.Unlock()
	if db.file != nil || t.until.IsZero() {
		return nil
	}
	t.until = time.Time{}
	return db.writer.background(ctx, func(tx *transaction) error {
		return tx.exec(`UPDATE webhook_turn SET holder = $1, beat = beat + 1 WHERE name = $2 AND holder = $3`,
			make([]byte, len(apikey.ID{})), turnName, t.me[:])
	})
}
