//go:build unix

package cli

import (
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxOpenFiles is how many files and connections the process may have open. Go raised it to
// what is allowed when it started.
func maxOpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // it fits; some systems have it signed
}

// wasClosed reports whether a standard stream was closed when the program began: then Go's
// runtime opened the null device in its place, for reading and writing.
func wasClosed(file *os.File) bool {
	info, err := file.Stat()
	null, nullErr := os.Stat(os.DevNull)
	flags, flagsErr := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	return err == nil && nullErr == nil && flagsErr == nil &&
		os.SameFile(info, null) && flags&unix.O_ACCMODE == unix.O_RDWR
}
