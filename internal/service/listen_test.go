package service

import "testing"

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:8080": "tcp4", "0.0.0.0:http": "tcp4", "[::ffff:0.0.0.0]:1": "tcp4", "[::ffff:127.0.0.1]:1": "tcp4",
		"[::]:1": "tcp", "[::1]:1": "tcp", "[fe80::1%lo]:1": "tcp", ":1": "tcp", "localhost:1": "tcp", "nonsense": "tcp",
	} {
		if got := networkOf(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
