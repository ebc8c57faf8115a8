package sqlstore_test

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Changes that were made are counted; refused ones are not.
func TestStats(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, databasetest.NewPath(t))
	key := databasetest.Create(t, db, "ci")
	clash, _ := databasetest.Draft(t, "ci")
	wantErr(t, db.CreateKey(t.Context(), databasetest.Operator, clash), store.ErrNameTaken)
	for range 2 { // the second changes nothing
		_, err := db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(key.ID), apikey.ReasonUnspecified)
		must(t, err)
	}
	must(t, db.RecordUses(t.Context(), []store.Use{{Key: key.ID, LastUsedAt: time.Now()}}))

	s := db.Stats()
	want := map[string]uint64{
		store.ActionCreate: 1, store.ActionUpdate: 0, store.ActionRevoke: 1, store.ActionRotate: 0, store.ActionLeak: 0, store.ActionOutside: 0,
		store.ActionCreateLink: 0, store.ActionSession: 0,
		store.ActionExpiring: 0, store.ActionExpired: 0, store.ActionGraceEnding: 0, store.ActionRotationDue: 0,
		store.ActionQuota: 0, store.ActionNewNetwork: 0,
		store.ActionUpdateOwner: 0, store.ActionCreateWebhook: 0, store.ActionUpdateWebhook: 0, store.ActionRotateWebhook: 0,
		store.ActionDeleteWebhook: 0, store.ActionTestWebhook: 0,
	}
	if !maps.Equal(s.Changes, want) {
		t.Errorf("changes are %v, want %v", s.Changes, want)
	}
	for name, h := range map[string]sqlstore.Histogram{"batch": s.Batch, "commit": s.Commit} {
		var n uint64
		for _, count := range h.Counts {
			n += count
		}
		if n != 5 || h.Sum <= 0 || len(h.Counts) != len(h.Bounds)+1 {
			t.Errorf("%s: %d transactions, want 5: %v", name, n, h)
		}
	}
	if s.Batch.Sum != 5 || s.Batch.Counts[0] != 5 {
		t.Errorf("batches are %v, want 5 of one change", s.Batch)
	}
	if s.Failed != 0 || s.TooBusy != 0 || s.Waiting != 0 || s.FailedPolls != 0 {
		t.Errorf("all is well, and it says %+v", s)
	}
	if s.DatabaseSize == 0 || s.LogSize == 0 {
		t.Errorf("the sizes are %d and %d", s.DatabaseSize, s.LogSize)
	}
}

// Each key has one status at a time, and every key is counted.
func TestQuickSummary(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, databasetest.NewPath(t))
	now := time.Now()
	databasetest.Create(t, db, "a")
	databasetest.Create(t, db, "b") // both expire in an hour
	_, err := db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(databasetest.Create(t, db, "c").ID), apikey.ReasonUnspecified)
	must(t, err)
	_, err = db.UpdateKey(t.Context(), databasetest.Operator, store.ByID(databasetest.Create(t, db, "d").ID),
		apikey.Change{Suspended: new(true)})
	must(t, err)
	for after, want := range map[time.Duration]store.Summary{
		-30 * 24 * time.Hour: {Active: 2, Revoked: 2, Suspended: 1},
		0:                    {Active: 2, Revoked: 2, Suspended: 1, ExpiringSoon: 2},
		2 * time.Hour:        {Expired: 2, Revoked: 2, Suspended: 1},
	} {
		got, err := db.QuickSummary(t.Context(), now.Add(after))
		must(t, err)
		if got != want {
			t.Errorf("after %s: %+v, want %+v", after, got, want)
		}
	}
}

func TestSQLiteHasNoBudget(t *testing.T) {
	t.Parallel()
	if budget := databasetest.OpenWith(t, sqlstore.Options{Path: t.TempDir() + "/keys.db", Serve: true}).Budget(); budget != nil {
		t.Errorf("it has %v", budget)
	}
}

// lines is a log for concurrent use.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// It is logged once that the file is gone, and once that it is back.
func TestOutageIsSaidOnce(t *testing.T) {
	t.Parallel()
	log, path := &lines{}, databasetest.NewPath(t)
	db := databasetest.OpenWith(t, sqlstore.Options{Path: path, Serve: true, Log: slog.New(slog.NewTextHandler(log, nil))})
	const begins, ends = "the database cannot be read", "the database can be read again"
	for round := range 2 {
		must(t, os.Rename(path, path+".moved"))
		eventually(t, func() bool { return log.count(begins) > round })
		polls := db.Stats().FailedPolls
		eventually(t, func() bool { return db.Stats().FailedPolls > polls+3 })
		must(t, os.Rename(path+".moved", path))
		eventually(t, func() bool { return log.count(ends) > round })
		if b, e := log.count(begins), log.count(ends); b != round+1 || e != round+1 {
			t.Errorf("round %d: said %d times that it began and %d times that it ended", round, b, e)
		}
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it takes too long")
		}
	}
}
