// Package postgrestest starts private PostgreSQL clusters for tests: each on 127.0.0.1, in
// a temporary folder, gone when the test ends. It is for tests only.
package postgrestest

import (
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a cluster may take to start or to stop.
const patience = time.Minute

// Cluster is a PostgreSQL server of its own.
type Cluster struct {
	Address string // host and port

	bin, data string
	log       *os.File
	as        *syscall.Credential // PostgreSQL does not run as root; nil is as we are
	server    *exec.Cmd
	ended     chan struct{}
	databases atomic.Int64
}

// Start starts a cluster with settings such as "synchronous_commit=off". Without
// the programs of a server it skips the test, or fails it if CI is set.
func Start(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t)
	// Collation C: what a test finds must not depend on the machine.
	c.command(t, "initdb", "--pgdata", c.data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	c.Run(t, settings...)
	return c
}

func newCluster(t testing.TB) *Cluster {
	t.Helper()
	bin, err := binaries()
	if _, ci := os.LookupEnv("CI"); err != nil && ci {
		t.Fatal("the programs of a PostgreSQL server are missing: ", err)
	}
	if err != nil {
		t.Skip("this needs the programs of a PostgreSQL server: ", err)
	}
	c := &Cluster{bin: bin, data: filepath.Join(t.TempDir(), "data")}
	must(t, os.Mkdir(c.data, 0o700))
	if os.Getuid() == 0 {
		c.as, err = unprivileged()
		must(t, err)
		// The folders on the way there belong to root, and let nobody else through.
		for dir := filepath.Dir(c.data); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			must(t, os.Chmod(dir, 0o711)) //nolint:gosec // to pass through, not to look
		}
		must(t, os.Chown(c.data, int(c.as.Uid), int(c.as.Gid)))
	}
	c.log, err = os.Create(filepath.Join(filepath.Dir(c.data), "log"))
	must(t, err)
	t.Cleanup(func() { _ = c.log.Close() })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	c.Address = listener.Addr().String()
	must(t, listener.Close())
	return c
}

// binaries returns the folder of the newest server there is.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // Debian's place
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

// unprivileged is the user that PostgreSQL has, or else nobody.
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
	// Without the test's context: clean-up, which comes after its end, starts programs too.
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

// Run starts the server of a cluster that does not run.
func (c *Cluster) Run(t testing.TB, settings ...string) {
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
		_ = server.Wait() // it says why in its log
		close(ended)
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once
		<-ended
	})
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

// Kill ends the server as kill -9 of all its processes does.
func (c *Cluster) Kill() {
	// SIGQUIT: the processes end at once and write nothing, and unlike with SIGKILL none of
	// them is left over.
	_ = c.server.Process.Signal(syscall.SIGQUIT)
	<-c.ended
}

// Standby starts another cluster that follows this one, by the name it has in
// synchronous_standby_names.
func (c *Cluster) Standby(t testing.TB, name string, settings ...string) *Cluster {
	t.Helper()
	standby := newCluster(t)
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

// Promote makes a standby the primary.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.command(t, "pg_ctl", "promote", "--pgdata", c.data, "--wait")
}

// Database makes an empty database and returns its URL.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.databases.Add(1))
	c.SQL(t, "postgres", "CREATE DATABASE "+name)
	return c.URL(name)
}

// URL is where a database of the cluster is.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", c.Address, database)
}

// SQL runs a command in a database and returns what psql prints.
func (c *Cluster) SQL(t testing.TB, database, command string) string {
	t.Helper()
	psql := c.program("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", c.URL(database),
		"--set", "ON_ERROR_STOP=1", "--command", command)
	psql.Stdout = nil
	out, err := psql.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, c.Log(t))
	}
	return strings.TrimSpace(string(out))
}

// Log returns what the cluster's programs said.
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
