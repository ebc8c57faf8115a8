package postgrestest

import (
	"io/fs"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Tests are the tests of a package.
type Tests interface{ Run() int }

// Main wraps the tests in TestMain, so that they share a cluster (Shared) and the result of one initdb,
// which takes longer than most tests. Without it, every Start runs initdb.
func Main(m Tests) Tests { return sharing{m} }

type sharing struct{ tests Tests }

// Run runs the tests and then stops the shared cluster.
func (s sharing) Run() int {
	process.mu.Lock()
	process.shares = true
	process.mu.Unlock()
	code := s.tests.Run()
	return max(code, process.end())
}

// Shared returns the cluster that all tests of this process share, each with its own database. It runs
// without fsync. Tests that stop or configure their cluster must Start another.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	return process.sharedCluster(t)
}

var process shares

// shares holds what the tests of this process share.
type shares struct {
	mu       sync.Mutex
	shares   bool // whether Main cleans up
	dir      string
	template string // folder with the result of initdb
	cluster  *Cluster
}

func (s *shares) sharedCluster(t testing.TB) *Cluster {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shares {
		t.Fatal("TestMain of this package must run postgrestest.Main")
	}
	if s.cluster != nil {
		return s.cluster
	}
	c := newCluster(t, s.folder(t, "shared"))
	s.fill(t, c)
	// Many concurrent tests have several connection pools each. The other settings, and from version
	// 15 on the older strategy, make a new database cheap.
	c.start(t, "fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
		"max_connections=400", "shared_buffers=32MB", "autovacuum=off")
	s.cluster = c
	c.awaitStart(t)
	if version, err := strconv.Atoi(c.SQL(t, "postgres", "SHOW server_version_num")); err != nil {
		t.Fatal(err)
	} else if version >= 150_000 {
		c.strategy = " STRATEGY FILE_COPY"
	}
	return c
}

// initialise creates the files of a cluster.
func (s *shares) initialise(t testing.TB, c *Cluster) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shares {
		s.fill(t, c)
		return
	}
	c.initdb(t)
}

// fill creates them from the template. The caller holds the lock.
func (s *shares) fill(t testing.TB, c *Cluster) {
	t.Helper()
	if s.template == "" {
		template := newCluster(t, s.folder(t, "template"))
		defer func() { _ = template.log.Close() }()
		template.initdb(t)
		s.template = template.data
	}
	must(t, os.Remove(c.data))
	must(t, os.CopyFS(c.data, os.DirFS(s.template)))
	must(t, c.takeOver())
}

// takeOver gives the files of a cluster the owner and mode that PostgreSQL requires.
func (c *Cluster) takeOver() error {
	root, err := os.OpenRoot(c.data)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if c.as != nil {
			if err := root.Chown(path, int(c.as.Uid), int(c.as.Gid)); err != nil {
				return err
			}
		}
		if entry.IsDir() {
			return root.Chmod(path, 0o700)
		}
		return root.Chmod(path, 0o600)
	})
}

func (c *Cluster) initdb(t testing.TB) {
	t.Helper()
	// Collation C, so that results do not depend on the machine.
	c.command(t, "initdb", "--pgdata", c.data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
}

// folder creates a folder that exists until all tests have ended.
func (s *shares) folder(t testing.TB, name string) string {
	t.Helper()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "postgrestest") //nolint:usetesting // it outlives the test
		must(t, err)
		s.dir = dir
	}
	dir, err := os.MkdirTemp(s.dir, name) //nolint:usetesting // as above
	must(t, err)
	return dir
}

// end stops the cluster, removes the files and returns an exit code.
func (s *shares) end() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		s.cluster.Kill()
		_ = s.cluster.log.Close()
	}
	if s.dir != "" && os.RemoveAll(s.dir) != nil {
		return 1
	}
	return 0
}
