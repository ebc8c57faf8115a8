package service

import (
	"context"
	"net/http"
	"regexp"
	"testing"
	"time"

	"apikeyd/internal/testkit/program"
)

// stuck is how long a test waits before it fails.
const stuck = 2 * time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var serving = regexp.MustCompile(`msg=serving url=(\S+)`)

// run serves in this process until the test ends, and returns the URL.
func run(t *testing.T, c Config) string {
	t.Helper()
	var log program.Output
	c.Log = &log
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(stuck); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if found := serving.FindStringSubmatch(log.String()); found != nil {
			return found[1]
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("it does not serve: %v\n%s", err, log.String())
		default:
		}
	}
	t.Fatalf("it does not serve:\n%s", log.String())
	return ""
}

// wantStatus checks the status of a GET request with a key.
func wantStatus(t *testing.T, want int, url, secret string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	r.Header.Set("X-Api-Key", secret)
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != want {
		t.Errorf("%s is answered %d, want %d", url, answer.StatusCode, want)
	}
}
