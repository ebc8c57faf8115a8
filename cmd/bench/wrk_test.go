//go:build full

package main

import (
	"errors"
	"testing"

	"apikeyd/internal/testkit/program"
	servertest "apikeyd/internal/testkit/server"
)

// TestLoads puts each row's load on the real service. How fast it is does not matter.
func TestLoads(t *testing.T) {
	t.Parallel()
	program.Path(t, "wrk")
	server := servertest.Start(t, servertest.Options{})
	s := seed{folder: t.TempDir(), keys: 150}
	must(t, s.fillStore(t.Context(), server.DB))
	type trial struct {
		load
		good bool
	}
	var trials []trial
	for i, r := range rows {
		connections := 1
		if r.script != "get" {
			connections = manyConnections // two threads
		}
		l := r.load(s, server.URL, connections, 1, i)
		l.options = append(l.options, r.expect...)
		trials = append(trials, trial{l, true})
		if r.name == "verify-many" {
			l.options = append(l.options, "from=100")
			trials = append(trials, trial{l, true})
		}
	}
	wrong := rows[0].load(s, server.URL, 1, 1, len(rows))
	wrong.options = append(wrong.options, "header=X-Nothing")
	trials = append(trials, trial{wrong, false})
	for _, try := range trials {
		t.Run(try.script, func(t *testing.T) {
			t.Parallel()
			// A machine that is busy with other tests may not answer within a second.
			_, err := try.run(t.Context(), t.TempDir())
			for errors.Is(err, errNoAnswer) && try.seconds < 30 {
				try.seconds *= 2
				try.options[1] += "0" // of the seed: what was not answered may be made all the same
				_, err = try.run(t.Context(), t.TempDir())
			}
			if (err == nil) != try.good {
				t.Errorf("%s %q: error %v", try.url, try.options, err)
			}
		})
	}
}
