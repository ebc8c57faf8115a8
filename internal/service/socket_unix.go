//go:build unix

package service

import (
	"context"
	"net"
	"syscall"
)

// listenPrivately makes a socket that only its user can connect to. The mask applies to the whole process, which
// does nothing else yet.
func listenPrivately(ctx context.Context, path string) (net.Listener, error) {
	const others = 0o177
	mask := syscall.Umask(others)
	defer syscall.Umask(mask)
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}
