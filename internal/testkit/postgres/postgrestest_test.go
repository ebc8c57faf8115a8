//go:build full

package postgrestest_test

import (
	"os"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m).Run()) }

// Data written to a primary with a synchronous standby survives in the standby.
func TestFailover(t *testing.T) {
	primary := postgrestest.Start(t, "synchronous_standby_names=standby")
	standby := primary.Standby(t, "standby")
	primary.SQL(t, "postgres", "CREATE TABLE things AS SELECT 7 AS thing")
	primary.Kill()
	standby.Promote(t)
	standby.SQL(t, "postgres", "INSERT INTO things VALUES (8)")
	if got := standby.SQL(t, "postgres", "SELECT sum(thing) FROM things"); got != "15" {
		t.Errorf("the sum is %q", got)
	}
}

// All tests share the same cluster and have separate databases.
func TestShared(t *testing.T) {
	for range 2 {
		c := postgrestest.Shared(t)
		if c != postgrestest.Shared(t) {
			t.Error("it is another cluster")
		}
		url := c.Database(t)
		c.SQL(t, url, "CREATE TABLE things AS SELECT 7 AS thing")
		if got := c.SQL(t, url, "SELECT sum(thing) FROM things"); got != "7" {
			t.Errorf("the sum is %q", got)
		}
	}
}

// A commit waits once WithoutStandby has returned, and ends with Standalone.
func TestWithoutStandby(t *testing.T) {
	c := postgrestest.Start(t, "fsync=off")
	c.WithoutStandby(t)
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		c.SQL(t, "postgres", "CREATE TABLE things AS SELECT 7 AS thing")
	}()
	select {
	case <-committed:
		t.Error("a commit did not wait")
	case <-time.After(100 * time.Millisecond):
	}
	c.Standalone(t)
	<-committed
}
