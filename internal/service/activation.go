package service

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// activationFlags are how systemd passes a socket that it listens on (sd_listen_fds(3)).
type activationFlags struct {
	ListenPID int `hidden:"" default:"0" env:"LISTEN_PID"`
	ListenFDs int `hidden:"" default:"0" env:"LISTEN_FDS" name:"listen-fds"`
}

// firstPassed is the descriptor of the first socket.
const firstPassed = 3

// activated returns the listener of a socket that systemd passed to this process, or nil if it passed none.
func (f activationFlags) activated() (net.Listener, error) {
	if f.ListenFDs == 0 || f.ListenPID != os.Getpid() {
		return nil, nil //nolint:nilnil // none was passed
	}
	if f.ListenFDs != 1 {
		return nil, fmt.Errorf("LISTEN_FDS: systemd passes %d sockets, and apikeyd takes one; keep one ListenStream in the socket unit", f.ListenFDs)
	}
	file := os.NewFile(firstPassed, "LISTEN_FDS")
	listener, err := net.FileListener(file) // a copy, which no program that is started inherits
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("LISTEN_FDS: %w; the socket unit needs ListenStream", err)
	}
	if listener.Addr().Network() == "unix" {
		return socketListener{listener}, nil
	}
	return listener, nil
}
