//go:build !unix

package service

import (
	"context"
	"net"
)

// listenPrivately makes a socket.
func listenPrivately(ctx context.Context, path string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}
