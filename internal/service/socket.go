package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// socketFlags say who may connect to a Unix socket.
type socketFlags struct {
	SocketMode  string `default:"0660" env:"APIKEYD_SOCKET_MODE" placeholder:"MODE" help:"The permissions of the socket of --listen unix:PATH, in octal (${default}): who may write to it may connect."`
	SocketOwner string `env:"APIKEYD_SOCKET_OWNER" placeholder:"USER:GROUP" help:"Who owns that socket, such as :www-data for a proxy's group (the user who serves)."`
}

const unixPrefix = "unix:"

// SocketPath returns the path in a flag's unix:PATH.
func SocketPath(address string) (path string, isSocket bool) {
	return strings.CutPrefix(address, unixPrefix)
}

// Validate checks the mode. Users and groups may appear later.
func (f socketFlags) Validate() error {
	_, err := f.mode()
	return err
}

func (f socketFlags) mode() (fs.FileMode, error) {
	mode, err := strconv.ParseUint(f.SocketMode, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("--socket-mode must be octal permissions such as 0660, not %q", f.SocketMode)
	}
	return fs.FileMode(mode), nil
}

// owner returns the numbers of the user and the group, or -1 where none is named.
func (f socketFlags) owner() (uid, gid int, err error) {
	name, group, _ := strings.Cut(f.SocketOwner, ":")
	uid, gid = -1, -1
	if name != "" {
		if uid, err = strconv.Atoi(name); err != nil {
			found, err := user.Lookup(name)
			if err != nil {
				return 0, 0, fmt.Errorf("--socket-owner: there is no user %q", name)
			}
			uid, _ = strconv.Atoi(found.Uid) // a SID on Windows, which has no owners to change
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			found, err := user.LookupGroup(group)
			if err != nil {
				return 0, 0, fmt.Errorf("--socket-owner: there is no group %q", group)
			}
			gid, _ = strconv.Atoi(found.Gid)
		}
	}
	return uid, gid, nil
}

// listen listens on a Unix socket. It replaces a socket that nobody listens on any more, and no other file.
// The listener removes its file when it closes.
func (f socketFlags) listen(ctx context.Context, flag, path string) (_ net.Listener, err error) {
	mode, err := f.mode()
	if err != nil {
		return nil, err
	}
	uid, gid, err := f.owner()
	if err != nil {
		return nil, err
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, fmt.Errorf("%s %s%s %w", flag, unixPrefix, path, err)
	}
	listener, err := listenPrivately(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if uid != -1 || gid != -1 {
		err = os.Chown(path, uid, gid)
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--socket-owner, --socket-mode: %w", err), listener.Close())
	}
	return socketListener{listener}, nil
}

// removeStale removes the socket of a process that has ended.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("is not a socket, and stays as it is; name another path")
	}
	connection, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = connection.Close()
		return errors.New("is in use by another program; name another path")
	case errors.Is(err, syscall.ECONNREFUSED): // nobody listens
		return os.Remove(path)
	}
	return fmt.Errorf("may be in use by another program: %w", err)
}

// socketAddress is the address of every client of a Unix socket.
const socketAddress = "@"

// socketListener gives its clients one address. They could choose their own, such as 127.0.0.1:80, by
// binding their end of the connection to a file of that name.
type socketListener struct{ net.Listener }

// Accept implements net.Listener.
func (l socketListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return socketConn{connection}, nil
}

type socketConn struct{ net.Conn }

// RemoteAddr implements net.Conn.
func (socketConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: socketAddress, Net: "unix"} }
