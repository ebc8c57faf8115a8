package cli

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

// dialHTTP2 opens an HTTP/2 connection, sends the preface, and returns its frames.
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
	return headerBlock(http.MethodGet, "/v1/api-keys", hpack.HeaderField{Name: "x-api-key", Value: secret, Sensitive: true})
}

func headerBlock(method, path string, more ...hpack.HeaderField) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"},
		{Name: ":path", Value: path},
	}, more...) {
		_ = encoder.WriteField(field) // a buffer never fails
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

// An answer that does not depend on the body arrives before the body does. net/http would then reset
// the stream, and clients that are still sending would lose the answer.
func TestHTTP2AnswersToUnreadBodies(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	_, frames := a.dialHTTP2(s)
	// until reads frames until one matches, and fails if one resets a stream.
	until := func(is func(http2.Frame) bool) {
		t.Helper()
		for {
			frame, err := frames.ReadFrame()
			must(t, err)
			if reset, ok := frame.(*http2.RSTStreamFrame); ok {
				t.Fatalf("the server resets a stream: %v", reset.ErrCode)
			}
			if is(frame) {
				return
			}
		}
	}
	ping := func() {
		must(t, frames.WritePing(false, [8]byte{}))
		until(func(f http2.Frame) bool {
			return f.Header().Type == http2.FramePing && f.Header().Flags.Has(http2.FlagPingAck)
		})
	}
	stream := uint32(1)
	for _, path := range []string{"/v1/api-keys", "/v1/verify", "/nowhere", "/console/nowhere"} {
		for _, length := range []string{"40000", ""} {
			var more []hpack.HeaderField
			if length != "" {
				more = []hpack.HeaderField{{Name: "content-length", Value: length}}
			}
			must(t, frames.WriteHeaders(http2.HeadersFrameParam{
				StreamID: stream, BlockFragment: headerBlock(http.MethodPost, path, more...), EndHeaders: true,
			}))
			for range 20 { // gives the handler time without a clock
				ping()
			}
			for i := range 4 {
				must(t, frames.WriteData(stream, i == 3, make([]byte, 10_000)))
			}
			until(func(f http2.Frame) bool {
				return f.Header().StreamID == stream && f.Header().Flags.Has(http2.FlagDataEndStream)
			})
			ping()
			stream += 2
		}
	}
}
