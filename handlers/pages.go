package handlers

import (
	"context"
	"sync"

	"github.com/labstack/echo/v4"
)

const (
	// maxPages is how many pages of lists may be made and sent at once. The largest has 11 MB,
	// and stays in memory until its client has read it.
	maxPages = 32
	// maxPagesOfOwner is how many of them one owner may have: a client that does not read holds
	// up its owner's lists, and nobody else's.
	maxPagesOfOwner = 8
)

// listing are the operations that answer with a page.
var listing = map[string]bool{"listApiKeys": true, "listAuditEvents": true}

// pages bounds the pages that are made and sent at once. Others wait, as long as a request may take.
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

// enter waits for a place and returns what gives it back, or the error of ctx.
func (p *pages) enter(ctx context.Context, owner string) (leave func(), err error) {
	own := p.join(owner)
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
		return ctx.Err()
	}
}

func (p *pages) join(owner string) *ownerPages {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.owners[owner]
	if own == nil {
		own = &ownerPages{slots: make(chan struct{}, maxPagesOfOwner)}
		p.owners[owner] = own
	}
	own.users++
	return own
}

// quit forgets an owner of whom nobody is left.
func (p *pages) quit(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.owners[owner]
	if own.users--; own.users == 0 {
		delete(p.owners, owner)
	}
}
