package service

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// notifyFlag is the socket on which systemd expects notifications (Type=notify).
type notifyFlag struct {
	NotifySocket string `hidden:"" env:"NOTIFY_SOCKET"`
}

// notify sends a state to systemd, if it has passed a socket.
func (f notifyFlag) notify(ctx context.Context, state string) error {
	if f.NotifySocket == "" {
		return nil
	}
	// A name that begins with @ is an abstract socket, to systemd and to Go.
	socket, err := new(net.Dialer).DialContext(ctx, "unixgram", f.NotifySocket)
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	_, err = socket.Write([]byte(state))
	if err := errors.Join(err, socket.Close()); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return nil
}
