// Package postgrestest starts PostgreSQL clusters for tests, on 127.0.0.1 and in temporary folders:
// one that all tests of a process share, and private ones for tests that kill or configure theirs. It
// is for tests only.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"apikeyd/internal/testkit/address"
	"apikeyd/internal/testkit/program"
)

// patience is how long a cluster may take to start or to stop.
const patience = time.Minute

// Cluster is a PostgreSQL server.
type Cluster struct {
	Address string // host and port

	bin, data string
	log       *os.File
	as        *syscall.Credential // PostgreSQL does not run as root; nil means the current user
	server    *exec.Cmd
	ended     chan struct{}
	databases atomic.Int64
	strategy  string // of CREATE DATABASE, if not the default
}

// Start starts a private cluster with settings such as "synchronous_commit=off". Without
// the programs of a server it skips the test, or fails it if CI is set.
func Start(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t, t.TempDir())
	t.Cleanup(func() { _ = c.log.Close() })
	process.initialise(t, c)
	c.Run(t, settings...)
	return c
}

// newCluster prepares a cluster in an empty folder.
func newCluster(t testing.TB, dir string) *Cluster {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		program.Missing(t, "the programs of a PostgreSQL server")
	}
	c := &Cluster{bin: bin, data: filepath.Join(dir, "data"), Address: address.Unused(t)}
	must(t, os.Mkdir(c.data, 0o700))
	if os.Getuid() == 0 {
		c.as, err = unprivileged()
		must(t, err)
		// The folders above belong to root and are closed to other users.
		for dir := filepath.Dir(c.data); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			must(t, os.Chmod(dir, 0o711)) //nolint:gosec // search permission only
		}
		must(t, os.Chown(c.data, int(c.as.Uid), int(c.as.Gid)))
	}
	c.log, err = os.Create(filepath.Join(dir, "log"))
	must(t, err)
	return c
}

// binaries returns the folder of the newest installed server.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // on Debian
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("postgres")
	return filepath.Dir(path), err
}

// unprivileged returns the user postgres, or else nobody.
func unprivileged() (*syscall.Credential, error) {
	found, err := user.Lookup("postgres")
	if err != nil {
		found, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(found.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func (c *Cluster) program(name string, args ...string) *exec.Cmd {
	// Not the test's context, because clean-up starts programs after that has ended.
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, name), args...) //nolint:gosec // PostgreSQL's
	cmd.Dir = c.data
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	cmd.Stdout, cmd.Stderr = c.log, c.log
	return cmd
}

func (c *Cluster) command(t testing.TB, name string, args ...string) {
	t.Helper()
	if err := c.program(name, args...).Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, c.Log(t))
	}
}

// Run starts the server of a cluster that does not run, until the test ends.
func (c *Cluster) Run(t testing.TB, settings ...string) {
	t.Helper()
	c.start(t, settings...)
	server, ended := c.server, c.ended
	t.Cleanup(func() { kill(server, ended) })
	c.awaitStart(t)
}

func (c *Cluster) start(t testing.TB, settings ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(c.Address)
	must(t, err)
	args := []string{"-D", c.data, "-h", host, "-p", port, "-c", "unix_socket_directories="}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	c.server, c.ended = c.program("postgres", args...), make(chan struct{})
	must(t, c.server.Start())
	server, ended := c.server, c.ended
	go func() {
		_ = server.Wait() // its log says why it ended
		close(ended)
	}()
}

func (c *Cluster) awaitStart(t testing.TB) {
	t.Helper()
	host, port, err := net.SplitHostPort(c.Address)
	must(t, err)
	c.wait(t, "start", func() bool {
		return c.program("pg_isready", "--quiet", "--host", host, "--port", port, "--dbname", "postgres").Run() == nil
	})
}

// wait polls until the server has done something.
func (c *Cluster) wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-c.ended:
			t.Fatalf("PostgreSQL ended and did not %s:\n%s", what, c.Log(t))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL takes too long to %s:\n%s", what, c.Log(t))
		}
	}
}

// PID returns the id of the server's main process.
func (c *Cluster) PID() int { return c.server.Process.Pid }

// Kill ends the server like kill -9 of all its processes.
func (c *Cluster) Kill() { kill(c.server, c.ended) }

