package handlers_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"apikeyd/apikey"
	"apikeyd/store"
)

// rounds is how often each test below ends a secret: a few times in make test, 50 times in make test-all,
// and as requested in make linearizability.
var rounds = flag.Int("rounds", defaultRounds, "how often the linearizability tests end a secret")

// While many clients use a key, its secret is ended. All requests that begin after the answer are refused,
// and requests in flight commit no change.
func TestRevocationIsLinearizable(t *testing.T) {
	t.Parallel()
	newRace(t).run(store.ActionRevoke, func(r *race, target key) key {
		r.want(200, r.call(http.MethodDelete, keyPath(target.ID), r.admin.Secret, ""))
		return key{}
	})
}

func TestRotationIsLinearizable(t *testing.T) {
	t.Parallel()
	newRace(t).run(store.ActionRotate, func(r *race, target key) key {
		answer := r.call(http.MethodPost, keyPath(target.ID)+"/rotate", r.admin.Secret, "")
		r.want(200, answer)
		return target.with(decode[key](answer).Secret)
	})
}

func TestLeakReportIsLinearizable(t *testing.T) {
	t.Parallel()
	newRace(t).run(store.ActionLeak, func(r *race, target key) key {
		r.want(202, r.call(http.MethodPost, "/v1/leaked-keys", "", fields{"key": target.Secret}.json()))
		return key{}
	})
}

// race has many clients of one service.
type race struct {
	*kit
	verifier key // may verify any key
	client   *http.Client
}

func newRace(t *testing.T) *race {
	t.Helper()
	k := newKit(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 16} // else most calls open a new connection
	t.Cleanup(transport.CloseIdleConnections)
	return &race{kit: k, verifier: k.add("gateway", "verifier", apikey.ScopeVerify), client: &http.Client{Transport: transport}}
}

// call sends one request without the kit's checks, which would take most of the time.
func (r *race) call(method, path, secret, body string) response {
	r.Helper()
	answer := response{k: r.kit, request: request{method: method, path: path}}
	sent, err := http.NewRequestWithContext(r.Context(), method, "http://"+r.host+path, strings.NewReader(body))
	if err != nil {
		r.Error(err)
		return answer
	}
	sent.Header.Set("Content-Type", "application/json")
	if secret != "" {
		sent.Header.Set("X-Api-Key", secret)
	}
	received, err := r.client.Do(sent)
	if err != nil {
		r.Error(err)
		return answer
	}
	defer func() { _ = received.Body.Close() }() // after it was read
	answer.status, answer.header = received.StatusCode, received.Header
	if answer.raw, err = io.ReadAll(received.Body); err != nil {
		r.Error(err)
	}
	return answer
}

func (r *race) want(status int, answer response) {
	r.Helper()
	if answer.status != status {
		r.Errorf("%s: status %d, want %d: %s", answer.request, answer.status, status, answer.raw)
	}
}

// ways are the ways to use a secret. Each reports whether the secret was accepted.
func (r *race) ways(target key) map[string]func() bool {
	question := fields{"key": target.Secret}.json()
	newName := func() string {
		return fields{"name": "key " + apikey.NewID().String(), "expires_at": r.in(3.6e12)}.json()
	}
	refused := func(answer response) bool {
		if answer.status >= 500 {
			r.Errorf("%s: status %d: %s", answer.request, answer.status, answer.raw)
		}
		return answer.status == http.StatusUnauthorized
	}
	return map[string]func() bool{
		"verify": func() bool {
			answer := r.call(http.MethodPost, "/v1/verify", r.verifier.Secret, question)
			r.want(200, answer)
			return decode[verdict](answer).Valid
		},
		"forward-auth": func() bool { return !refused(r.call(http.MethodGet, forwardPath, target.Secret, "")) },
		"get":          func() bool { return !refused(r.call(http.MethodGet, keyPath(target.ID), target.Secret, "")) },
		"create":       func() bool { return !refused(r.call(http.MethodPost, keysPath, target.Secret, newName())) },
		"update": func() bool {
			body := fields{"metadata": fields{"at": apikey.NewID().String()}}.json()
			return !refused(r.call(http.MethodPatch, keyPath(target.ID), target.Secret, body))
		},
	}
}

// run ends one secret each round. At the end it checks that no change that the secret's holder began in time
// was committed too late.
func (r *race) run(action string, end func(*race, key) key) {
	r.Helper()
	for round := range *rounds {
		target := r.add("team", fmt.Sprint("target ", round), apikey.ScopeRead, apikey.ScopeWrite)
		renewed := r.round(target, end)
		if renewed.Secret != "" {
			r.secrets.add(renewed.Secret)
			r.want(200, r.call(http.MethodGet, forwardPath, renewed.Secret, ""))
		}
		if r.Failed() {
			r.Fatalf("in round %d", round)
		}
	}
	r.wantNothingAfter(action)
}

// round uses a key in all ways concurrently, until a little after its secret was ended.
func (r *race) round(target key, end func(*race, key) key) (renewed key) {
	const after = 3 // how often each tries again
	var wg, good sync.WaitGroup
	var ended atomic.Bool
	for way, use := range r.ways(target) {
		good.Add(1)
		wg.Go(func() {
			var once sync.Once
			defer once.Do(good.Done)
			if !use() {
				r.Errorf("%s: the secret was not good to begin with", way)
				return
			}
			once.Do(good.Done)
			for tries := 0; tries < after; {
				late := ended.Load() // before the call begins
				if accepted := use(); accepted && late {
					r.Errorf("%s: the secret was taken after its end was answered", way)
					return
				}
				if late {
					tries++
				}
			}
		})
	}
	good.Wait() // until every way succeeded once, so that the end comes during use
	renewed = end(r, target)
	ended.Store(true)
	wg.Wait()
	return renewed
}

// wantNothingAfter reads the audit log, newest first, which is in commit order. No key may act after the event
// that ended it.
func (r *race) wantNothingAfter(action string) {
	r.Helper()
	events, err := r.db.AuditEvents(r.Context(), store.EventQuery{Limit: 1 << 30})
	r.must(err)
	acted := map[apikey.ID]bool{}
	ends, changes := 0, 0
	for _, event := range events {
		if event.Action == action {
			ends++
			if acted[event.Key] {
				r.Errorf("%s changed something after its %s", event.Name, action)
			}
			continue // the actor of a report is the key itself
		}
		if !event.Actor.IsZero() && event.Actor.String() != r.admin.ID {
			acted[event.Actor] = true
			changes++
		}
	}
	if ends != *rounds || changes < *rounds {
		r.Errorf("%d ends and %d changes in %d rounds: too few to show anything", ends, changes, *rounds)
	}
}
