package service

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// notifyFlag is the socket where systemd waits to hear how the service is (Type=notify).
type notifyFlag struct {
	NotifySocket string `hidden:"" env:"NOTIFY_SOCKET"`
}

// notify tells systemd, if it asked to be told.
func (f notifyFlag) notify(ctx context.Context, state string) error {
	if f.NotifySocket == "" {
		return nil
	}
	// A name that begins with @ is no file, to systemd and to Go alike.
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
