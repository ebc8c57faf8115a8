//go:build full

package cli

import (
	"net"
	"sync"
	"testing"
)

// wire is the connection from a node to a server: a TCP proxy that can be cut.
type wire struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	changed sync.Cond
	state   wireState
	open    map[net.Conn]struct{}
}

type wireState string

const (
	whole  wireState = "whole"
	closed wireState = "closed" // connections are closed, and new ones at once
	silent wireState = "silent" // nothing arrives, as if packets were dropped; data that was sent arrives later
)

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{listener: listener, to: to, state: whole, open: map[net.Conn]struct{}{}}
	w.changed.L = &w.mu
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.become(closed)
		running.Wait()
	})
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) become(s wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
	w.changed.Broadcast()
	if s == closed {
		for conn := range w.open {
			_ = conn.Close()
		}
	}
}

// pass waits for the end of a silence.
func (w *wire) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.state == silent {
		w.changed.Wait()
	}
}

// keep closes a connection when the link closes, or now if it is closed.
func (w *wire) keep(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[conn] = struct{}{}
	if w.state == closed {
		_ = conn.Close()
	}
}

func (w *wire) end(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, conn)
	_ = conn.Close()
}

func (w *wire) carry(near net.Conn) {
	defer w.end(near)
	w.keep(near)
	w.pass()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer w.end(far)
	w.keep(far)
	back := make(chan struct{})
	go func() {
		defer close(back)
		w.copy(near, far)
	}()
	w.copy(far, near)
	<-back
}

// copy copies from one side to the other until either ends, then closes both.
func (w *wire) copy(to, from net.Conn) {
	defer func() {
		w.pass()
		_ = to.Close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.pass()
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}
