package client_test

import (
	"fmt"
	"sync"
	"testing"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			c := k.admin
			if worker%2 == 1 {
				c = c.ForOwner(fmt.Sprint("owner ", worker))
			}
			for i := range 5 {
				name := fmt.Sprintf("%d/%d", worker, i)
				created, err := c.Create(t.Context(), client.NewKey{Name: name, ExpiresAt: inAnHour()})
				if err != nil {
					t.Error(err)
					return
				}
				changed, err := c.Update(t.Context(), name, client.Change{Name: new(name + "b")})
				if err != nil || changed.ID != created.ID {
					t.Errorf("%s: %v", name, err)
				}
				if revoked, err := c.Revoke(t.Context(), created.ID); err != nil || revoked.ID != created.ID {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := names(t.Context(), c, client.ListOptions{PageSize: 7}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := names(t.Context(), k.admin, client.ListOptions{})
	must(t, err)
	if len(all) != 1+8*5 {
		t.Errorf("%d keys", len(all))
	}
}
