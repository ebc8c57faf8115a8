package sqlstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// queue is turns, with the scans that asked for one.
type queue struct {
	*testing.T
	*turns
	running map[string][]func() // what ends them, by owner
}

// ask asks for a turn, and returns once the scan runs or waits.
func (q *queue) ask(ctx context.Context, owner string, key apikey.ID) {
	go func() {
		done, err := q.take(ctx, store.Asker{Owner: owner, Key: key})
		if err == nil {
			q.running[owner] = append(q.running[owner], done)
		} else if ctx.Err() == nil {
			q.Errorf("%s: %v", owner, err)
		}
	}()
	synctest.Wait()
}

// finish ends one scan of an owner.
func (q *queue) finish(owner string) {
	q.Helper()
	if len(q.running[owner]) == 0 {
		q.Fatalf("nothing of %s runs", owner)
	}
	q.running[owner][0]()
	q.running[owner] = q.running[owner][1:]
	synctest.Wait()
}

func (q *queue) want(running map[string]int) {
	q.Helper()
	for owner, n := range running {
		if len(q.running[owner]) != n {
			q.Errorf("%s has %d turns, want %d", owner, len(q.running[owner]), n)
		}
	}
}

// However much one owner asks for, with however many keys, another's scan begins at once,
// and a third owner's with the next free turn.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{T: t, turns: newTurns(4), running: make(map[string][]func())}
		for range 40 {
			q.ask(t.Context(), "greedy", apikey.NewID())
		}
		q.want(map[string]int{"greedy": 2})
		for range 3 {
			q.ask(t.Context(), "other", apikey.NewID())
		}
		q.want(map[string]int{"greedy": 2, "other": 2})
		q.ask(t.Context(), "third", apikey.NewID())
		q.want(map[string]int{"third": 0})
		q.finish("greedy")
		q.want(map[string]int{"greedy": 1, "other": 2, "third": 1})
		q.finish("third")
		q.want(map[string]int{"greedy": 2, "other": 2, "third": 0})
		// Of two owners with as many scans, the one that was served longer ago is next.
		q.finish("other")
		q.want(map[string]int{"greedy": 2, "other": 2})
		for range 39 {
			q.finish("greedy")
		}
		q.finish("other")
		q.finish("other")
		if q.free != 4 || len(q.owners) != 0 || len(q.keys) != 0 || len(q.waiting) != 0 {
			t.Errorf("what is left: %d free, %v, %v, %d waiting", q.free, q.owners, q.keys, len(q.waiting))
		}
	})
}

// A caller that gives up waiting leaves nothing behind.
func TestTurnsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{T: t, turns: newTurns(1), running: make(map[string][]func())}
		ctx, cancel := context.WithCancel(t.Context())
		q.ask(t.Context(), "first", apikey.NewID())
		q.ask(ctx, "gone", apikey.NewID())
		cancel()
		synctest.Wait()
		q.finish("first")
		if q.free != 1 || len(q.owners) != 0 || len(q.keys) != 0 || len(q.waiting) != 0 {
			t.Errorf("what is left: %d free, %v, %v, %d waiting", q.free, q.owners, q.keys, len(q.waiting))
		}
	})
}

// One key's scans are limited, whether they run or wait. The program's own are not.
func TestTurnsOfOneKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{T: t, turns: newTurns(2), running: make(map[string][]func())}
		key := apikey.NewID()
		for range maxScans {
			q.ask(t.Context(), "owner", key)
		}
		if _, err := q.take(t.Context(), store.Asker{Owner: "owner", Key: key}); !errors.Is(err, store.ErrTooManyScans) {
			t.Errorf("one more: %v", err)
		}
		for range 2 * maxScans {
			q.ask(t.Context(), "", apikey.ID{})
		}
		q.finish("owner")
		q.ask(t.Context(), "owner", key)
		for range maxScans {
			q.finish("owner")
		}
		for range 2 * maxScans {
			q.finish("")
		}
	})
}

// Everything that may take long takes a turn; short reads do not wait for one.
func TestWhatTakesTurns(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "keys.db"), Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	key := newKey(t)
	if err := db.CreateKey(t.Context(), store.Operator("test"), key); err != nil {
		t.Fatal(err)
	}
	who := store.Asker{Owner: "o", Key: key.ID}
	ctx := context.WithValue(t.Context(), store.AskerKey{}, who)
	db.turns.mu.Lock()
	db.turns.keys[key.ID] = maxScans // as if so many of its scans ran or waited
	db.turns.mu.Unlock()
	for what, do := range map[string]func() error{
		"a search":     func() error { return second(db.Keys(ctx, store.Query{Limit: 1, NameContains: "x"})) },
		"a deep page":  func() error { return second(db.KeyIDs(ctx, store.Query{Limit: 1, Offset: shallow + 1})) },
		"a summary":    func() error { return second(db.Summary(ctx, "o", time.Now())) },
		"audit events": func() error { return second(db.AuditEvents(ctx, store.EventQuery{Limit: 1})) },
		"verification of the audit log": func() error {
			return second(db.VerifyAudit(ctx))
		},
	} {
		if err := do(); !errors.Is(err, store.ErrTooManyScans) {
			t.Errorf("%s takes no turn: %v", what, err)
		}
	}
	for what, do := range map[string]func() error{
		"a look-up": func() error { return second(db.Key(ctx, store.ByID(key.ID))) },
		"a page":    func() error { return second(db.KeyIDs(ctx, store.Query{Limit: 1})) },
		"a probe":   func() error { return db.Ping(ctx) },
		"a change":  func() error { return db.CreateKey(ctx, store.Operator("test"), newKey(t)) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s waits for a turn: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func newKey(t *testing.T) apikey.Key {
	t.Helper()
	key, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
		Owner: "o", Name: apikey.NewID().String() + "!", ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}
