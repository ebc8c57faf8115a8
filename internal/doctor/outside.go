package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/signingkeys"
	"apikeyd/store/sqlitefile"
)

// checkConfiguration reports whether serve accepts the settings.
func (d Deployment) checkConfiguration(context.Context) Finding {
	if d.Refusal != nil {
		return found("%s", oneLine(d.Refusal)).fail("change that flag, or its environment variable")
	}
	return found("serve takes it; it would listen on %s", d.Listen)
}

// shortValidity is how long before its expiry a certificate should be replaced.
const shortValidity = 7 * 24 * time.Hour

// checkCertificate loads the files as serve does.
func (d Deployment) checkCertificate(context.Context) Finding {
	certificate, err := d.Certificate()
	if err != nil {
		return found("%v", err).fail("serve does not start without: name others, or run doctor as the user that serves")
	}
	if certificate == nil {
		return found("none: serve uses plain HTTP")
	}
	return judgeCertificate(certificate, time.Now())
}

// judgeCertificate checks the validity of a certificate.
func judgeCertificate(leaf *x509.Certificate, now time.Time) Finding {
	f := found("valid from %s to %s", apikey.Timestamp(leaf.NotBefore), apikey.Timestamp(leaf.NotAfter))
	switch {
	case now.Before(leaf.NotBefore) || now.After(leaf.NotAfter):
		return f.fail("clients refuse it now: replace it; serve sees that by itself")
	case now.Add(shortValidity).After(leaf.NotAfter):
		return f.warn("replace it; serve sees that by itself")
	}
	return f
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// checkScanningKeys reads the keys of secret scanning as serve does.
func (d Deployment) checkScanningKeys(ctx context.Context) Finding {
	if d.ScanningKeys == "" {
		return found("off")
	}
	n, err := signingkeys.Count(ctx, signingkeys.Source{Name: d.ScanningKeys})
	switch {
	case err != nil && strings.HasPrefix(d.ScanningKeys, "https://"):
		return found("%v", err).warn("reports are refused until serve can read it: see that this machine reaches it, or name a file")
	case err != nil:
		return found("%v", err).fail("serve does not start without: name another, or run doctor as the user that serves")
	}
	return found("%s lists %d usable", d.ScanningKeys, n)
}

// checkFiles checks the permissions of the database's files.
func (d Deployment) checkFiles(context.Context) Finding {
	path := sqlitefile.RealPath(d.Database)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return found("there is no %s yet", d.Database).warn("apikeyd serve creates it, readable by its user only")
	case err != nil:
		return found("%v", err).fail("run doctor as the user that serves")
	case !info.Mode().IsRegular():
		return found("%s is not a regular file", d.Database).fail("name another with --database")
	}
	var open []string
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if mode, is := readableByOthers(path + suffix); is {
			open = append(open, fmt.Sprintf("%s (%s)", path+suffix, mode))
		}
	}
	if open != nil {
		return found("others may read or write %s", strings.Join(open, ", ")).fail("chmod 600 them")
	}
	if foreign := foreignFile(path); foreign != "" {
		return found("%s does not belong to the owner of %s", foreign, path).fail("chown it, or the server cannot write")
	}
	if links := sqlitefile.Links(path); links > 0 {
		return found("%s has other names (hard links): %d", path, links).
			warn("remove them, and copy with apikeyd backup instead: the file must be open under one name only")
	}
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		return found("all users may replace files in %s (%s)", folder, info.Mode()).fail("chmod o-w it")
	}
	return found("%s is its owner's alone", path)
}

// readableByOthers reports whether a file exists that other users may read or write.
func readableByOthers(path string) (os.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Mode(), hasPermissions && info.Mode().Perm()&0o077 != 0
}

func (d Deployment) checkAdminKey(context.Context) Finding {
	file := d.AdminKeyPath()
	if mode, is := readableByOthers(file); is {
		return found("others may read %s (%s)", file, mode).fail("chmod 600 it, and rotate that key")
	}
	if _, err := os.Stat(file); err == nil {
		return found("%s still holds the first key's secret", file).warn("store it safely, then delete the file")
	}
	return found("no file holds the first key's secret")
}

func (d Deployment) checkServer(context.Context) Finding {
	served, err := sqlitefile.IsServed(d.Database)
	switch {
	case err != nil:
		return found("%v", err).warn("run doctor as the user that serves")
	case served:
		return found("one is using the database")
	case sqlitefile.HasLog(d.Database):
		return found("none is using the database; the last one did not close it, and the next will recover its log")
	}
	return found("none is using the database")
}

// The amounts of free disk space below which the check fails or warns. It also warns if there is no
// room for a backup of the database.
const (
	tooLittleDisk = 64 << 20
	littleDisk    = 512 << 20
)

func (d Deployment) checkDiskSpace(context.Context) Finding {
	folder := filepath.Dir(sqlitefile.RealPath(d.Database))
	free, known, err := freeDisk(folder)
	switch {
	case err != nil:
		return found("%v", err).warn("check it yourself")
	case !known:
		return found("not checked on this system")
	}
	var size int64
	if info, err := os.Stat(d.Database); err == nil {
		size = info.Size()
	}
	f := found("%s are free, the database has %s", megabytes(free), megabytes(size))
	switch {
	case free < tooLittleDisk:
		return f.fail("free some space: on a full disk no change succeeds")
	case free < max(littleDisk, size):
		return f.warn("free some space")
	}
	return f
}

func (d Deployment) checkFileSystem(context.Context) Finding {
	name, kind, err := fileSystem(filepath.Dir(sqlitefile.RealPath(d.Database)))
	if err != nil {
		return found("%v", err).warn("check that it is a local disk")
	}
	switch kind {
	case networkDisk:
		return found("%s is a network file system", name).
			fail("move the database to a local disk: SQLite's log needs shared memory and reliable locks")
	case doubtfulDisk:
		return found("%s may be a network file system", name).warn("make sure that the database is on a local disk")
	case memoryDisk:
		return found("%s is kept in memory", name).warn("everything is gone when the machine stops")
	case unknownDisk:
		return found("not checked on this system")
	}
	return found("%s", name)
}

// fewFiles is a limit of open files that a busy server can reach: each connection needs one.
const fewFiles = 4096

func checkOpenFiles(context.Context) Finding {
	limit, known := openFilesLimit()
	if !known {
		return found("not checked on this system")
	}
	f := found("up to %d at once", limit)
	if limit < fewFiles {
		return f.warn("raise ulimit -n, or LimitNOFILE in the unit, for many connections")
	}
	return f
}

// diskKind says how safe a file system is for a database.
type diskKind int

// The kinds of file systems.
const (
	localDisk diskKind = iota
	networkDisk
	doubtfulDisk
	memoryDisk
	unknownDisk
)

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