// kill sends SIGQUIT: the processes end at once and write nothing. Unlike with SIGKILL, no process is
// left over.
func kill(server *exec.Cmd, ended <-chan struct{}) {
	_ = server.Process.Signal(syscall.SIGQUIT)
	<-ended
}

// Standby starts another cluster that replicates this one. Its name may be in
// synchronous_standby_names.
func (c *Cluster) Standby(t testing.TB, name string, settings ...string) *Cluster {
	t.Helper()
	standby := newCluster(t, t.TempDir())
	t.Cleanup(func() { _ = standby.log.Close() })
	must(t, os.Remove(standby.data)) // pg_basebackup makes it
	host, port, err := net.SplitHostPort(c.Address)
	must(t, err)
	must(t, os.Chown(filepath.Dir(standby.data), os.Getuid(), os.Getgid()))
	if standby.as != nil {
		must(t, os.Chown(filepath.Dir(standby.data), int(standby.as.Uid), int(standby.as.Gid)))
	}
	backup := standby.program("pg_basebackup", "--pgdata", standby.data, "--write-recovery-conf", "--no-sync",
		"--checkpoint=fast", "--dbname", fmt.Sprintf("host=%s port=%s user=postgres application_name=%s", host, port, name))
	backup.Dir = filepath.Dir(standby.data)
	if err := backup.Run(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, standby.Log(t))
	}
	standby.Run(t, settings...)
	return standby
}

// Promote promotes a standby to primary.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.command(t, "pg_ctl", "promote", "--pgdata", c.data, "--wait")
}

// Database makes an empty database and returns its URL.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.databases.Add(1))
	c.SQL(t, "postgres", "CREATE DATABASE "+name+c.strategy)
	return c.URL(name)
}

// URL returns the URL of a database. Its timeout is long, because a busy machine connects slowly.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&connect_timeout=60", c.Address, database)
}

// SQL runs commands in a database, given by its name or URL, and returns their output as psql
// --tuples-only --no-align prints it.
func (c *Cluster) SQL(t testing.TB, database, commands string) string {
	t.Helper()
	if !strings.Contains(database, "://") {
		database = c.URL(database)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience) // not the test's: clean-up runs commands too
	defer cancel()
	conn, err := pgconn.Connect(ctx, database)
	must(t, err)
	defer func() { _ = conn.Close(ctx) }()
	results, err := conn.Exec(ctx, commands).ReadAll()
	must(t, err)
	var lines []string
	for _, result := range results {
		for _, row := range result.Rows {
			lines = append(lines, string(bytes.Join(row, []byte("|"))))
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// WithoutStandby makes commits wait for a synchronous standby that does not exist, and returns once
// they wait. The cluster must be private.
func (c *Cluster) WithoutStandby(t testing.TB) {
	t.Helper()
	c.SQL(t, "postgres", "CREATE TABLE waits (thing INT)")
	c.SQL(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	c.SQL(t, "postgres", "SELECT pg_reload_conf()")
	// The setting takes effect when the checkpointer has read it, which cannot be queried: commit
	// until a commit waits.
	var commits sync.WaitGroup
	commits.Go(func() {
		ctx := context.Background()
		conn, err := pgconn.Connect(ctx, c.URL("postgres"))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		for err == nil { // until it is terminated while it waits
			_, err = conn.Exec(ctx, "INSERT INTO waits VALUES (1)").ReadAll()
		}
	})
	const waits = " FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT INTO waits%'"
	c.wait(t, "wait for its standby", func() bool { return c.SQL(t, "postgres", "SELECT count(*)"+waits) == "1" })
	c.SQL(t, "postgres", "SELECT pg_terminate_backend(pid)"+waits)
	commits.Wait()
}

// Standalone reverts WithoutStandby: commits soon stop waiting.
func (c *Cluster) Standalone(t testing.TB) {
	t.Helper()
	c.SQL(t, "postgres", "ALTER SYSTEM RESET synchronous_standby_names")
	c.SQL(t, "postgres", "SELECT pg_reload_conf()")
}

// Log returns the output of the cluster's programs.
func (c *Cluster) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(c.log.Name())
	must(t, err)
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
