// Package address finds addresses for the servers that tests start. It is for tests only.
package address

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Unused returns an unused address on 127.0.0.1. Its port is below the range for outgoing connections,
// so it stays free while a server is down, and a client that tries to connect cannot connect to
// itself.
func Unused(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)) //nolint:gosec // not a secret
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}
