// Of this package: what meets in one transaction, and what is stored, to the letter.
package sqlstore

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
	"apikeyd/store"
)

// create is a change that also writes its event.
func (h *held) create(name string, afterwards error) func(*transaction) error {
	key := h.key(name)
	return func(t *transaction) error {
		m := h.db.newMutation(t, store.Operator("test"))
		return errors.Join(m.insertKey(key), m.audit(store.ActionCreate, nil, &key), afterwards)
	}
}

// A batch that is undone and made again leaves no gap and no trace of what failed.
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
	if err := h.db.writer.change(t.Context(), h.create("d", nil)); err != nil {
		t.Error(err)
	}
	reports, err := h.db.VerifyAudit(t.Context())
	if err != nil || len(reports) != 1 || reports[0].Events != 4 || len(reports[0].Faults) > 0 {
		t.Errorf("the chain is %+v (%v)", reports, err)
	}
}

// What is written by hand is the canonical form of what a library writes.
func TestChangesAreCanonical(t *testing.T) {
	t.Parallel()
	when := apikey.Timestamp(time.UnixMilli(1764102245002))
	odd := "<&>\u2028\u2029\"\\/\b\f\n\r\t\x00\x1f\x7fé\U0001F511"
	metadata := apikey.Metadata{odd: odd, "\uffff": "", "\U0001F511": "", "a": "", "": "b"}
	limit := apikey.RateLimit{Limit: 1000000, Window: 24 * time.Hour}
	for _, changes := range []store.Changes{
		{},
		{Name: &store.Change[string]{}},
		{Name: &store.Change[string]{From: &odd}, Scopes: &store.Change[apikey.Scopes]{To: &apikey.Scopes{}}},
		{
			ExpiresAt: &store.Change[apikey.Timestamp]{From: &when, To: &when}, GraceEndsAt: &store.Change[apikey.Timestamp]{To: &when},
			Metadata:  &store.Change[apikey.Metadata]{From: &metadata, To: &apikey.Metadata{}},
			Name:      &store.Change[string]{From: &odd, To: &odd},
			RateLimit: &store.Change[apikey.RateLimit]{From: &limit}, RevokedAt: &store.Change[apikey.Timestamp]{To: &when},
			Scopes: &store.Change[apikey.Scopes]{From: &apikey.Scopes{"a:b"}, To: &apikey.Scopes{"a", "<b>"}},
		},
	} {
		text, err := json.Marshal(changes)
		if err != nil {
			t.Fatal(err)
		}
		want := jsontext.Value(text)
		if err := want.Canonicalize(); err != nil {
			t.Fatal(err)
		}
		if got := textOfChanges(&changes); got != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
