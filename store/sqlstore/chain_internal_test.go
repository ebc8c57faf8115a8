// Internal, because the test decides which changes share a transaction.
package sqlstore

import (
	"errors"
	"testing"

	"apikeyd/store"
)

// create is a change that also writes its event.
func (h *held) create(name string, afterwards error) func(*transaction) error {
	key := h.key(name)
	return func(t *transaction) error {
		m := h.db.newMutation(t, store.Operator("test"))
		return errors.Join(m.insertKey(key), m.audit(store.ActionCreate, &key, key.Difference(nil, m.now)), afterwards)
	}
}

// A batch that is rolled back and retried leaves no gap and no trace of what failed.
func TestChainOfUndoneTransactions(t *testing.T) {
	t.Parallel()
	h := hold(t)
	broken := errors.New("broken")
	dones := map[string]<-chan error{}
	for _, name := range []string{"a", "broken", "b", "refused", "broken too", "c"} {
		var fails error
		if name == "broken" || name == "broken too" {
			fails = broken
		}
		do := h.create(name, fails)
		if name == "refused" {
			do = func(*transaction) error { return store.ErrRevoked }
		}
		dones[name] = h.begin(t.Context(), do)
	}
	h.release()
	for name, done := range dones {
		if err := <-done; (err == nil) != (len(name) == 1) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if err := h.db.writer.submit(t.Context(), h.create("d", nil)); err != nil {
		t.Error(err)
	}
	reports, err := h.db.VerifyAudit(t.Context())
	if err != nil || len(reports) != 1 || reports[0].Events != 4 || len(reports[0].Faults) > 0 {
		t.Errorf("the chain is %+v (%v)", reports, err)
	}
}
