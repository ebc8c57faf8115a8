//go:build full

package lease

import (
	"fmt"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// BenchmarkSettle compares the wait for other nodes with the commit before it, in the same run and with every
// commit on disk.
func BenchmarkSettle(b *testing.B) {
	cluster := postgrestest.Start(b)
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			d := newNodeDatabase(b, cluster)
			var all []*member
			for i := range nodes {
				all = append(all, d.join(b, fmt.Sprintf("node%d", i), Options{Caches: true}))
			}
			keys := newKeys(1)
			var committing, settling time.Duration
			for b.Loop() {
				began := time.Now()
				c, err := all[0].commit(Change{Keys: keys})
				if err != nil {
					b.Fatal(err)
				}
				committed := time.Now()
				c.Settle(all[0].pool)
				committing += committed.Sub(began)
				settling += time.Since(committed)
			}
			b.ReportMetric(float64(committing.Microseconds())/float64(b.N), "commit-µs/op")
			b.ReportMetric(float64(settling.Microseconds())/float64(b.N), "settle-µs/op")
			b.ReportMetric(float64(settling)/float64(committing), "settle/commit")
		})
	}
}
