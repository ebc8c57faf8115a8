//go:build full

package cli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proofs makes changes, each on one node, and checks every node as soon as the change is answered:
// none may use the old state. A node that cannot ask answers 503.
type proofs struct {
	t     *testing.T
	site  *site
	meter *meter
	admin string
	next  atomic.Int64
	count atomic.Int64 // of proofs made

	abandoned atomic.Bool // no more are wanted

	mu    sync.Mutex
	stock []answer   // keys that every node remembers
	made  []question // what must be true for ever
}

// question is a check on a node about a changed key.
type question struct {
	*proofs
	secret, scope string
	code          string // what verify must say
	status        int    // what forward-auth must answer
}

// run makes proofs, four at a time, until this many were made and stop is closed.
func (p *proofs) run(least int, stop <-chan struct{}) {
	enough := p.count.Load() + int64(least)
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for deadline := time.Now().Add(5 * time.Minute); ; {
				select {
				case <-stop:
					if p.count.Load() >= enough {
						return
					}
				default:
				}
				if p.abandoned.Load() {
					return
				}
				// A call to a disconnected node may wait long.
				if !p.prove(p.site.pick(client == 0)) && time.Now().After(deadline) {
					p.t.Errorf("only %d changes could be proven", p.count.Load())
					return
				}
			}
		})
	}
	clients.Wait()
}

// more waits until this many more were made.
func (p *proofs) more() {
	p.t.Helper()
	enough := p.count.Load() + 4
	p.site.eventually("changes are made", func() bool { return p.count.Load() >= enough })
}

// prove makes one change on a node. It reports whether it was answered, and so gave a proof.
func (p *proofs) prove(at *server) bool {
	created, known := p.take()
	if !known {
		var err error
		if created, err = p.create(); err != nil {
			time.Sleep(20 * time.Millisecond)
			return false
		}
	}
	path, secret := "/v1/api-keys/"+created.ID, created.Secret
	var change func() (answer, error)
	questions := []question{{p, secret, "", "REVOKED", http.StatusUnauthorized}}
	switch rand.IntN(5) {
	case 0, 1:
		change = func() (answer, error) { return at.try("DELETE", path, p.admin, "") }
	case 2:
		change = func() (answer, error) {
			return at.try("POST", "/v1/leaked-keys", "", fmt.Sprintf(`{"key":%q}`, secret))
		}
	case 3:
		change = func() (answer, error) { return at.try("POST", path+"/rotate", p.admin, `{"grace_seconds":0}`) }
		questions = []question{{p, secret, "", "NOT_FOUND", http.StatusUnauthorized}}
	case 4:
		change = func() (answer, error) { return at.try("PATCH", path, p.admin, `{"scopes":["reports:read"]}`) }
		questions = []question{
			{p, secret, "reports:write", "INSUFFICIENT_SCOPE", http.StatusForbidden},
			{p, secret, "reports:read", "VALID", http.StatusOK},
		}
	}
	end := p.remind(secret, known)
	began := time.Now()
	a, err := change()
	took := time.Since(began)
	defer end()
	if err != nil || a.status/100 != 2 {
		if err == nil && a.status != http.StatusServiceUnavailable {
			p.t.Errorf("a change is answered with %d: %s", a.status, a.body)
		}
		return false
	}
	if a.Secret != "" {
		questions = append(questions, question{p, a.Secret, "", "VALID", http.StatusOK})
	}
	p.meter.add(func(r *faultRow) { r.proven, r.slowest = r.proven+1, max(r.slowest, took) })
	p.everywhere(questions)
	p.count.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append(p.made, questions...)
	return true
}

func (p *proofs) create() (answer, error) {
	a, err := p.site.front.try("POST", "/v1/api-keys", p.admin, fmt.Sprintf(
		`{"name":"proof %d","expires_at":"2999-12-31T00:00:00Z","scopes":["reports:read","reports:write"]}`, p.next.Add(1)))
	if err == nil && a.status != http.StatusCreated {
		err = errors.New(a.body)
	}
	return a, err
}

