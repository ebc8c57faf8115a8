package client

import (
	"context"
	"fmt"
	"time"
)

// SetWait replaces how c waits before it tries again.
func (c *Client) SetWait(wait func(context.Context, time.Duration) error) { c.wait = wait }

// SetNow replaces the clock by which g reuses answers.
func (g *Guard) SetNow(now func() time.Time) { g.cache.now = now }

// Remembered returns how many answers g keeps, and all that it keeps of them.
func (g *Guard) Remembered() (int, string) {
	g.cache.mu.Lock()
	defer g.cache.mu.Unlock()
	return len(g.cache.answers), fmt.Sprintf("%+v", g.cache.answers)
}
