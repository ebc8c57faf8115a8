//go:build full

package cli

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// quotaNodes are one or more nodes that count quotas together.
type quotaNodes struct {
	t     *testing.T
	dir   string
	mu    sync.Mutex
	nodes []*server
	args  [][]string // of each node
}

// any returns a node and its number.
func (q *quotaNodes) any() (int, *server) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := rand.IntN(len(q.nodes))
	return i, q.nodes[i]
}

// kill ends a node, and starts it again.
func (q *quotaNodes) kill() {
	i, s := q.any()
	s.kill()
	again := serveWith(q.t, q.dir, nil, append([]string{"--listen", strings.TrimPrefix(s.url, "http://")}, q.args[i]...)...)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nodes[i] = again
}

// quotaUse is what clients know of the use of the quota of a key, or of an owner with several.
type quotaUse struct {
	secrets []string
	limit   int64
	granted atomic.Int64 // units of calls that passed
	unknown atomic.Int64 // units of calls without an answer, which may have been used
}

// verify makes a call, and reports whether the quota is used up.
func (u *quotaUse) verify(t *testing.T, s *server, admin string, cost int64) (exceeded bool) {
	a, err := s.try("POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q,"cost":%d}`, u.secrets[rand.IntN(len(u.secrets))], cost))
	switch {
	case err != nil || a.status == http.StatusServiceUnavailable:
		u.unknown.Add(cost)
	case a.Code == "VALID":
		u.granted.Add(cost)
	case a.Code != "QUOTA_EXCEEDED":
		t.Errorf("a call is answered %d %s", a.status, a.body)
	}
	return a.Code == "QUOTA_EXCEEDED"
}

// newUses creates keys and owners with a quota per month whose period does not end now.
func (q *quotaNodes) newUses(admin string, round int) (uses []*quotaUse) {
	startsOn := 1
	if day := time.Now().UTC().Day(); day < 10 || day > 20 {
		startsOn = 15
	}
	for i := range 20 {
		u := &quotaUse{limit: 1 + rand.Int64N([]int64{10, 100, 400, 1200}[i%4])}
		quota := fmt.Sprintf(`"quota":{"limit":%d,"period":"month","starts_on":%d}`, u.limit, startsOn)
		create := func(owner, more string) {
			u.secrets = append(u.secrets, q.nodes[0].want(http.StatusCreated, "POST", "/v1/api-keys", admin, fmt.Sprintf(
				`{"owner":%q,"name":"%d/%d/%d","expires_at":%q,"scopes":[]%s}`, owner, round, i, len(u.secrets),
				time.Now().Add(time.Hour).Format(time.RFC3339), more)).Secret)
		}
		if i%8 < 4 {
			create("keys", ","+quota)
		} else {
			owner := fmt.Sprintf("owner-%d-%d", round, i)
			q.nodes[0].want(http.StatusOK, "PATCH", "/v1/owners/"+owner, admin, "{"+quota+"}")
			for range 3 {
				create(owner, "")
			}
		}
		uses = append(uses, u)
	}
	return uses
}

// round uses up the quotas of new keys while nodes are killed.
func (q *quotaNodes) round(admin string, round, kills int) []*quotaUse {
	uses := q.newUses(admin, round)
	all := int64(0)
	for _, u := range uses {
		all += u.limit
	}
	var passed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for left := slices.Clone(uses); len(left) > 0; {
				select {
				case <-stop:
					return
				default:
				}
				i, cost := rand.IntN(len(left)), 1+rand.Int64N(dearest)
				_, s := q.any()
				if left[i].verify(q.t, s, admin, cost) && cost == 1 {
					left = slices.Delete(left, i, i+1)
				}
				passed.Add(cost)
			}
		})
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for i := range kills {
		for at := all * int64(i+1) / int64(kills+2); passed.Load() < at; time.Sleep(time.Millisecond) {
			if q.t.Failed() {
				break
			}
		}
		q.kill()
	}
	<-done
	close(stop)
	for _, u := range uses { // what is left, on each node
		for _, s := range q.nodes {
			for !u.verify(q.t, s, admin, 1) && !q.t.Failed() {
			}
		}
	}
	return uses
}

// checkQuotas compares what passed with the limits of all keys, each of which is a period of a quota.
func checkQuotas(t *testing.T, uses []*quotaUse, kills int) {
	t.Helper()
	var unused []int64
	for _, u := range uses {
		granted, unknown := u.granted.Load(), u.unknown.Load()
		if granted > u.limit {
			t.Errorf("%d units passed of a quota of %d", granted, u.limit)
		}
		// A node that is killed holds at most a hundredth in advance, and what it got for a call that needed more.
		lost := u.limit - granted
		if most := unknown + int64(kills)*(u.limit/100+dearest-1); lost > most {
			t.Errorf("%d of %d units were lost, want at most %d, of which %d may have been used", lost, u.limit, most, unknown)
		}
		unused = append(unused, lost*1000/u.limit)
	}
	slices.Sort(unused)
	at := func(percent int) string {
		return strconv.FormatFloat(float64(unused[(len(unused)-1)*percent/100])/10, 'f', 1, 64) + " %"
	}
	t.Logf("%d quotas: none exceeded; not used, of the limit: median %s, 90th percentile %s, most %s",
		len(uses), at(50), at(90), at(100))
}

// dearest is how many units a call of these tests costs at most.
const dearest = 3

const quotaRounds, quotaKills = 3, 3

// kill -9 of the only node, with SQLite: no quota is exceeded, and what is lost is what the node held.
func TestChaosQuotas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--auth-failures-per-minute", "0"}
	q := &quotaNodes{t: t, dir: dir, nodes: []*server{serve(t, dir, args...)}, args: [][]string{args}}
	var uses []*quotaUse
	for i := range quotaRounds {
		uses = append(uses, q.round(q.nodes[0].adminKey(), i, quotaKills)...)
	}
	checkQuotas(t, uses, quotaKills)
}

// The same with three nodes on one PostgreSQL.
func TestChaosQuotasOfNodes(t *testing.T) {
	t.Parallel()
	url, dir := postgrestest.Start(t).Database(t), t.TempDir()
	q := &quotaNodes{t: t, dir: dir}
	for _, name := range []string{"a", "b", "c"} {
		args := []string{"--database", url, "--node", name, "--admin-key-file", "admin.key", "--auth-failures-per-minute", "0"}
		q.nodes, q.args = append(q.nodes, serve(t, dir, args...)), append(q.args, args)
	}
	var uses []*quotaUse
	for i := range quotaRounds {
		uses = append(uses, q.round(q.nodes[0].adminKey(), i, quotaKills)...)
	}
	checkQuotas(t, uses, quotaKills)
}
