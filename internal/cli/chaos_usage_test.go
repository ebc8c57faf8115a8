//go:build full

package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

var usageKills = flag.Int("usage-kills", 1, "how often the chaos tests of usage kill each of four services, and each of three nodes")

const (
	// flushedWithin is how late counts may be written. The service's ten seconds, and what a busy machine adds.
	flushedWithin = 11 * time.Second
	// usagePause is how long a client of these tests waits between calls.
	usagePause = 20 * time.Millisecond
)

// usageCall is a verification as its client saw it.
type usageCall struct {
	key      int    // whose secret it was; negative for nobody's
	code     string // of the answer; if there was none, the code that was to be expected
	answered time.Time
	node     int // that answered
	lives    int // how often that node was killed before
}

// usageNodes are services with one database, and what clients saw of their counts.
type usageNodes struct {
	t       *testing.T
	args    [][]string // of each node
	admin   string
	secrets []string // of keys; the last one is revoked
	ids     []string

	mu    sync.Mutex
	nodes []*server
	calls []usageCall
	kills []map[int]time.Time // when each node was killed, by its lives
}

func newUsageNodes(t *testing.T, dir string, args ...[]string) *usageNodes {
	u := &usageNodes{t: t, args: args, kills: make([]map[int]time.Time, len(args))}
	for i := range args {
		u.nodes = append(u.nodes, serve(t, dir, args[i]...))
		u.kills[i] = make(map[int]time.Time)
	}
	u.admin = u.nodes[0].adminKey()
	for i := range 3 {
		key := u.nodes[0].want(http.StatusCreated, "POST", "/v1/api-keys", u.admin, fmt.Sprintf(
			`{"owner":"acme","name":"%d","expires_at":%q,"scopes":["a"]}`, i, time.Now().Add(time.Hour).Format(time.RFC3339)))
		u.secrets, u.ids = append(u.secrets, key.Secret), append(u.ids, key.ID)
	}
	u.nodes[0].want(http.StatusOK, "DELETE", "/v1/api-keys/"+u.ids[2], u.admin, "")
	return u
}

// ask makes a call of a random kind to a node.
func (u *usageNodes) ask(node int) {
	u.mu.Lock()
	s, c := u.nodes[node], usageCall{key: rand.IntN(4) - 1, node: node, lives: len(u.kills[node])}
	u.mu.Unlock()
	secret, scope := "nobody's", `"a"`
	if c.key >= 0 {
		secret, c.code = u.secrets[c.key], "VALID"
		if rand.IntN(3) == 0 {
			scope, c.code = `"b"`, "INSUFFICIENT_SCOPE"
		}
	}
	switch c.key {
	case -1:
		c.code = "NOT_FOUND"
	case 2:
		c.code = "REVOKED"
	}
	a, err := s.try("POST", "/v1/verify", u.admin, fmt.Sprintf(`{"key":%q,"scopes":[%s]}`, secret, scope))
	if err == nil && a.status == http.StatusOK {
		c.answered = time.Now()
		if a.Code != c.code {
			u.t.Errorf("a call is answered %s, want %s", a.body, c.code)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, c)
}

// kill ends a node and starts it again.
func (u *usageNodes) kill(node int) {
	u.mu.Lock()
	s := u.nodes[node]
	u.mu.Unlock()
	at := time.Now()
	s.kill()
	again := serveWith(u.t, s.dir, nil, append([]string{"--listen", strings.TrimPrefix(s.url, "http://")}, u.args[node]...)...)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kills[node][len(u.kills[node])] = at
	u.nodes[node] = again
}

// during runs clients of all nodes while something happens.
func (u *usageNodes) during(happens func()) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for node := range u.nodes {
		for range 2 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(usagePause):
						u.ask(node)
					}
				}
			})
		}
	}
	happens()
	close(stop)
	clients.Wait()
}