// fill creates keys that every node caches, to be changed during a fault: a node that is disconnected
// afterwards has their old state.
func (p *proofs) fill(n int) {
	p.t.Helper()
	for range n {
		created, err := p.create()
		must(p.t, err)
		p.remind(created.Secret, false)()
		p.stock = append(p.stock, created)
	}
}

func (p *proofs) take() (key answer, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok = len(p.stock) > 0; ok {
		key = p.stock[0]
		p.stock = p.stock[1:]
	}
	return key, ok
}

// everywhere asks all nodes at once.
func (p *proofs) everywhere(questions []question) {
	var looks sync.WaitGroup
	for _, n := range p.site.each() {
		for _, q := range questions {
			looks.Go(func() { q.ask(n, q.verdict) })
			looks.Go(func() { q.ask(n, q.forwardAuth) })
		}
	}
	looks.Wait()
}

// ask asks one node until it no longer answers as before the change.
func (q question) ask(n *server, look func(*server) (said string, known, right bool)) {
	began := time.Now()
	for told := false; ; told = true {
		said, known, right := look(n)
		switch {
		case !known && !told:
			q.meter.add(func(r *faultRow) { r.waived++ })
		case known && !right:
			if !told {
				q.meter.add(func(r *faultRow) { r.stale++ })
				q.t.Errorf("after the answer to a change that must make it %s, %s says %s", q.code, n.url, said)
			}
			q.meter.add(func(r *faultRow) { r.oldest = max(r.oldest, time.Since(began)) })
			if time.Since(began) < patience {
				continue
			}
		}
		return
	}
}

func (q question) verdict(n *server) (said string, known, right bool) {
	scopes := "[]"
	if q.scope != "" {
		scopes = fmt.Sprintf("[%q]", q.scope)
	}
	a, err := n.try("POST", "/v1/verify", q.admin, fmt.Sprintf(`{"key":%q,"scopes":%s}`, q.secret, scopes))
	known = err == nil && a.status != http.StatusServiceUnavailable
	return fmt.Sprint(a.status, " ", a.Code), known, a.status == http.StatusOK && a.Code == q.code
}

func (q question) forwardAuth(n *server) (said string, known, right bool) {
	path := "/v1/forward-auth"
	if q.scope != "" {
		path += "?scope=" + q.scope
	}
	a, _ := n.try("GET", path, q.secret, "") // there is no body to read
	known = a.status != 0 && a.status != http.StatusServiceUnavailable
	return fmt.Sprint(a.status), known, a.status == q.status
}

// remind has every node remember a key, unless they do, and be asked for it until the end, so
// that one may be reading it whenever it is changed. Whoever waits long for an answer waits
// longer before it asks again: else these questions alone could keep a small machine busy, and
// nodes from renewing their leases and from starting.
func (p *proofs) remind(secret string, known bool) (end func()) {
	stop := make(chan struct{})
	var first, asking sync.WaitGroup
	for _, n := range p.site.each() {
		first.Add(1)
		asking.Go(func() {
			ask := func() (took time.Duration) {
				began := time.Now()
				_, _ = n.try("GET", "/v1/forward-auth", secret, "")
				return time.Since(began)
			}
			took := ask()
			first.Done()
			for {
				select {
				case <-stop:
					return
				case <-time.After(max(5*time.Millisecond, 3*took)):
					took = ask()
				}
			}
		})
	}
	if !known {
		first.Wait()
	}
	return func() {
		close(stop)
		asking.Wait()
	}
}

// check asks again, of nodes that all can answer.
func (p *proofs) check() {
	p.t.Helper()
	nodes := p.site.each()
	for i, q := range p.made {
		if said, _, right := q.verdict(nodes[i%len(nodes)]); !right {
			p.t.Errorf("a change that was answered is lost: %s instead of %s", said, q.code)
		}
	}
}
