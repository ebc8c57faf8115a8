//go:build unix

package sqlitefile

import (
	"os"
	"syscall"
)

func countLinks(_ string, info os.FileInfo) uint64 {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(s.Nlink) //nolint:unconvert // its type differs between architectures
}
