package handlers

import (
	"context"
	"fmt"
	"sync"

	"github.com/labstack/echo/v4"

	"apikeyd/store"
)

const (
	// maxPages is how many pages of lists may be made and sent at once. The largest has 11 MB,
	// and stays in memory until its client has read it.
	maxPages = 32
	// maxPagesOfOwner is how many of them one owner may have: a client that does not read holds
	// up its owner's lists, and nobody else's.
	maxPagesOfOwner = 8
	// maxListsOfOwner is how many lists of one owner may be made, sent or wait.
	maxListsOfOwner = 16
)

// listing holds the operations that answer with a page.
var listing = map[string]bool{"listApiKeys": true, "listAuditEvents": true}

// pages bounds the pages that are made and sent at once. A few others wait, as long as a request may take.
type pages struct {
	all chan struct{} // one for each page

	mu     sync.Mutex
	owners map[string]*ownerPages
}

type ownerPages struct {
	slots chan struct{}
	users int // that hold one or wait
}

func newPages() *pages {
	return &pages{all: make(chan struct{}, maxPages), owners: make(map[string]*ownerPages)}
}

// bound is the guard of operations that answer with a page. It holds its place until the
// whole answer is sent.
func (p *pages) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		leave, err := p.enter(ctx, callerFrom(ctx).key.Owner)
		if err != nil {
			return err
		}
		defer leave()
		return next(c)
	}
}

// enter waits for a place and returns what gives it back. If too many wait, or ctx ends first, it
// returns a store.ErrTooManyScans.
func (p *pages) enter(ctx context.Context, owner string) (leave func(), err error) {
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

// take waits for a place among slots. Mostly there is one, and no timer is needed.
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

// join counts one more list of an owner, unless there are too many.
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

// quit removes an owner that neither holds a place nor waits for one.
func (p *pages) quit(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.owners[owner]
	if own.users--; own.users == 0 {
		delete(p.owners, owner)
	}
}
