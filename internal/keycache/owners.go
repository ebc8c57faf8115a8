package keycache

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

// owners caches the settings of owners, for as long as the keys are trusted. An owner without settings is cached
// too. If no owner has any, a decision costs a look at one flag.
type owners struct {
	none  atomic.Bool // no owner has settings
	parts [shards]ownersPart

	mu      sync.Mutex // held for all changes
	changes uint64
	held    int
}

// ownersPart is a part of the cache, with a lock for its readers.
type ownersPart struct {
	mu    sync.RWMutex
	known map[uint64]knownOwner // by the hash of its name
}

// knownOwner is an owner as the source has it.
type knownOwner struct {
	name  string
	owner *apikey.Owner // nil if it has no settings
}

// ownerHash returns the part of an OwnerID that differs between owners.
func ownerHash(id apikey.ID) uint64 { return binary.BigEndian.Uint64(id[len(id)-8:]) }

// Owner returns an owner that has settings, or nil. It is read-only. The error is the source's.
func (c *Cache) Owner(ctx context.Context, name string, now time.Time) (*apikey.Owner, error) {
	o, trusted := &c.owners, c.trusts(now)
	if trusted && o.none.Load() {
		return nil, nil
	}
	id := apikey.OwnerID(name)
	if trusted {
		if known, ok := o.find(id); ok && known.name == name {
			return known.owner, nil
		}
	}
	changes := o.count()
	settings, none, err := c.source.OwnerSettings(ctx, name)
	if err != nil {
		return nil, err
	}
	known := knownOwner{name: strings.Clone(name)} // the key's shares memory with other texts
	if !settings.IsDefault() {
		known.owner = &apikey.Owner{Name: known.name, OwnerSettings: settings}
	}
	o.keep(id, known, none, changes, c.max)
	return known.owner, nil
}

func (o *owners) find(id apikey.ID) (knownOwner, bool) {
	p := &o.parts[shardOf(id)]
	p.mu.RLock()
	defer p.mu.RUnlock()
	known, ok := p.known[ownerHash(id)]
	return known, ok
}

func (o *owners) count() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changes
}

// keep caches an owner, and whether no owner has settings, that were read when the count was changes. Most is
// how many owners may be cached; a full cache loses a part.
func (o *owners) keep(id apikey.ID, known knownOwner, none bool, changes uint64, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes != changes || most == 0 {
		return
	}
	if none {
		o.none.Store(true)
		return
	}
	p := &o.parts[shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || o.held >= most {
		o.held -= len(p.known)
		p.known = make(map[uint64]knownOwner)
	}
	before := len(p.known)
	p.known[ownerHash(id)] = known
	o.held += len(p.known) - before
}

// changed forgets an owner.
func (o *owners) changed(id apikey.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes++
	o.none.Store(false)
	p := &o.parts[shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.known)
	delete(p.known, ownerHash(id))
	o.held += len(p.known) - before
}

// changedAll forgets all owners.
func (o *owners) changedAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes++
	o.none.Store(false)
	for i := range o.parts {
		p := &o.parts[i]
		p.mu.Lock()
		p.known = nil
		p.mu.Unlock()
	}
	o.held = 0
}

// Owners returns how many owners are cached.
func (c *Cache) Owners() int {
	c.owners.mu.Lock()
	defer c.owners.mu.Unlock()
	return c.owners.held
}
