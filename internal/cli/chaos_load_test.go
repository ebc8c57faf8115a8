//go:build full

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is many clients that change keys on a server and record the answers.
type load struct {
	t    *testing.T
	next atomic.Int64 // names are numbered

	// seen, if set, is called with each answer, and clients continue when a call gets none: there is
	// more than one server.
	seen func(status int, err error)

	mu      sync.Mutex
	keys    []*tracked
	unmade  []string       // names of keys whose creation was refused
	acked   map[string]int // changes by kind
	refused map[string]int // answered with 503, and so not made
	unknown map[string]int // answered with OUTCOME_UNKNOWN
	silent  map[string]int // not answered
}

// tracked is a key according to the answers. One client changes it, one change at a time.
type tracked struct {
	id, secret string
	ended      []string // secrets that a rotation ended
	changes    int      // acknowledged ones
	state
	unsure *state // the state if the last, unanswered change was made
}

// state is the visible state of a key. It is zero if there is no key.
type state struct {
	name    string
	version string // in its metadata: reveals a partial change
	status  string
	code    string // the result of verifying its secret, if that is known
}

func newLoad(t *testing.T) *load {
	return &load{t: t, acked: map[string]int{}, refused: map[string]int{}, unknown: map[string]int{}, silent: map[string]int{}}
}

// run has clients change keys until the server closes their connections or stop is closed, and calls
// made after each acknowledged change.
func (l *load) run(s *server, clients int, stop <-chan struct{}, made func()) {
	admin := s.adminKey()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			var mine []*tracked
			for {
				select {
				case <-stop:
					return
				default:
				}
				key, kind := &tracked{}, "create"
				if len(mine) > 0 && rand.IntN(3) > 0 {
					key = mine[rand.IntN(len(mine))]
					kind = []string{"update", "update", "rotate", "revoke"}[rand.IntN(4)]
				}
				if key.status == "REVOKED" || key.unsure != nil {
					continue
				}
				acknowledged, err := l.change(s, admin, kind, key)
				switch {
				case err != nil && l.seen != nil:
					time.Sleep(50 * time.Millisecond)
				case err != nil:
					return // the server is gone
				case acknowledged && kind == "create":
					mine = append(mine, key)
				}
				if acknowledged {
					made()
				}
			}
		})
	}
	wg.Wait()
}

