package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dialHTTP2 opens an HTTP/2 connection and hands over its frames, the preface sent.
func (a *authority) dialHTTP2(s *server) (*tls.Conn, *http2.Framer) {
	a.t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: a.pool, NextProtos: []string{"h2"}}}
	raw, err := dialer.DialContext(a.t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
	must(a.t, err)
	a.t.Cleanup(func() { _ = raw.Close() })
	must(a.t, raw.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(raw, http2.ClientPreface)
	must(a.t, err)
	frames := http2.NewFramer(raw, raw)
	must(a.t, frames.WriteSettings())
	return raw.(*tls.Conn), frames
}

// list is the header block of a request for the list of keys.
func list(secret string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: http.MethodGet}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"},
		{Name: ":path", Value: "/v1/api-keys"}, {Name: "x-api-key", Value: secret, Sensitive: true},
	} {
		_ = encoder.WriteField(field) // a buffer takes it
	}
	return block.Bytes()
}

func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	_, frames := a.dialHTTP2(s)
	frame, err := frames.ReadFrame()
	must(t, err)
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v", frame)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 100, http2.SettingInitialWindowSize: 64 << 10,
	} {
		if got, ok := settings.Value(id); !ok || got != want {
			t.Errorf("%s is %d, want %d", id, got, want)
		}
	}
	if got, ok := settings.Value(http2.SettingMaxHeaderListSize); !ok || got > 64<<10 {
		t.Errorf("headers may have %d bytes", got)
	}
}

// TestRapidReset asks and takes back at once, without end (CVE-2023-44487), while good
// clients are served. The server hangs up, or at least stays small.
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
					break // it hung up
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
	if after > before+384<<20 { // with the race detector; else a tenth of it, and over a GiB if requests stayed
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}

// TestEndlessHeaders continues a header for ever (CVE-2023-45288), and is hung up on.
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
