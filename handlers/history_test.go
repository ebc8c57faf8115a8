package handlers_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	databasetest "apikeyd/internal/testkit/database"
)

type past struct {
	At         time.Time `json:"at"`
	Key        key       `json:"key"`
	Generation int       `json:"secret_generation"`
	Since      time.Time `json:"secret_since"`
	Consistent bool      `json:"consistent"`
}

// pastOf requests what a key was.
func (k *kit) pastOf(by key, path string, at time.Time) response {
	k.Helper()
	return k.get(by, path+"/history?at="+url.QueryEscape(at.Format(time.RFC3339Nano)))
}

func (r response) past() (p past) {
	r.k.must(json.Unmarshal(r.want(200).raw, &p))
	return p
}

// A key's whole life, and what it was at the start of each part of it.
func TestHistory(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const step = time.Minute
	created := k.mustCreate(k.admin, fields{"name": "ci", "scopes": []string{"a", "b"}, "metadata": fields{"plan": "pro"}})
	path := keyPath(created.ID)
	type moment struct {
		at time.Time
		as response // what getApiKey answered then
		n  int      // the secret's number
	}
	var life []moment
	n := 1
	note := func() {
		life = append(life, moment{k.clock.Now(), k.get(k.admin, path).want(200), n})
		k.clock.Advance(step)
	}
	note()
	for _, change := range []fields{
		{"name": "ci 2", "scopes": []string{"a"}},
		{"enabled": false},
		{"enabled": true, "metadata": fields{}},
		{"rate_limit": fields{"limit": 10, "window_seconds": 60}, "quota": fields{"limit": 5, "period": "day"}},
		{"rate_limit": nil},
	} {
		k.patch(k.admin, path, change).want(200)
		note()
	}
	k.rotate(k.admin, path, fields{"grace_seconds": 90}).want(200)
	n++
	note() // with a grace, which is over a moment later
	note()
	k.clock.Advance(time.Hour) // it expires
	note()
	k.patch(k.admin, path, fields{"expires_at": k.in(time.Hour)}).want(200)
	note()
	k.revoke(k.admin, path+"?reason=key_compromise").want(200)
	note()

	for i, then := range life {
		got := k.pastOf(k.admin, path, then.at).past()
		if !got.Consistent || got.Generation != then.n || !got.At.Equal(then.at) {
			t.Errorf("moment %d: %+v", i, got)
		}
		var now, past map[string]any
		k.must(json.Unmarshal(then.as.raw, &now))
		var whole struct{ Key map[string]any }
		k.must(json.Unmarshal(k.pastOf(k.admin, path, then.at).raw, &whole))
		past = whole.Key
		if diff := cmp.Diff(now, past); diff != "" {
			t.Errorf("moment %d (-then +now):\n%s", i, diff)
		}
	}
	first, last := life[0], life[len(life)-1]
	k.pastOf(k.admin, path, first.at.Add(-time.Second)).invalid("at")
	k.pastOf(k.admin, path, last.at.Add(24*time.Hour)).invalid("at")
	if now := k.get(k.admin, path+"/history").past(); now.Key.Status != "REVOKED" || !now.At.Equal(k.clock.Now()) {
		t.Errorf("without a time: %+v", now)
	}
	k.get(k.admin, path+"/history?at=yesterday").invalid("at")
	other := k.add("other", "reader", "keys:read")
	k.pastOf(other, path, last.at).refused(404, "KEY_NOT_FOUND")
}

// removeHistory removes all audit events until now, as retention does later.
func (k *kit) removeHistory() {
	k.Helper()
	_, err := k.db.PruneEvents(k.Context(), k.clock.Now().Add(time.Millisecond))
	k.must(err)
}

// If events are missing, a time is refused exactly if some of the missing may be later.
func TestRemovedHistory(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	path := keyPath(k.mustCreate(k.admin, fields{"name": "ci"}).ID)
	created := k.clock.Now()
	k.clock.Advance(time.Hour)
	k.patch(k.admin, path, fields{"name": "renamed"}).want(200)
	k.removeHistory()
	removed := k.clock.Now()
	k.clock.Advance(time.Hour)
	k.rotate(k.admin, path, nil).want(200)

	k.pastOf(k.admin, path, created).refused(409, "HISTORY_REMOVED")
	k.pastOf(k.admin, path, removed.Add(-time.Millisecond)).refused(409, "HISTORY_REMOVED")
	then := k.pastOf(k.admin, path, removed.Add(time.Minute)).past()
	if then.Key.Name != "renamed" || then.Generation != 0 || !then.Since.IsZero() || !then.Consistent {
		t.Errorf("after what was removed: %+v", then)
	}
	if now := k.pastOf(k.admin, path, k.clock.Now()).past(); now.Generation != 0 || !now.Since.Equal(k.clock.Now()) {
		t.Errorf("after a rotation: %+v", now)
	}
}

// A change of the database itself shows.
func TestHistoryOfAnAlteredKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	path := keyPath(k.mustCreate(k.admin, fields{"name": "ci", "scopes": []string{"a"}}).ID)
	created := k.clock.Now()
	k.clock.Advance(time.Hour)
	k.patch(k.admin, path, fields{"scopes": []string{"b"}}).want(200)
	databasetest.Execute(t, databasetest.Raw(t, k.path), `UPDATE api_keys SET scopes = 'b z' WHERE name = 'ci'`)
	if k.pastOf(k.admin, path, created).past().Consistent {
		t.Error("consistent, although a scope came out of nowhere")
	}
}