// change makes one change. It returns an error if there was no answer.
func (l *load) change(s *server, admin, kind string, key *tracked) (acknowledged bool, err error) {
	path, after := "/v1/api-keys/"+key.id, key.state
	method, body := "POST", ""
	switch kind {
	case "create":
		path = "/v1/api-keys"
		after = state{name: fmt.Sprint("key ", l.next.Add(1)), version: "0", status: "ACTIVE"}
		body = fmt.Sprintf(`{"name":%q,"expires_at":"2999-12-31T00:00:00Z","metadata":{"version":"0"}}`, after.name)
	case "update":
		method = "PATCH"
		after.name, after.version = fmt.Sprint("key ", l.next.Add(1)), fmt.Sprint(l.next.Add(1))
		body = fmt.Sprintf(`{"name":%q,"metadata":{"version":%q}}`, after.name, after.version)
	case "rotate":
		path += "/rotate"
		body = `{"grace_seconds":0}`
		after.code = "NOT_FOUND"
	case "revoke":
		method = "DELETE"
		after.status, after.code = "REVOKED", "REVOKED"
	}
	a, err := s.try(method, path, admin, body)
	if l.seen != nil {
		l.seen(a.status, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		key.unsure = &after
		l.silent[kind]++
	case a.status == http.StatusServiceUnavailable && a.Code != "OUTCOME_UNKNOWN":
		l.refused[kind]++
		if kind == "create" {
			l.unmade = append(l.unmade, after.name)
		}
		return false, nil
	case a.status == http.StatusServiceUnavailable:
		l.unknown[kind]++
		key.unsure = &after
	case a.status/100 != 2:
		l.t.Errorf("%s: status %d: %s", kind, a.status, a.Message)
		return false, errors.New(a.Message)
	default:
		l.acked[kind]++
		key.acknowledge(after, a)
	}
	if kind == "create" {
		l.keys = append(l.keys, key)
	}
	return key.unsure == nil, err
}

// acknowledge records what an answer says.
func (k *tracked) acknowledge(after state, a answer) {
	k.state = after
	k.changes++
	if a.Secret == "" {
		return
	}
	if k.secret != "" {
		k.ended = append(k.ended, k.secret)
	}
	k.id, k.secret, k.code = a.ID, a.Secret, "VALID"
}

// check compares the server's keys with what was acknowledged. An unanswered change is complete or
// absent; if silence is final, it is absent.
func (l *load) check(s *server, keys []*tracked, silenceIsFinal bool) {
	l.t.Helper()
	admin := s.adminKey()
	for _, key := range keys {
		got := l.observe(s, admin, key)
		switch {
		case got == key.state:
		case key.unsure != nil && got == *key.unsure && !silenceIsFinal:
			key.state = got
		default:
			l.t.Errorf("key %s is %+v, acknowledged was %+v, unsure %+v", key.id, got, key.state, key.unsure)
		}
		for _, ended := range key.ended {
			if code := s.verdict(admin, ended); code != "NOT_FOUND" {
				l.t.Errorf("a secret of key %s that was rotated out is %s", key.id, code)
			}
		}
	}
}

func (l *load) observe(s *server, admin string, key *tracked) state {
	l.t.Helper()
	ref := key.id
	if ref == "" { // its id is unknown
		ref = key.unsure.name
	}
	a := s.call("GET", "/v1/api-keys/"+url.PathEscape(ref), admin, "")
	if a.status == http.StatusNotFound {
		return state{}
	}
	got := state{name: a.Name, version: a.Metadata["version"], status: fmt.Sprint(a.Status)}
	if key.secret != "" {
		got.code = s.verdict(admin, key.secret)
	}
	return got
}

// verdict returns the result of verifying a secret.
func (s *server) verdict(admin, secret string) string {
	s.t.Helper()
	return s.want(http.StatusOK, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, secret)).Code
}

// checkAudit compares the audit log with what was acknowledged: one event for each change, none for
// changes that were not made, in an intact chain.
func (l *load) checkAudit(s *server, database ...string) {
	l.t.Helper()
	s.command(append([]string{"audit", "verify"}, database...)...)
	events := map[string]int{}
	for line := range strings.Lines(s.command(append([]string{"audit", "export"}, database...)...)) {
		var event struct {
			Key string `json:"key_id"`
		}
		must(l.t, json.Unmarshal([]byte(line), &event))
		events[event.Key]++
	}
	for _, key := range l.keys {
		if key.id == "" {
			continue
		}
		if n := events[key.id]; n != key.changes && (key.unsure == nil || n != key.changes+1) {
			l.t.Errorf("the audit log has %d events of key %s, of which %d changes were acknowledged", n, key.id, key.changes)
		}
	}
}

// checkRefused checks that keys whose creation was refused are neither in the database nor in the
// audit log.
func (l *load) checkRefused(s *server, database ...string) {
	l.t.Helper()
	admin := s.adminKey()
	log := s.command(append([]string{"audit", "export"}, database...)...)
	for _, name := range l.unmade {
		if a := s.call("GET", "/v1/api-keys/"+url.PathEscape(name), admin, ""); a.status != http.StatusNotFound {
			l.t.Errorf("%s was refused, and is there: %s", name, a.body)
		}
		if strings.Contains(log, fmt.Sprintf("%q", name)) {
			l.t.Errorf("%s was refused, and is in the audit log", name)
		}
	}
}

// refusals returns how many changes were answered with 503.
func (l *load) refusals() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kinds := range []map[string]int{l.refused, l.unknown} {
		for _, of := range kinds {
			n += of
		}
	}
	return n
}

// report logs the changes and their outcomes.
func (l *load) report(fault string, rounds int) {
	l.t.Logf("%s, %d rounds: acknowledged %v, lost none; refused with 503 and not made %v; outcome unknown %v; not answered %v",
		fault, rounds, l.acked, l.refused, l.unknown, l.silent)
}
