//go:build full

package cli

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"apikeyd/internal/testkit/program"
)

// Writes, reads and syncs sometimes fail: the change is refused with 503 and not made, not even after
// a restart. No acknowledged change is lost, and the service continues.
func TestChaosDiskErrors(t *testing.T) {
	t.Parallel()
	strace := findStrace(t)
	dir := t.TempDir()
	l := newLoad(t)
	rounds := 0
	// Every n-th call fails: a transaction makes many writes, and some must succeed.
	for call, every := range map[string]int{"fsync": 5, "pwrite64": 101, "pread64": 5} {
		for range max(1, *kills/40) {
			rounds++
			checked := len(l.keys)
			s := serve(t, dir)
			s.trace(strace, os.DevNull, "trace="+call, "inject="+call+":error=EIO:when=5+"+fmt.Sprint(every))
			var made atomic.Int64
			stop := make(chan struct{})
			before := l.refusals()
			go func() {
				defer close(stop)
				// SQLite may take a failed read for damage, and then accepts no more changes.
				must(t, s.wait(func() bool { return made.Load() >= 200 || l.refusals() >= before+200 }))
			}()
			l.run(s, 8, stop, func() { made.Add(1) })
			s.kill()
			again := serve(t, dir)
			l.check(again, l.keys[checked:], false)
			again.kill()
		}
	}
	s := serve(t, dir)
	l.check(s, l.keys, false)
	l.checkRefused(s)
	l.checkAudit(s)
	must(t, s.terminate())
	if l.refusals() == 0 {
		t.Error("no error of the disk was noticed: the test shows nothing")
	}
	if len(l.silent) > 0 {
		t.Errorf("not answered: %v", l.silent)
	}
	l.report("disk errors", rounds)
}

// Before each answer to a change, the disk was synced.
func TestChaosEveryChangeIsSynced(t *testing.T) {
	t.Parallel()
	const changes = 50
	strace := findStrace(t)
	calls := filepath.Join(t.TempDir(), "calls")
	s := serve(t, t.TempDir())
	s.trace(strace, calls, "trace=fsync,fdatasync,write")
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

// trace has strace follow the server's system calls until it ends, or until release.
func (s *server) trace(strace, output string, expressions ...string) (release func()) {
	s.t.Helper()
	s.t.Cleanup(s.kill)
	return trace(s.t, strace, s.cmd.Process.Pid, output, expressions...)
}

// trace has strace follow the system calls of a process and its children.
func trace(t *testing.T, strace string, pid int, output string, expressions ...string) (release func()) {
	t.Helper()
	args := []string{"-f", "-qq", "-o", output, "-p", strconv.Itoa(pid)}
	for _, e := range expressions {
		args = append(args, "-e", e)
	}
	tracer, err := start(exec.Command(strace, args...))
	must(t, err)
	release = func() {
		_ = tracer.cmd.Process.Signal(syscall.SIGTERM) // it may have ended with the process
		<-tracer.exited
	}
	t.Cleanup(release)
	must(t, tracer.wait(func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return err == nil && !strings.Contains(string(status), "TracerPid:\t0\n")
	}))
	return release
}

func findStrace(t *testing.T) string {
	t.Helper()
	strace := program.Path(t, "strace")
	child := exec.Command("sleep", "60")
	must(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	out, err := exec.Command("timeout", "--preserve-status", "1", strace, "-o", os.DevNull,
		"-p", strconv.Itoa(child.Process.Pid)).CombinedOutput()
	if strings.Contains(string(out), "not permitted") {
		t.Skipf("this user may not trace a process: %v: %s", err, out)
	}
	return strace
}
