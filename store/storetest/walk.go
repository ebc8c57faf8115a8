package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// testWalk changes keys in every way between the pages of a walk. Each key that matches from the
// beginning to the end must be returned once, and none twice.
func testWalk(f *fixture) {
	for seed := range uint64(12) {
		w := &walker{fixture: f, random: rand.New(rand.NewPCG(seed, 15)), owner: fmt.Sprint("owner ", seed)} //nolint:gosec // G404: to be repeated
		for range 40 {
			w.create()
		}
		for name, filter := range map[string]store.Query{
			"all":      {},
			"active":   {Status: apikey.StatusActive},
			"expired":  {Status: apikey.StatusExpired},
			"revoked":  {Status: apikey.StatusRevoked},
			"enabled":  {Enabled: new(true)},
			"disabled": {Enabled: new(false)},
			"reason":   {Reason: apikey.ReasonUnspecified},
			"rotating": {Rotating: new(true)},
			"named":    {NameContains: "a"},
			"scoped":   {Scope: "a:b"},
			"marked":   {Metadata: []apikey.MetadataEntry{{Name: "a", Value: "b"}}},
			"searched": {Search: "A"},
			"ending":   {ExpiresBefore: f.clock.Now().Add(time.Hour)},
			"unused":   {LastUsedBefore: f.clock.Now().Add(time.Second), Status: apikey.StatusActive},
		} {
			filter.Owner = w.owner
			filter.Limit = 1 + w.random.IntN(4)
			w.walk(fmt.Sprintf("%s, seed %d", name, seed), filter)
		}
	}
}

type walker struct {
	*fixture
	random *rand.Rand
	owner  string
	keys   []apikey.ID
}

func (w *walker) create() {
	w.Helper()
	lifetime := time.Duration(1+w.random.IntN(10)) * 20 * time.Minute
	name := fmt.Sprintf("%c%d", "abcAB"[w.random.IntN(5)], len(w.keys))
	scopes := [][]string{nil, {"a:b"}, {"a:bc", "xa:b"}, {"x", "a:b", "y"}, {"A:B"}}[w.random.IntN(5)]
	metadata := []apikey.Metadata{nil, {"a": "b"}, {"a": "bc"}, {"b": "a", "a": "b"}}[w.random.IntN(4)]
	key := w.add(apikey.Settings{Owner: w.owner, Name: name, Scopes: scopes, Metadata: metadata, ExpiresAt: w.clock.Now().Add(lifetime)})
	w.keys = append(w.keys, key.ID)
}

// matching returns the ids of the keys that pass the filters now, decided independently of the store.
func (w *walker) matching(q store.Query) []apikey.ID {
	w.Helper()
	now := w.clock.Now()
	return slices.DeleteFunc(slices.Clone(w.keys), func(id apikey.ID) bool {
		key := w.get(store.ByID(id))
		status := key.Status(now)
		idle := key.CreatedAt.Before(q.LastUsedBefore) && key.LastUsedAt.Before(q.LastUsedBefore)
		return q.Status != "" && status != q.Status ||
			q.Enabled != nil && *q.Enabled == key.Suspended ||
			q.Reason != "" && key.RevocationReason != q.Reason ||
			q.Rotating != nil && *q.Rotating != (status == apikey.StatusActive && key.OldSecretUntil.After(now)) ||
			!strings.Contains(key.Name, q.NameContains) ||
			q.Scope != "" && !slices.Contains(key.Scopes, q.Scope) ||
			len(q.Metadata) > 0 && key.Metadata["a"] != "b" ||
			!strings.Contains(strings.ToLower(key.Name+" "+key.Owner), strings.ToLower(q.Search)) ||
			!q.ExpiresBefore.IsZero() && !key.ExpiresAt.Before(q.ExpiresBefore) ||
			!q.LastUsedBefore.IsZero() && !idle
	})
}

func (w *walker) walk(what string, q store.Query) {
	w.Helper()
	q.At = w.clock.Now()
	throughout := w.matching(q)
	seen := make(map[apikey.ID]int)
	for more := true; more; {
		page := w.page(q)
		for _, key := range page.Keys {
			seen[key.ID]++
			q.After = key.ID
		}
		more = page.More
		if more {
			for range 1 + w.random.IntN(3) {
				w.change()
				q.At = w.clock.Now()
				still := w.matching(q)
				throughout = slices.DeleteFunc(throughout, func(id apikey.ID) bool { return !slices.Contains(still, id) })
			}
		}
	}
	for _, id := range throughout {
		if seen[id] == 0 {
			w.Errorf("%s: key %s matched throughout and was not returned", what, id)
		}
	}
	for id, times := range seen {
		if times > 1 {
			w.Errorf("%s: key %s was returned %d times", what, id, times)
		}
	}
}

// change makes one random change to one random key.
func (w *walker) change() {
	w.Helper()
	id := w.keys[w.random.IntN(len(w.keys))]
	key := w.get(store.ByID(id))
	now := w.clock.Now()
	switch what := w.random.IntN(9); {
	case what == 0:
		w.create()
	case what == 1:
		w.clock.Advance(time.Duration(w.random.IntN(10)) * time.Minute)
	case what == 2:
		w.must(w.RecordUses(w.ctx(), []store.Use{{Key: id, LastUsedAt: now}}))
	case key.IsRevoked():
	case what == 8:
		w.suspend(key, !key.Suspended)
	case what == 3:
		w.revoke(store.ByID(id))
	case what == 4:
		w.rotate(key, time.Hour)
	case what <= 6:
		_, err := w.rename(operator, store.ByID(id), fmt.Sprintf("%c%x", "abcAB"[w.random.IntN(5)], w.random.Uint64()))
		w.must(err)
	default:
		until := now.Add(time.Duration(1+w.random.IntN(100)) * time.Minute)
		_, err := w.UpdateKey(w.ctx(), operator, store.ByID(id), apikey.Change{ExpiresAt: &until})
		w.must(err)
	}
}
