package handlers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"apikeyd/store"
)

// Lists that a client does not read block a bounded number of its owner's lists, and no other owner's.
func TestPagesOfAnOwner(t *testing.T) {
	t.Parallel()
	p := newPages()
	var leave []func()
	for range maxPagesOfOwner {
		l, err := p.enter(t.Context(), "slow")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	waiting := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.owners["slow"].users - maxPagesOfOwner
	}
	ctx, end := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	for range maxListsOfOwner - maxPagesOfOwner {
		waiters.Go(func() {
			if _, err := p.enter(ctx, "slow"); !errors.Is(err, store.ErrTooManyScans) {
				t.Errorf("who waited in vain is told %v", err)
			}
		})
	}
	for waiting() < maxListsOfOwner-maxPagesOfOwner {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.enter(t.Context(), "slow"); !errors.Is(err, store.ErrTooManyScans) {
		t.Errorf("one too many is told %v", err)
	}
	other, err := p.enter(t.Context(), "other")
	if err != nil {
		t.Fatalf("another owner is told %v", err)
	}
	other()
	end()
	waiters.Wait()
	for _, l := range leave {
		l()
	}
	if len(p.owners) != 0 || len(p.all) != 0 {
		t.Errorf("%d owners and %d pages are left", len(p.owners), len(p.all))
	}
}
