package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// SIGTERM while a request is in flight: it gets its answer, nothing new is accepted,
// and the last-used times that were in memory are in the database.
func TestTerminateFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	body := keyJSON("slow")
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	defer func() { _ = connection.Close() }()
	answers := bufio.NewReader(connection)
	_, err = fmt.Fprintf(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		s.adminKey(), len(body))
	must(t, err)
	// The server asks for the body, so the request is in its hands.
	line, err := answers.ReadString('\n')
	must(t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("the server does not ask for the body: %q", line)
	}
	_, err = answers.ReadString('\n')
	must(t, err)
	_, err = io.WriteString(connection, body[:10])
	must(t, err)

	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	must(t, s.wait(func() bool {
		_, err := s.try("GET", "/v1/api-keys", "", "")
		return err != nil // nothing new is accepted
	}))
	_, err = io.WriteString(connection, body[10:])
	must(t, err)
	response, err := http.ReadResponse(answers, nil)
	must(t, err)
	created, err := readAnswer(response)
	must(t, err)
	if created.status != http.StatusCreated || created.Name != "slow" {
		t.Errorf("the answer is %d", created.status)
	}
	must(t, s.waitExit(exitOK))

	list := s.command("keys", "list")
	for name, lastUsed := range map[string]string{"slow": "never", "admin": `\d{4}-\S+Z`} {
		row := regexp.MustCompile(`(?m)^\S+ +admin +` + name + ` .* ACTIVE +\S+ +` + lastUsed + ` +keys:`)
		if !row.MatchString(list) {
			t.Errorf("the list has no row %s:\n%s", row, list)
		}
	}
}

// kills is how often the test below kills the service; make durability asks for more.
var kills = flag.Int("kills", 3, "how often the durability test kills the service")

// kill -9 while many clients create keys, at no particular moment: every key whose answer
// was read is there afterwards, and works.
func TestAcknowledgedKeysSurviveKill(t *testing.T) {
	t.Parallel()
	const clients = 16 // so that several changes share a transaction
	dir := t.TempDir()
	acknowledged := map[string]string{} // secrets by id
	for round := range *kills {
		s, enough := serve(t, dir), 10+rand.IntN(100)
		admin := s.adminKey()
		var (
			mu   sync.Mutex
			wg   sync.WaitGroup
			made int
			kill = make(chan struct{})
		)
		for worker := range clients {
			wg.Go(func() {
				for i := 0; ; i++ {
					key, err := s.try("POST", "/v1/api-keys", admin, keyJSON(fmt.Sprintf("%d-%d-%d", round, worker, i)))
					if err != nil {
						return // killed
					}
					if key.status != http.StatusCreated {
						t.Errorf("status %d: %s", key.status, key.Message)
						return
					}
					mu.Lock()
					acknowledged[key.ID] = key.Secret
					if made++; made == enough {
						close(kill)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-kill:
		case <-s.exited:
		}
		s.kill()
		wg.Wait()
	}
	s := serve(t, dir)
	for id, secret := range acknowledged {
		s.want(http.StatusOK, "GET", "/v1/api-keys/"+id, secret, "")
	}
	if len(acknowledged) < 10**kills {
		t.Errorf("only %d keys were made", len(acknowledged))
	}
	t.Logf("%d kills, %d acknowledged keys, all there", *kills, len(acknowledged))
}
