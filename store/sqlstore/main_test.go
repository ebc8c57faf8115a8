package sqlstore_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait for a disk or a lock, not for a processor.
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("4"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(postgrestest.Main(m))
}
