//go:build full

package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullDiskFolder tells the process of the test below where to mount a disk.
const fullDiskFolder = "TEST_FULL_DISK_FOLDER"

// On a disk that is too small, neither a backup nor a restored database appears, nor any partial file.
func TestBackupOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plantKeys(t, filepath.Join(dir, "apikeyd.db"), 4000)
	timed(t, dir, "backup", "keys.bak")
	must(t, os.Mkdir(filepath.Join(dir, "small"), 0o700))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInsideFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), fullDiskFolder+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	notStarted := err != nil && cmd.ProcessState == nil
	if notStarted || strings.Contains(string(out), "--- SKIP") {
		t.Skipf("this user may not mount a file system in a name space of its own: %v\n%s", err, out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideFullDisk") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInsideFullDisk is what that process runs; on its own it does nothing.
func TestInsideFullDisk(t *testing.T) {
	dir, inside := os.LookupEnv(fullDiskFolder)
	if !inside {
		return
	}
	small := filepath.Join(dir, "small")
	if err := syscall.Mount("none", small, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"backup", filepath.Join(small, "new.bak"), "--database", filepath.Join(dir, "apikeyd.db")},
		{"restore", filepath.Join(dir, "keys.bak"), "--database", filepath.Join(small, "new.db")},
	} {
		var stdout, stderr bytes.Buffer
		status := run(args, os.Stdin, &stdout, &stderr)
		said := stderr.String()
		if status != exitFailure || stdout.Len() > 0 || !strings.Contains(said, "was not written") ||
			!strings.Contains(said, "full") && !strings.Contains(said, "no space left") {
			t.Errorf("%s: status %d, %s%s", args[0], status, stdout.String(), said)
		}
		t.Log(said)
	}
	left, err := filepath.Glob(filepath.Join(small, "*"))
	must(t, err)
	hidden, err := filepath.Glob(filepath.Join(small, ".*"))
	must(t, err)
	if len(hidden) > 0 || len(left) != 1 || !strings.HasSuffix(left[0], "new.db.lock") {
		t.Errorf("there are %q and %q", left, hidden)
	}
}
