package sqlitefile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// nameLock is a shared lock on one byte of a database file, far beyond anything that SQLite
// reads, writes or locks. The byte's offset is a hash of the file's name, so a lock on any
// other byte belongs to a process that uses another name. It is an open-file-description lock: the
// kernel releases it when the process ends, however that happens.
type nameLock struct {
	path   string
	info   os.FileInfo
	inode  inode
	file   *os.File
	locked bool // false if the file system has no such locks
}

const (
	firstByte = 1 << 62 // that may be locked
	nameBytes = 1 << 61 // how many there are: no two names collide
)

// inode identifies a file, whatever its name.
type inode struct{ device, number uint64 }

// openInodes are the files that this process has locked. Closing any descriptor of a file
// releases all POSIX locks that the process has on it, including those of SQLite's connections
// (fcntl(2)). So a descriptor stays open until the last user of the file is gone.
// SQLite does the same with its own descriptors, for the same reason.
var openInodes = struct {
	sync.Mutex
	m map[inode]*openInode
}{m: make(map[inode]*openInode)}

type openInode struct {
	users int
	files []*os.File
}

// lockName opens a file and locks its name. It returns ErrOtherName if the file is open
// under another one. Of two names that are opened at the same moment, both may be refused.
func lockName(path string, flag int) (*nameLock, error) {
	offset, err := nameOffset(path)
	if err != nil {
		return nil, err
	}
	l, err := openInodeOf(path, flag)
	if err != nil {
		return nil, err
	}
	if l.locked, err = lockByte(l.file, offset); err == nil && l.locked {
		err = l.refuseOthers(offset)
	}
	if err == nil {
		err = l.refuseOtherLog()
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// nameOffset hashes a name: the folder's inode, because a folder may have several paths, and the name
// in it.
func nameOffset(path string) (int64, error) {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	id := inodeOf(folder)
	hash := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", id.device, id.number, filepath.Base(path)))
	return firstByte + int64(binary.BigEndian.Uint64(hash[:])%nameBytes), nil
}

func inodeOf(info os.FileInfo) inode {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(s.Dev), s.Ino} //nolint:unconvert // its type differs between architectures
}

// openInodeOf opens a file that stays open until its last user releases it.
func openInodeOf(path string, flag int) (*nameLock, error) {
	openInodes.Lock()
	defer openInodes.Unlock()
	file, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	id := inodeOf(info)
	open := openInodes.m[id]
	if open == nil {
		open = &openInode{}
		openInodes.m[id] = open
	}
	open.users++
	open.files = append(open.files, file)
	return &nameLock{path: path, info: info, inode: id, file: file}, nil
}

// release ends the use of a file. SQLite must have closed its connections.
func (l *nameLock) release() error {
	openInodes.Lock()
	defer openInodes.Unlock()
	open := openInodes.m[l.inode]
	open.users--
	var errs []error
	if l.locked { // closing is not enough: a child that is about to start a program shares the descriptor for a moment
		errs = append(errs, unlock(l.file))
	}
	if open.users > 0 {
		return errors.Join(errs...)
	}
	delete(openInodes.m, l.inode)
	for _, file := range open.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

// lockByte takes a shared lock, or reports that this file system has no such locks.
func lockByte(file *os.File, offset int64) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: offset, Len: 1}
	err := fcntl(file, unix.F_OFD_SETLK, &lock)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOLCK):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("locking the file's name: %w", err)
	}
	return true, nil
}

func unlock(file *os.File) error {
	return fcntl(file, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: firstByte})
}

func fcntl(file *os.File, command int, lock *unix.Flock_t) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.FcntlFlock(fd, command, lock) })
	return errors.Join(err, failed)
}

// refuseOthers returns ErrOtherName if anyone has locked another byte than ours.
func (l *nameLock) refuseOthers(own int64) error {
	before := unix.Flock_t{Type: unix.F_WRLCK, Start: firstByte, Len: own - firstByte}
	after := unix.Flock_t{Type: unix.F_WRLCK, Start: own + 1} // without a length it reaches to the end
	ranges := []unix.Flock_t{after}
	if before.Len > 0 {
		ranges = append(ranges, before)
	}
	for _, r := range ranges {
		if err := fcntl(l.file, unix.F_OFD_GETLK, &r); err != nil {
			return fmt.Errorf("asking for the file's other names: %w", err)
		}
		if r.Type != unix.F_UNLCK {
			return l.otherName()
		}
	}
	return nil
}

// otherName says who has the file open under another name, if we may see that.
func (l *nameLock) otherName() error {
	const why = "each name has a write-ahead log of its own, and two logs destroy a database; "
	if name, process := l.findOther(); name != "" {
		return fmt.Errorf("%w, %s (process %s): %suse that name", ErrOtherName, name, process, why)
	}
	return fmt.Errorf("%w, by a hard link or a mount of the file alone: %suse one name only, and mount folders, not files",
		ErrOtherName, why)
}

// findOther searches the open files of all processes that we may inspect.
func (l *nameLock) findOther() (name, process string) {
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "", ""
	}
	for _, descriptor := range descriptors {
		info, err := os.Stat(descriptor)
		if err != nil || !os.SameFile(info, l.info) {
			continue
		}
		if name, err := os.Readlink(descriptor); err == nil && name != l.path {
			return name, strings.Split(descriptor, "/")[2]
		}
	}
	return "", ""
}

// nameAttribute stores, on the file itself, the name under which it was last opened for writing: a log beside that
// name may hold changes that a killed process did not checkpoint. File systems without extended attributes go
// without it.
const nameAttribute = "user.apikeyd.name"

// record notes that a log may come to lie beside this name.
func (l *nameLock) record() {
	raw, err := l.file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Fsetxattr(int(fd), nameAttribute, []byte(l.path), 0) })
	}
}

// refuseOtherLog returns ErrOtherLog if a log beside another name may hold changes: this file has that name too, or
// was moved here without its log.
func (l *nameLock) refuseOtherLog() error {
	name := make([]byte, unix.PathMax)
	size := -1
	raw, err := l.file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { size, _ = unix.Fgetxattr(int(fd), nameAttribute, name) })
	}
	if err != nil || size <= 0 {
		return err
	}
	last := string(name[:size])
	there, err := os.Stat(last)
	isOurs := errors.Is(err, os.ErrNotExist) || err == nil && os.SameFile(there, l.info)
	if last == l.path || !isOurs || !HasLog(last) || HasLog(l.path) {
		return nil
	}
	return fmt.Errorf("%w, %s: use that name once and end it properly, or move the log here too", ErrOtherLog, last)
}

// check refuses a file beside which SQLite cannot keep its log.
func (l *nameLock) check() error {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, l.path, 0, 0, &s)
	if err == nil && s.Attributes&s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return fmt.Errorf("%w; mount the folder", ErrMounted)
	}
	if !l.locked && countLinks(l.path, l.info) > 1 {
		return ErrLinked
	}
	return nil
}
