package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The disk fails now and then to write, to read or to keep: such a change is refused with
// 503, none that was acknowledged is lost, and the service goes on.
func TestChaosDiskErrors(t *testing.T) {
	t.Parallel()
	strace := findStrace(t)
	dir := t.TempDir()
	serve(t, dir).kill() // the first start is not for this test
	l := newLoad(t)
	l.refusalIsUnsure = true
	rounds := 0
	// Every so many calls fail: a transaction makes many writes, and has to get through too.
	for call, every := range map[string]int{"fsync": 5, "pwrite64": 101, "pread64": 5} {
		for range max(1, *kills/40) {
			rounds++
			checked := len(l.keys)
			s := serveUnder(t, dir, strace, "-D", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+call,
				"-e", "inject="+call+":error=EIO:when=40+"+fmt.Sprint(every))
			var made atomic.Int64
			stop := make(chan struct{})
			enough := sync.OnceFunc(func() { close(stop) })
			time.AfterFunc(patience, enough)
			l.run(s, 8, stop, func() {
				if made.Add(1) >= 200 {
					enough()
				}
			})
			s.kill()
			again := serve(t, dir)
			l.check(again, l.keys[checked:], false)
			again.kill()
		}
	}
	s := serve(t, dir)
	l.check(s, l.keys, false)
	must(t, s.terminate())
	if l.refusals() == 0 {
		t.Error("no error of the disk was noticed: the test shows nothing")
	}
	if len(l.silent) > 0 {
		t.Errorf("not answered: %v", l.silent)
	}
	l.report("disk errors", rounds)
}

// Between one answer to a change and the next the disk was told to keep it.
func TestChaosEveryChangeIsSynced(t *testing.T) {
	t.Parallel()
	const changes = 50
	strace := findStrace(t)
	calls := filepath.Join(t.TempDir(), "calls")
	s := serveUnder(t, t.TempDir(), strace, "-D", "-f", "-qq", "-o", calls, "-e", "trace=fsync,fdatasync,write")
	admin := s.adminKey()
	for i := range changes {
		s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint("key ", i)))
	}
	must(t, s.terminate())
	log, err := os.Open(calls)
	must(t, err)
	defer func() { _ = log.Close() }()
	answered, synced := 0, false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		switch line := lines.Text(); {
		case strings.Contains(line, "sync(") || strings.Contains(line, "sync resumed"):
			synced = true
		case strings.Contains(line, `"HTTP/1.1 201`):
			if !synced {
				t.Error("a change was answered and not synced")
			}
			answered, synced = answered+1, false
		}
	}
	if answered != changes {
		t.Errorf("%d answers are in the log of system calls, want %d", answered, changes)
	}
}

func findStrace(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("this needs strace")
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("this user may not trace a process: %s", out)
	}
	return strace
}
