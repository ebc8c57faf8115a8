package postgrestest_test

import (
	"testing"

	"apikeyd/postgrestest"
)

// What was written to a primary with a synchronous standby is in the standby when the
// primary is gone.
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
