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

	"apikeyd/store/sqlstore"
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
	testBackupFromFullDisk(t, dir)
	if len(hidden) > 0 || len(left) != 1 || !strings.HasSuffix(left[0], "new.db.lock") {
		t.Errorf("there are %q and %q", left, hidden)
	}
}

// A backup of a database whose disk is full is good, though the database cannot note it. Another process of this test
// mounts that disk.
func testBackupFromFullDisk(t *testing.T, dir string) {
	t.Helper()
	disk := filepath.Join(dir, "full")
	must(t, os.Mkdir(disk, 0o700))
	must(t, syscall.Mount("none", disk, "tmpfs", 0, "size=4m"))
	path := filepath.Join(disk, "apikeyd.db")
	plantKeys(t, path, 1)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	defer func() { _ = db.Close() }() // its log cannot be written back
	must(t, db.Recount(t.Context()))  // so that there is one
	filler, err := os.Create(filepath.Join(disk, "filler"))
	must(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	must(t, filler.Close())
	var stdout, stderr bytes.Buffer
	status := run([]string{"backup", filepath.Join(dir, "of-full-disk.bak"), "--database", path}, os.Stdin, &stdout, &stderr)
	said := stderr.String()
	if status != exitOK || !strings.HasPrefix(stdout.String(), "backed up 1 key ") || strings.Count(said, "\n") != 1 ||
		!strings.HasPrefix(said, "WARNING: the backup is good, but ") || !strings.Contains(said, "full") {
		t.Errorf("status %d, %s%s", status, stdout.String(), said)
	}
	t.Log(said)
	if last, err := db.LastBackup(t.Context()); err != nil || !last.IsZero() {
		t.Errorf("a backup at %s is noted (%v)", last, err)
	}
}
