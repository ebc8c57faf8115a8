//go:build full

package cli

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestRapidReset sends and cancels requests without end (CVE-2023-44487) while good clients are
// served. The server closes the connection, or at least its memory stays bounded.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	secret := s.adminKey()
	request := list(secret)
	good := a.client(nil)
	if _, err := s.get(good, secret); err != nil {
		t.Fatal(err)
	}
	before := s.memory()
	ended := make(chan int)
	for range 4 {
		connection, frames := a.dialHTTP2(s)
		go io.Copy(io.Discard, connection) //nolint:errcheck // it ends with the connection
		go func() {
			sent := 0
			for id := uint32(1); id < 200_000; id += 2 {
				err := frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: request, EndStream: true, EndHeaders: true})
				if err == nil {
					err = frames.WriteRSTStream(id, http2.ErrCodeCancel)
				}
				if err != nil {
					break // the server closed the connection
				}
				sent++
			}
			ended <- sent
		}()
	}
	served := 0
	for left := 4; left > 0; {
		select {
		case sent := <-ended:
			t.Logf("%d requests taken back on one connection", sent)
			left--
		default:
			if response, err := s.get(good, secret); err != nil || response.status != http.StatusOK {
				t.Fatalf("a good client: %v, %v", response, err)
			}
			served++
		}
	}
	after := s.memory()
	t.Logf("%d good requests beside them; %d, then %d MiB", served, before>>20, after>>20)
	if after > before+384<<20 { // with the race detector, a tenth of it without; over a GiB if requests stayed
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}

// TestEndlessHeaders sends a header without end (CVE-2023-45288), and the server closes the
// connection.
func TestEndlessHeaders(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	connection, frames := a.dialHTTP2(s)
	go io.Copy(io.Discard, connection) //nolint:errcheck // it ends with the connection
	must(t, frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: list("hunter2"), EndStream: true}))
	var more bytes.Buffer
	must(t, hpack.NewEncoder(&more).WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 8<<10), Sensitive: true}))
	sent := 0
	for ; sent < 64<<20; sent += more.Len() {
		if err := frames.WriteContinuation(1, false, more.Bytes()); err != nil {
			break
		}
	}
	t.Logf("hung up on after %d KiB", sent>>10)
	if sent >= 64<<20 {
		t.Error("64 MiB of headers were taken")
	}
}