// check compares the counts of two days with what clients saw: none is higher than what was sent, and only counts of
// the last seconds before a kill are missing. It returns how many calls there were, and how many counts are missing.
func (u *usageNodes) check() (calls, missing int) {
	u.t.Helper()
	type bounds struct{ least, seen, most int }
	want := make(map[string]map[string]*bounds) // by path and code
	paths := map[string]func(usageCall) bool{
		"/v1/usage": func(usageCall) bool { return true }, "/v1/usage?owner=acme": func(c usageCall) bool { return c.key >= 0 },
	}
	for i, id := range u.ids {
		paths["/v1/api-keys/"+id+"/usage"] = func(c usageCall) bool { return c.key == i }
	}
	for path, counts := range paths {
		want[path] = make(map[string]*bounds)
		for _, c := range u.calls {
			if !counts(c) {
				continue
			}
			b := want[path][c.code]
			if b == nil {
				b = new(bounds)
				want[path][c.code] = b
			}
			b.most++
			if c.answered.IsZero() {
				continue
			}
			b.seen++
			if killed, ok := u.kills[c.node][c.lives]; !ok || c.answered.Before(killed.Add(-flushedWithin)) {
				b.least++
			}
		}
	}
	s := u.nodes[0]
	since := time.Now().UTC().AddDate(0, 0, -1).Format(time.RFC3339)
	for path := range paths {
		query := "?"
		if strings.Contains(path, "?") {
			query = "&"
		}
		a := s.want(http.StatusOK, "GET", path+query+"interval=day&since="+since, u.admin, "")
		var usage struct {
			Data []struct{ Codes map[string]int }
		}
		must(u.t, json.Unmarshal([]byte(a.body), &usage))
		got := make(map[string]int)
		for _, day := range usage.Data {
			for code, n := range day.Codes {
				got[code] += n
			}
		}
		for code, b := range want[path] {
			if n := got[code]; n < b.least || n > b.most {
				u.t.Errorf("%s: %d decisions are %s, want %d to %d", path, n, code, b.least, b.most)
			}
			if path == "/v1/usage" {
				missing += max(b.seen-got[code], 0)
			}
			delete(got, code)
		}
		if len(got) > 0 {
			u.t.Errorf("%s also has %v", path, got)
		}
	}
	return len(u.calls), missing
}

// stop ends all nodes in an orderly way, so that everything is written, and starts the first again.
func (u *usageNodes) stop() {
	for _, s := range u.nodes {
		must(u.t, s.terminate())
	}
	u.nodes[0] = serveWith(u.t, u.nodes[0].dir, nil, append([]string{"--listen", "127.0.0.1:0"}, u.args[0]...)...)
}

// life is how long a node lives until it is killed: mostly longer than it takes until counts are written.
func life() time.Duration { return 8*time.Second + rand.N(10*time.Second) }

// kill -9 of services with SQLite loses at most the counts of the last ten seconds, and makes none up.
func TestChaosUsage(t *testing.T) {
	t.Parallel()
	var services sync.WaitGroup
	var mu sync.Mutex
	calls, missing, kills := 0, 0, 0
	for range 4 {
		u := newUsageNodes(t, t.TempDir(), []string{"--auth-failures-per-minute", "0"})
		services.Go(func() {
			for range *usageKills {
				u.during(func() {
					time.Sleep(life())
					u.kill(0)
				})
				u.check() // before the first count of the new process is written
			}
			u.stop()
			n, lost := u.check()
			mu.Lock()
			defer mu.Unlock()
			calls, missing, kills = calls+n, missing+lost, kills+len(u.kills[0])
		})
	}
	services.Wait()
	t.Logf("%d kills, %d calls, of which %d are not counted, %.1f seconds' worth for each kill", kills, calls, missing,
		float64(missing)/float64(kills)/(2/usagePause.Seconds()))
}

// The same with three nodes on one PostgreSQL, of which one is killed at a time.
func TestChaosUsageOfNodes(t *testing.T) {
	t.Parallel()
	url := postgrestest.Start(t).Database(t)
	var args [][]string
	for _, name := range []string{"a", "b", "c"} {
		args = append(args, []string{"--database", url, "--node", name, "--admin-key-file", "admin.key", "--auth-failures-per-minute", "0"})
	}
	u := newUsageNodes(t, t.TempDir(), args...)
	u.during(func() {
		time.Sleep(life())
		for i := range 3 * *usageKills {
			u.kill(i % 3)
			time.Sleep(life() / 3)
		}
	})
	u.stop()
	calls, missing := u.check()
	t.Logf("%d kills, %d calls, of which %d are not counted", 3**usageKills, calls, missing)
}
