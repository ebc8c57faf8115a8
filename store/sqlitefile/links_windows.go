package sqlitefile

import (
	"os"
	"syscall"
)

func countLinks(path string, _ os.FileInfo) uint64 {
	file, err := os.Open(path)
	if err != nil {
		return 1
	}
	defer func() { _ = file.Close() }() // it was only looked at
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(file.Fd()), &info); err != nil {
		return 1
	}
	return uint64(info.NumberOfLinks)
}
