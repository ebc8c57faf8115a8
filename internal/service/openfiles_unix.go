//go:build unix

package service

import (
	"math"
	"syscall"
)

// maxOpenFiles is how many files and connections the process may have open. Go raises the soft limit
// at the start.
func maxOpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // it fits; some systems have it signed
}
