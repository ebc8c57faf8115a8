package client

import (
	"context"
	"time"
)

// SetWait replaces how c waits before it tries again.
func (c *Client) SetWait(wait func(context.Context, time.Duration) error) { c.wait = wait }
