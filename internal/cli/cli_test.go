package cli

import (
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"apikeyd/client"
)

// TestMain makes this test binary the program itself when it is called apikeyd.
func TestMain(m *testing.M) {
	testscript.Main(undisturbed{m}, map[string]func(){"apikeyd": Main})
}

// undisturbed removes the caller's configuration, because some tests run commands in this process. It
// runs more tests at once than there are processors, unless -parallel says otherwise: most wait for
// another process or for the disk.
type undisturbed struct{ *testing.M }

func (u undisturbed) Run() int {
	_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "APIKEYD_") || strings.HasPrefix(name, "XDG_") {
			_ = os.Unsetenv(name)
		}
	}
	return u.M.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
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
			"serve-here": serveHere,
			"chmod":      chmod,
			"make-keys":  makeKeys,
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

// serveHere runs apikeyd serve in the current folder until the script ends, and sets URL,
// ADMIN to the first key's secret, and HOME to a folder of its own.
func serveHere(ts *testscript.TestScript, _ bool, _ []string) {
	p, err := launch(ts.MkAbs("."), nil, "serve", "--listen", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() {
		p.kill()
		if likeSecret.MatchString(p.output.String()) {
			ts.Fatalf("a secret was logged")
		}
	})
	url, err := p.waitURL()
	ts.Check(err)
	ts.Setenv("URL", url)
	ts.Setenv("ADMIN", strings.TrimSpace(ts.ReadFile("admin.key")))
	ts.Setenv("HOME", ts.MkAbs("home"))
}

// chmod changes who may use a file: chmod 600 FILE.
func chmod(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: chmod MODE FILE")
	}
	mode, err := strconv.ParseUint(args[0], 8, 12)
	ts.Check(err)
	ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(mode)))
}

// makeKeys creates this many keys of the owner "many" on the server: make-keys 130.
func makeKeys(ts *testscript.TestScript, _ bool, args []string) {
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	c, err := client.New(ts.Getenv("URL"), ts.Getenv("ADMIN"), client.Options{})
	ts.Check(err)
	for i := range count {
		_, err := c.ForOwner("many").Create(context.Background(),
			client.NewKey{Name: strconv.Itoa(i), ExpiresAt: time.Now().Add(time.Hour)})
		ts.Check(err)
	}
}
