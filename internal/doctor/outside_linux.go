package doctor

import (
	"fmt"
	"os"
	"syscall"
)

// hasPermissions says whether files have Unix permissions.
const hasPermissions = true

// fileSystems are the network file systems and the well-known local ones, by their magic numbers in
// statfs(2).
var fileSystems = map[uint32]struct {
	name string
	kind diskKind
}{
	0x6969:     {"NFS", networkDisk},
	0x517B:     {"SMB", networkDisk},
	0xFE534D42: {"SMB", networkDisk},
	0xFF534D42: {"CIFS", networkDisk},
	0x00C36400: {"Ceph", networkDisk},
	0x5346414F: {"AFS", networkDisk},
	0x6B414653: {"AFS", networkDisk},
	0x01021997: {"9P", doubtfulDisk},
	0x65735546: {"FUSE", doubtfulDisk},
	0x01021994: {"tmpfs", memoryDisk},
	0x858458F6: {"ramfs", memoryDisk},
	0xEF53:     {"ext4", localDisk},
	0x58465342: {"XFS", localDisk},
	0x9123683E: {"Btrfs", localDisk},
	0x2FC12FC1: {"ZFS", localDisk},
	0x794C7630: {"overlayfs", localDisk},
}

func fileSystem(folder string) (string, diskKind, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return "", unknownDisk, err
	}
	magic := uint32(s.Type) //nolint:gosec // a magic number has 32 bits, whatever the type of the field
	if known, ok := fileSystems[magic]; ok {
		return known.name, known.kind, nil
	}
	return fmt.Sprintf("file system 0x%x, no network one that is known", magic), localDisk, nil
}

// freeDisk returns how many bytes a user other than root may still write.
func freeDisk(folder string) (free int64, known bool, err error) {
	var s syscall.Statfs_t
	err = syscall.Statfs(folder, &s)
	return int64(s.Bavail) * s.Bsize, true, err //nolint:gosec // no disk has that many blocks
}

func openFilesLimit() (limit uint64, known bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur, err == nil
}

// foreignFile returns a file next to the database that belongs to another user than the database.
func foreignFile(path string) string {
	owner, ok := ownerOf(path)
	for _, suffix := range []string{"-wal", "-shm", ".lock"} {
		if other, there := ownerOf(path + suffix); ok && there && other != owner {
			return path + suffix
		}
	}
	return ""
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return s.Uid, ok
}
