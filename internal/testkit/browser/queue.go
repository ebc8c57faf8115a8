package browsertest

import (
	"strings"
	"sync"
	"testing"
)

// queue bounds how many tests use the browser at the same time. The zero queue is empty.
type queue struct {
	mu    sync.Mutex
	users map[string]int // the profiles of each top-level test that uses the browser
	left  sync.Cond      // a test no longer uses the browser
}

// admit counts a profile of a test until the test ends. It waits while atOnce other tests use the browser, but only for a
// test's first profile: tests that hold one profile each and wait for a second would wait for each other for ever. For
// the same reason, a subtest shares its parent's place.
func (q *queue) admit(t testing.TB) {
	test, _, _ := strings.Cut(t.Name(), "/")
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users == nil {
		q.users, q.left.L = make(map[string]int), &q.mu
	}
	for q.users[test] == 0 && len(q.users) >= atOnce {
		q.left.Wait()
	}
	q.users[test]++
	t.Cleanup(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.users[test]--; q.users[test] == 0 {
			delete(q.users, test)
			q.left.Broadcast()
		}
	})
}
