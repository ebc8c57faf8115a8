//go:build unix

package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"apikeyd/store"
)

// A part of a mapped file that cannot be read is an error, and does not end the process.
func TestFaultIsDamage(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	size := os.Getpagesize()
	if err := file.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(memory) }()
	if err := file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	c := &condition{dialect: &sqliteDialect}
	sum := 0
	err = c.guarded(func() error {
		for _, b := range memory {
			sum += int(b)
		}
		return nil
	})
	if !errors.Is(err, store.ErrDamaged) || !errors.Is(c.err(), store.ErrDamaged) {
		t.Errorf("the error is %v, the condition %v", err, c.err())
	}
}

// Any other panic is a defect, and is not recovered.
func TestGuardedPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if cause := recover(); cause != "defect" {
			t.Errorf("the panic is %v", cause)
		}
	}()
	_ = (&condition{}).guarded(func() error { panic("defect") })
}
