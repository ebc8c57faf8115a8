//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// wasClosed reports whether a standard stream was closed when the program started. Go's runtime then
// opens the null device in its place, for reading and writing.
func wasClosed(file *os.File) bool {
	info, err := file.Stat()
	null, nullErr := os.Stat(os.DevNull)
	flags, flagsErr := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	return err == nil && nullErr == nil && flagsErr == nil &&
		os.SameFile(info, null) && flags&unix.O_ACCMODE == unix.O_RDWR
}
