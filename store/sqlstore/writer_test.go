// Internal, because the tests decide which changes share a transaction.
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// held is a database whose writer is blocked, so that changes gather.
type held struct {
	*testing.T
	db      *DB
	release func()
}

func hold(t *testing.T) *held {
	t.Helper()
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "keys.db"), Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	started, released := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		err := db.writer.submit(context.Background(), func(*transaction) error {
			close(started)
			<-released
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	h := &held{t, db, sync.OnceFunc(func() { close(released); first.Wait() })}
	t.Cleanup(func() {
		h.release()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// begin makes a change in the background, and returns once it waits.
func (h *held) begin(ctx context.Context, do func(*transaction) error) <-chan error {
	h.Helper()
	before := len(h.db.writer.changes)
	done := make(chan error, 1)
	go func() {
		err := h.db.writer.submit(ctx, do)
		done <- err
	}()
	for len(h.db.writer.changes) == before {
		time.Sleep(time.Millisecond)
	}
	return done
}

func (h *held) key(name string) apikey.Key {
	h.Helper()
	key, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
		Owner: "acme", Name: name, ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		h.Fatal(err)
	}
	return key
}

func (h *held) insert(name string) func(*transaction) error {
	key := h.key(name)
	return func(t *transaction) error { return h.db.newMutation(t, store.Operator("test")).insertKey(key) }
}

func (h *held) wantNames(want ...string) {
	h.Helper()
	page, err := h.db.Keys(h.Context(), store.Query{Limit: 1000})
	if err != nil {
		h.Fatal(err)
	}
	var got []string
	for _, key := range page.Keys {
		got = append(got, key.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		h.Errorf("the keys are %q, want %q", got, want)
	}
}

func TestOneFailureHarmsNoOther(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		do   func(*held) func(*transaction) error
		want error // nil is any
	}{
		"a name that is taken": {func(h *held) func(*transaction) error { return h.insert("a") }, store.ErrNameTaken},
		"an error after it wrote": {func(h *held) func(*transaction) error {
			insert := h.insert("half")
			return func(t *transaction) error { return errors.Join(insert(t), broken) }
		}, broken},
		"a statement that fails": {func(*held) func(*transaction) error {
			return func(t *transaction) error { return t.exec(`INSERT INTO api_keys (id) VALUES (1)`) }
		}, nil},
		"a panic": {func(*held) func(*transaction) error { return func(*transaction) error { panic("oh") } }, nil},
		"a transaction undone": {func(*held) func(*transaction) error {
			return func(t *transaction) error { return errors.Join(t.exec(`ROLLBACK`), broken) }
		}, broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hold(t)
			first := h.begin(t.Context(), h.insert("a"))
			bad := h.begin(t.Context(), tt.do(h))
			last := h.begin(t.Context(), h.insert("b"))
			h.release()
			if err := <-bad; err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("the bad one: %v, want %v", err, tt.want)
			}
			if err := errors.Join(<-first, <-last); err != nil {
				t.Errorf("its neighbours: %v", err)
			}
			h.wantNames("a", "b")
		})
	}
}

func TestWaitingChangeIsGivenUp(t *testing.T) {
	t.Parallel()
	h := hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	given := h.begin(ctx, h.insert("given up"))
	kept := h.begin(t.Context(), h.insert("kept"))
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) { // before the writer gets to it
		t.Errorf("error is %v", err)
	}
	h.release()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	h.wantNames("kept")
}

// A caller that gives up while its change is being made still gets the result.
func TestChangeInFlightIsAnswered(t *testing.T) {
	t.Parallel()
	h := hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	insert := h.insert("made")
	done := h.begin(ctx, func(t *transaction) error {
		cancel()
		return insert(t)
	})
	h.release()
	if err := <-done; err != nil {
		t.Errorf("error is %v, but the change was made", err)
	}
	h.wantNames("made")
}

