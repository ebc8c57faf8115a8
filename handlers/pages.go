package handlers

import (
	"context"
	"fmt"
	"sync"

	"github.com/labstack/echo/v4"

	"apikeyd/store"
)

const (
	// maxPages limits the pages of lists in flight. The largest has 11 MB, and stays in memory until its
	// client has read it.
	maxPages = 32
	// maxPagesOfOwner limits them for each owner, so that a client that does not read blocks only its
	// own owner's lists.
	maxPagesOfOwner = 8
	// maxListsOfOwner limits an owner's lists in flight or waiting. One that waits costs little more than its
	// connection, so that a burst of lists is slow rather than refused.
	maxListsOfOwner = 512
)

// listing holds the operations that return a page.
var listing = map[string]bool{"listApiKeys": true, "listOwners": true, "listAuditEvents": true}

// pages limits the pages in flight. More wait, until the request's deadline.
type pages struct {
	all chan struct{} // slots of all owners

	mu     sync.Mutex
	owners map[string]*ownerPages
}

type ownerPages struct {
	slots chan struct{}
	users int // requests that hold a slot or wait
}

func newPages() *pages {
	return &pages{all: make(chan struct{}, maxPages), owners: make(map[string]*ownerPages)}
}

// bound is the guard of operations that return a page. It holds a slot until the whole answer is sent.
func (p *pages) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		release, err := p.enter(ctx, callerFrom(ctx).key.Owner)
		if err != nil {
			return err
		}
		defer release()
		return next(c)
	}
}

// enter waits for a slot. It returns the function that releases the slot, or store.ErrTooManyScans if too
// many requests wait already or ctx ends first.
func (p *pages) enter(ctx context.Context, owner string) (release func(), err error) {
	own, ok := p.join(owner)
	if !ok {
		return nil, store.ErrTooManyScans
	}
	if err := take(ctx, own.slots); err != nil {
		p.quit(owner)
		return nil, err
	}
	if err := take(ctx, p.all); err != nil {
		<-own.slots
		p.quit(owner)
		return nil, err
	}
	return func() {
		<-p.all
		<-own.slots
		p.quit(owner)
	}, nil
}

// take waits for a slot. It first tries without ctx.Done, which would start a timer.
func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrTooManyScans, ctx.Err())
	}
}

// join counts one more list of an owner. It reports false if there are too many.
func (p *pages) join(owner string) (own *ownerPages, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own = p.owners[owner]
	if own == nil {
		own = &ownerPages{slots: make(chan struct{}, maxPagesOfOwner)}
		p.owners[owner] = own
	}
	if own.users == maxListsOfOwner {
		return nil, false
	}
	own.users++
	return own, true
}

// quit counts one list less, and removes an owner without lists.
func (p *pages) quit(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.owners[owner]
	if own.users--; own.users == 0 {
		delete(p.owners, owner)
	}
}
