package main

import (
	"errors"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary the program itself when it is called apikeyd.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"apikeyd": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		Deadline:           time.Now().Add(time.Minute),
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = taken.Close() })
			env.Setenv("GORACE", quickExit)
			env.Setenv("TAKEN", taken.Addr().String())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"capture":    capture,
			"serve-once": serveOnce,
		},
	})
}

// exits runs a command that must end with a status: exits 2 apikeyd bogus.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit status is %d, want %d", got, want)
	}
}

// capture sets a variable to the first group of a pattern in the last standard
// output: capture ID '^([0-9a-f-]{36}) '.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE PATTERN")
	}
	groups := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(groups) != 2 {
		ts.Fatalf("the output does not match %s", args[1])
	}
	ts.Setenv(args[0], groups[1])
}

// serveOnce runs apikeyd serve with the flags given until it serves, then ends it.
func serveOnce(ts *testscript.TestScript, _ bool, args []string) {
	p, err := launch(ts.MkAbs("."), nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	ts.Check(err)
	defer p.kill()
	_, err = p.waitURL()
	ts.Check(err)
	ts.Check(p.terminate())
}