func TestTooManyWaiting(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var wg sync.WaitGroup
	for range maxWaiting {
		wg.Go(func() {
			if err := h.db.writer.submit(t.Context(), func(*transaction) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	for len(h.db.writer.changes) < maxWaiting {
		time.Sleep(time.Millisecond)
	}
	err := h.db.writer.submit(t.Context(), h.insert("one too many"))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error is %v, want %v", err, store.ErrUnavailable)
	}
	if s := h.db.Stats(); s.Waiting != maxWaiting || s.MaxWaiting != maxWaiting || s.TooBusy != 1 {
		t.Errorf("%d of %d wait and %d were refused, want all and 1", s.Waiting, s.MaxWaiting, s.TooBusy)
	}
	h.release()
	wg.Wait()
	if err := h.db.writer.submit(t.Context(), h.insert("afterwards")); err != nil {
		t.Error(err)
	}
	h.wantNames("afterwards")
}

// Waiting changes are made in the order of their arrival, in batches of at most maxBatch,
// with last-used times after them.
func TestOrder(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var mu sync.Mutex
	var order []string
	note := func(what string) func(*transaction) error {
		return func(*transaction) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
			return nil
		}
	}
	use := make(chan error, 1)
	go func() { use <- h.db.writer.background(t.Context(), note("use")) }()
	var want []string
	var last <-chan error
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		last = h.begin(t.Context(), note(fmt.Sprint(i)))
	}
	h.release()
	if err := errors.Join(<-last, <-use); err != nil {
		t.Fatal(err)
	}
	if want = append(want, "use"); !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

// Gathered changes are one transaction: their rows appear together.
func TestGatheredChangesAreOneTransaction(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var dones []<-chan error
	seen := make([]int64, 20)
	for i := range seen {
		insert := h.insert(fmt.Sprint(i))
		dones = append(dones, h.begin(t.Context(), func(t *transaction) error {
			err := first(h.Context(), h.db.reader, `SELECT count(*) FROM api_keys`).Scan(&seen[i])
			return errors.Join(err, insert(t))
		}))
	}
	h.release()
	for _, done := range dones {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range seen {
		if n != 0 {
			t.Errorf("change %d saw %d rows of the others committed", i, n)
		}
	}
}

func TestClosedWhileWaiting(t *testing.T) {
	t.Parallel()
	h := hold(t)
	done := h.begin(t.Context(), h.insert("late"))
	closed := make(chan error, 1)
	go func() { closed <- h.db.Close() }()
	if err := <-done; !errors.Is(err, errClosed) {
		t.Errorf("error is %v", err)
	}
	h.release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := h.db.writer.submit(t.Context(), h.insert("later")); !errors.Is(err, errClosed) {
		t.Errorf("after closing: %v", err)
	}
	if err := h.db.writer.background(t.Context(), h.insert("later")); !errors.Is(err, errClosed) {
		t.Errorf("after closing: %v", err)
	}
}

// If the reason of a refusal was rolled back with the transaction, the change is not refused.
func TestRefusalsOfAnUndoneTransaction(t *testing.T) {
	t.Parallel()
	h := hold(t)
	first := h.begin(t.Context(), h.insert("a"))
	refused := h.begin(t.Context(), h.insert("a"))
	// So that the commit fails, as on a full disk.
	undone := h.begin(t.Context(), func(t *transaction) error { return t.exec(`ROLLBACK`) })
	h.release()
	for name, done := range map[string]<-chan error{"first": first, "refused": refused, "undone": undone} {
		if err := <-done; err == nil || errors.Is(err, store.ErrNameTaken) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	h.wantNames()
	if err := h.db.writer.submit(t.Context(), h.insert("a")); err != nil {
		t.Error(err)
	}
}

// Of several changes that break their transaction, each fails alone.
func TestSeveralFailures(t *testing.T) {
	t.Parallel()
	h := hold(t)
	broken := errors.New("broken")
	var good, bad []<-chan error
	var want []string
	for i := range 6 {
		insert := h.insert(fmt.Sprint(i))
		if i%2 == 0 {
			want = append(want, fmt.Sprint(i))
			good = append(good, h.begin(t.Context(), insert))
			continue
		}
		bad = append(bad, h.begin(t.Context(), func(t *transaction) error { return errors.Join(insert(t), broken) }))
	}
	h.release()
	for _, done := range bad {
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("a bad one: %v", err)
		}
	}
	for _, done := range good {
		if err := <-done; err != nil {
			t.Errorf("a good one: %v", err)
		}
	}
	h.wantNames(want...)
	page, err := h.db.Keys(t.Context(), store.Query{Limit: 1})
	if err != nil || page.Total != len(want) {
		t.Errorf("%d keys are counted, want %d (%v)", page.Total, len(want), err)
	}
}
