//go:build full

package main

import (
	"sync"
	"testing"

	"apikeyd/internal/testkit/program"
	servertest "apikeyd/internal/testkit/server"
)

// TestLoads puts each row's load on the real service. Speed does not matter: all run at the same time,
// each thread stops after a few answers, and wrk waits for the slowest.
func TestLoads(t *testing.T) {
	t.Parallel()
	const seconds = 10
	program.Path(t, "wrk")
	server := servertest.Start(t, servertest.Options{})
	s := seed{folder: t.TempDir(), keys: 150}
	s.fillServed(t, server.DB)
	type trial struct {
		load
		good bool
	}
	copied, err := makeSeed(t.Context(), t.TempDir(), 150)
	must(t, err)
	var trials []trial
	for i, r := range rows {
		s, url := s, server.URL
		if r.engine == plain {
			s, url = copied, copied.servePlain(t, r.maps).URL
		}
		connections := 1
		if r.script != "get" {
			connections = manyConnections // two threads
		}
		l := r.load(s, url, connections, seconds, i)
		l.options = append(append(l.options, "answers=50"), r.expect...)
		trials = append(trials, trial{l, true})
		if r.name == "verify-many" {
			l.options = append(l.options, "from=100")
			trials = append(trials, trial{l, true})
		}
	}
	wrong := rows[0].load(s, server.URL, 1, seconds, len(rows))
	wrong.options = append(wrong.options, "answers=50", "header=X-Nothing")
	trials = append(trials, trial{wrong, false})
	results := make([]error, len(trials))
	var running sync.WaitGroup
	for i, try := range trials {
		folder := t.TempDir()
		running.Go(func() { _, results[i] = try.run(t.Context(), folder) })
	}
	running.Wait()
	for i, try := range trials {
		if err := results[i]; (err == nil) != try.good {
			t.Errorf("%s %q: error %v", try.url, try.options, err)
		}
	}
}
