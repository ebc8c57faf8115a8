//go:build full

package cli

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

var throughput = flag.Duration("throughput", 50*time.Millisecond, "how long each rate of TestThroughputOfNodes is measured")

// TestThroughputOfNodes measures one, two and three nodes beside SQLite. Clients, nodes and
// PostgreSQL share this machine, so only ratios within a round say anything; the floor is
// what the same clients get of /healthz, for which a server does nothing.
func TestThroughputOfNodes(t *testing.T) {
	t.Parallel()
	const rounds = 5
	cluster := postgrestest.Start(t)
	dir := t.TempDir()
	var nodes []*server
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, servePostgres(t, dir, cluster.URL("postgres"), "--node", name))
	}
	file := serve(t, t.TempDir())

	rivals := []rival{
		{floor, []*server{file}, file.adminKey()},
		{"SQLite", []*server{file}, file.adminKey()},
		{"1 node", nodes[:1], nodes[0].adminKey()},
		{"2 nodes", nodes[:2], nodes[0].adminKey()},
		{"3 nodes", nodes, nodes[0].adminKey()},
	}
	rates := map[string][]float64{}
	for range rounds {
		for _, r := range rivals {
			for _, write := range []bool{false, true} {
				rates[fmt.Sprint(r.name, write)] = append(rates[fmt.Sprint(r.name, write)], r.rate(t, write))
			}
		}
	}
	var table strings.Builder
	table.WriteString("| | verifications/s | of the floor | creations/s | of SQLite's |\n|---|---|---|---|---|\n")
	for _, r := range rivals {
		reads, writes := rates[r.name+"false"], rates[r.name+"true"]
		fmt.Fprintf(&table, "| %s | %.0f | %.2f | %.0f | %.2f |\n", r.name, median(reads), ratio(reads, rates[floor+"false"]),
			median(writes), ratio(writes, rates["SQLitetrue"]))
	}
	t.Logf("medians of %d rounds of %s each\n%s", rounds, *throughput, table.String())
}

const floor = "floor"

// rival is servers that share a load.
type rival struct {
	name    string
	servers []*server
	admin   string
}

// rate is how many requests a second are answered.
func (r rival) rate(t *testing.T, write bool) float64 {
	const clients = 32
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: patience}
	defer client.CloseIdleConnections()
	var answered atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for i := range clients {
		at := r.servers[i%len(r.servers)]
		running.Go(func() {
			for n := 0; time.Since(began) < *throughput; n++ {
				method, path, body, want := "POST", "/v1/verify", fmt.Sprintf(`{"key":%q}`, r.admin), http.StatusOK
				switch {
				case r.name == floor:
					method, path, body = "GET", "/healthz", ""
				case write:
					path, want = "/v1/api-keys", http.StatusCreated
					body = keyJSON(fmt.Sprintf("%s %d %d %d", r.name, began.UnixNano(), i, n))
				}
				request, err := http.NewRequest(method, at.url+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("X-Api-Key", r.admin)
				request.Header.Set("Content-Type", "application/json")
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("%s: status %d", r.name, response.StatusCode)
					return
				}
				answered.Add(1)
			}
		})
	}
	running.Wait()
	return float64(answered.Load()) / time.Since(began).Seconds()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// ratio is the median of the ratios of two rates that were measured in the same rounds.
func ratio(of, to []float64) float64 {
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = of[i] / to[i]
	}
	return median(ratios)
}
