package lease

import (
	"maps"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// head is the last event of a chain.
type head struct {
	seq   int64
	event apikey.ID
}

// applied is how far the process's watcher has heard of changes.
type applied struct {
	mu      sync.Mutex
	watcher store.Watcher   // nil for none
	until   time.Time       // the cache is trusted
	heads   map[string]head // of each chain
}

// Watch tells a watcher of every change from now on.
func (a *applied) Watch(w store.Watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watcher = w
	w.Trust(a.until)
}

func (a *applied) trust(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = until
	if a.watcher != nil {
		a.watcher.Trust(until)
	}
}

func (a *applied) known() map[string]head {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.heads)
}

// tell tells the watcher what differs. The caller holds the lock.
func (a *applied) tell(keys []apikey.ID, all bool) {
	switch {
	case a.watcher == nil:
	case all:
		a.watcher.ChangedAll()
	default:
		for _, id := range keys {
			a.watcher.Changed(id)
		}
	}
}

// made applies a change that this process made.
func (a *applied) made(c Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tell(c.Keys, c.All)
	a.advance(c)
}

// hear applies a change that was announced, or a part of one, of which more follows.
func (a *applied) hear(c Change, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.heads[c.Chain].seq
	if c.To <= known {
		return // its head was read already, or the change was made here
	}
	missed := c.From > known+1
	a.tell(c.Keys, c.All || missed)
	if missed {
		a.set(c.Chain, head{c.From - 1, apikey.ID{}})
	}
	if !more {
		a.advance(c)
	}
}

// advance moves the head over a change that continues the chain.
func (a *applied) advance(c Change) {
	if known := a.heads[c.Chain].seq; c.From <= known+1 && known < c.To {
		a.set(c.Chain, head{c.To, c.Event})
	}
}

func (a *applied) set(chain string, h head) {
	if a.heads == nil {
		a.heads = make(map[string]head)
	}
	a.heads[chain] = h
}

// lacks reports whether these heads have changes that are not applied.
func (a *applied) lacks(heads map[string]head) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for chain, is := range heads {
		if a.heads[chain].seq < is.seq {
			return true
		}
	}
	return false
}

// reach applies everything up to the heads in the database, if some of it was not heard. It returns the chains
// whose heads moved. The database must have the heads that were known before it was asked. If it lacks one, it
// went back (to a standby without the last changes, or to a backup), and nothing cached is valid.
func (a *applied) reach(before, heads map[string]head) (moved map[string]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	moved = make(map[string]int64)
	for chain, was := range before {
		if is := heads[chain]; is.seq < was.seq || is.seq == was.seq && is.event != was.event {
			moved[chain] = is.seq
		}
	}
	for chain, is := range heads {
		if a.heads[chain].seq < is.seq {
			moved[chain] = is.seq
		}
	}
	if len(moved) == 0 {
		return nil
	}
	a.tell(nil, true)
	for chain := range moved {
		a.set(chain, heads[chain])
	}
	return moved
}
