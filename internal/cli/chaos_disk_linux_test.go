//go:build full

package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"apikeyd/internal/testkit/program"
)

// The disk fills up while many clients change keys: changes are refused with 503 and not made, and
// reading and verifying continue. Once there is room again, changes succeed without a restart.
func TestChaosFullDisk(t *testing.T) {
	t.Parallel()
	s, disk := serveOnSmallDisk(t)
	admin := s.adminKey()
	l := newLoad(t)
	rounds := max(2, *kills/10)
	for range rounds {
		disk.fill()
		verified := make(chan int)
		var end atomic.Bool
		go func() { verified <- s.verifyUntil(admin, &end) }()
		enough, stop := l.refusals()+200, make(chan struct{})
		go func() {
			defer close(stop)
			must(t, s.wait(func() bool { return l.refusals() >= enough }))
		}()
		l.run(s, 16, stop, func() {})
		s.want(http.StatusOK, "GET", "/readyz", "", "")
		end.Store(true)
		if n := <-verified; n == 0 {
			t.Error("nothing was verified meanwhile")
		}
		l.check(s, l.keys, true)
		disk.free()
		a := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint("after ", l.next.Add(1))))
		s.want(http.StatusOK, "GET", "/v1/api-keys/"+a.ID, a.Secret, "")
	}
	if len(l.silent) > 0 {
		t.Errorf("not answered: %v", l.silent)
	}
	l.report("disk full", rounds)
	must(t, s.terminate())
}

// verifyUntil verifies a good key repeatedly, and returns how often.
func (s *server) verifyUntil(secret string, end *atomic.Bool) (n int) {
	for ; !end.Load(); n++ {
		time.Sleep(time.Millisecond) // leaves CPU time to the server
		if code := s.verdict(secret, secret); code != "VALID" {
			s.t.Errorf("a good key is %s", code)
		}
	}
	return n
}

// smallDisk is a file system that only the server can reach by its path.
type smallDisk struct {
	t      *testing.T
	filler string
}

// serveOnSmallDisk starts a server with its data on a 16 MiB file system, mounted in its own
// namespace.
func serveOnSmallDisk(t *testing.T) (*server, *smallDisk) {
	t.Helper()
	unshare := program.Path(t, "unshare")
	dir := t.TempDir()
	if out, err := exec.Command(unshare, "--map-root-user", "--mount",
		"mount", "-t", "tmpfs", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("this user may not mount a file system in a name space of its own: %s", out)
	}
	s := serveUnder(t, dir, unshare, "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=16m,mode=700 none "$0" && exec "$@"`, dir)
	// The path as the server sees it: its process began as unshare, and still has the same id.
	s.dir = fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, dir)
	return s, &smallDisk{t: t, filler: filepath.Join(s.dir, "filler")}
}

// serveUnder starts a server through another program, which finally executes it.
func serveUnder(t *testing.T, dir string, launcher ...string) *server {
	t.Helper()
	cmd, err := apikeyd(dir, nil, "serve", "--listen", "127.0.0.1:0", "--database", filepath.Join(dir, "apikeyd.db"))
	must(t, err)
	// A launcher cannot set the program's name (see TestMain), so a link does.
	link := filepath.Join(t.TempDir(), "apikeyd")
	must(t, os.Symlink(cmd.Path, link))
	cmd.Args = append(append(launcher, link), cmd.Args[1:]...)
	cmd.Path = launcher[0]
	p, err := start(cmd)
	must(t, err)
	t.Cleanup(func() {
		p.kill()
		wantNoSecret(t, p.output.String())
	})
	url, err := p.waitURL()
	must(t, err)
	return &server{process: p, t: t, dir: dir, url: url}
}

// fill leaves little free space.
func (d *smallDisk) fill() {
	d.t.Helper()
	if err := os.WriteFile(d.filler, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("the disk should be full: %v", err)
	}
	info, err := os.Stat(d.filler)
	must(d.t, err)
	must(d.t, os.Truncate(d.filler, info.Size()-256<<10))
}

func (d *smallDisk) free() {
	d.t.Helper()
	must(d.t, os.Remove(d.filler))
}
