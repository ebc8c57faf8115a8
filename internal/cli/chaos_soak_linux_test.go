//go:build full

package cli

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 4*time.Second, "how long the soak test loads the service")

// Under a mixed load, memory and goroutines stop growing once the load is established.
func TestChaosSoak(t *testing.T) {
	t.Parallel()
	const samples = 8
	s := serve(t, t.TempDir(), "--verify-cache", "1000", "--pprof", "127.0.0.1:0",
		"--auth-failures-per-minute", "0")
	var pprof string
	must(t, s.wait(func() bool {
		if groups := pprofInLog.FindStringSubmatch(s.output.String()); groups != nil {
			pprof = groups[1]
		}
		return pprof != ""
	}))
	admin := s.adminKey()
	resting := goroutines(t, pprof)

	l, stop := newLoad(t), make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() { l.run(s, 4, stop, func() {}) })
	clients.Go(func() { s.ask(admin, stop) })
	var memory []int
	for range samples {
		time.Sleep(*soak / samples)
		memory = append(memory, s.memory()>>20)
	}
	close(stop)
	clients.Wait()
	// The first half of the time is the warm-up; differences between garbage collections are no
	// growth.
	if first, last := memory[samples/2], memory[samples-1]; last > first+first/4+8 {
		t.Errorf("memory grows, in MiB: %v", memory)
	}
	// A few more goroutines are fine, such as for a pool that opened its other connections.
	if s.wait(func() bool { return goroutines(t, pprof) <= resting+4 }) != nil {
		t.Errorf("%d goroutines before, and after:\n%s", resting, goroutineProfile(t, pprof))
	}
	l.check(s, l.keys, true)
	t.Logf("%s: memory in MiB %v, %d goroutines before, %d after", *soak, memory, resting, goroutines(t, pprof))
	l.report("soak", 1)
	must(t, s.terminate())
}

// ask calls every reading operation, with good and bad keys, until stop is closed.
func (s *server) ask(admin string, stop <-chan struct{}) {
	wrong := admin[:len(admin)-1] + "-"
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		s.want(http.StatusOK, "GET", "/v1/api-keys?items_per_page=50", admin, "")
		s.want(http.StatusOK, "GET", "/v1/api-keys?status=ACTIVE&name_contains=1", admin, "")
		s.want(http.StatusUnauthorized, "GET", "/v1/api-keys/admin", wrong, "")
		s.want(http.StatusBadRequest, "POST", "/v1/api-keys", admin, `{"name":7}`)
		s.want(http.StatusNotFound, "GET", fmt.Sprint("/v1/api-keys/none-", n), admin, "")
		s.probe(http.StatusOK, "/docs")
	}
}

var (
	pprofInLog     = regexp.MustCompile(`msg="?serving profiles"? url=(http://\S+/debug/pprof/)`)
	goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)
)

// goroutines returns the server's number of goroutines, including the one that answers this.
func goroutines(t *testing.T, pprof string) int {
	t.Helper()
	n, err := strconv.Atoi(goroutineTotal.FindStringSubmatch(goroutineProfile(t, pprof))[1])
	must(t, err)
	return n
}

func goroutineProfile(t *testing.T, pprof string) string {
	t.Helper()
	response, err := httpClient.Get(pprof + "goroutine?debug=1")
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return string(text)
}
