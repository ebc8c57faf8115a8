package main

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
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// clusterSettings are not PostgreSQL's own: room for as many callers as rows have connections, and for a million
// keys without a checkpoint every few seconds. Every commit is synced, as it is by default.
var clusterSettings = []string{"max_connections=300", "shared_buffers=1GB", "max_wal_size=8GB"}

// cluster is a PostgreSQL server on 127.0.0.1.
type cluster struct {
	url    string
	server *exec.Cmd
	exited chan struct{}
}

// startCluster starts an empty server in a folder, which must be empty too.
func startCluster(ctx context.Context, folder string) (*cluster, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	as, err := postgresUser(folder)
	if err != nil {
		return nil, err
	}
	command := func(name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		output := &bytes.Buffer{}
		cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = folder, []string{"LC_ALL=C"}, output, output
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd, output
	}
	data := filepath.Join(folder, "data")
	initdb, output := command("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--pgdata", data)
	if err := initdb.Run(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, output)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", data, "-h", "127.0.0.1", "-p", port, "-c", "unix_socket_directories="}
	for _, setting := range clusterSettings {
		args = append(args, "-c", setting)
	}
	c := &cluster{
		url:    "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable",
		exited: make(chan struct{}),
	}
	c.server, output = command("postgres", args...)
	c.server.Cancel = func() error { return c.server.Process.Signal(syscall.SIGINT) }
	c.server.WaitDelay = patience
	if err := c.server.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.server.Wait()
		close(c.exited)
	}()
	if err := c.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("PostgreSQL does not start: %w", err), c.stop(), errors.New(output.String()))
	}
	return c, nil
}

func (c *cluster) await(ctx context.Context) (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(ctx, c.url); err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.exited:
			return err
		default:
		}
	}
	return err
}

// stop ends the server's sessions and the server.
func (c *cluster) stop() error {
	_ = c.server.Process.Signal(syscall.SIGINT) // it may already have ended
	select {
	case <-c.exited:
		return nil
	case <-time.After(patience):
		_ = c.server.Process.Signal(syscall.SIGQUIT)
		<-c.exited
		return fmt.Errorf("PostgreSQL did not stop within %s", patience)
	}
}

// postgresBinaries returns the folder of the newest installed server.
func postgresBinaries() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); len(found) > 0 { // on Debian
		return filepath.Dir(slices.Max(found)), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", errors.New("the programs of a PostgreSQL server are not installed; apt-get install postgresql, or leave it out: --engines sqlite,plain")
	}
	return filepath.Dir(path), nil
}

// postgresUser gives the folder to the user postgres if we are root, whom PostgreSQL refuses.
func postgresUser(folder string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(found.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(folder, int(uid), int(gid))); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}
