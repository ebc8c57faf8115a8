package client

import (
	"context"
	"fmt"
	"time"
)

// SetWait replaces how c waits before a retry.
func (c *Client) SetWait(wait func(context.Context, time.Duration) error) { c.wait = wait }

// SetNow replaces the clock of g's cache.
func (g *Guard) SetNow(now func() time.Time) { g.cache.now = now }

// Cached returns how many answers g has cached.
func (g *Guard) Cached() int {
	g.cache.mu.Lock()
	defer g.cache.mu.Unlock()
	return len(g.cache.answers)
}

// CacheText returns the content of g's cache.
func (g *Guard) CacheText() (text string) {
	g.cache.mu.Lock()
	defer g.cache.mu.Unlock()
	for e := g.cache.order.Front(); e != nil; e = e.Next() {
		text += fmt.Sprintf("%+v", e.Value)
	}
	return fmt.Sprint(text, g.cache.answers)
}
