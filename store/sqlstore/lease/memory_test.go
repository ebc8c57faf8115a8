package lease

import (
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

var _ store.Watcher = (*memory)(nil)

// memory is a watcher that caches keys, and knows how long its cache is trusted.
type memory struct {
	mu    sync.Mutex
	keys  map[apikey.ID]bool
	until time.Time
	alls  int // how often it dropped everything
}

func (m *memory) Changed(id apikey.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.keys, id)
}

func (m *memory) ChangedAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.keys)
	m.alls++
}

func (m *memory) Trust(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = until
}

func (m *memory) remember(keys []apikey.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range keys {
		m.keys[id] = true
	}
}

// uses reports whether the cache would be used for a key, and whether it has the key at
// all.
func (m *memory) uses(id apikey.ID) (uses, remembers bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[id] && time.Now().Before(m.until), m.keys[id]
}

func (m *memory) trusts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.until)
}

func (m *memory) forgotten() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alls
}

func newIDs(n int) []apikey.ID {
	ids := make([]apikey.ID, n)
	for i := range ids {
		ids[i] = apikey.NewID()
	}
	return ids
}
