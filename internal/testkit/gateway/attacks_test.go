//go:build full

package gateways_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestAttacks tries to reach the upstream past the gateway's check. The client has a valid key that may
// only use /profile/, and the upstream accepts everything.
func TestAttacks(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	for name, g := range gateways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, g, p)
			bare := k.key(fields{"name": "bare", "scopes": []string{}})
			k.Run("websocket", func(k *kit) { webSocketsPass(k, bare) })
			k.Run("upgrade", func(k *kit) { otherUpgradesDoNot(k, bare) })
			k.Run("target", func(k *kit) { targetsArePlain(k, bare) })
			k.Run("override", func(k *kit) { overridesAreDropped(k, bare) })
			k.Run("HTTP2", func(k *kit) { http2IsChecked(k, bare) })
		})
	}
}

// dial opens a connection to the gateway, which is closed when the test ends.
func (k *kit) dial() (net.Conn, *bufio.Reader) {
	k.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
	must(k, err)
	k.Cleanup(func() { _ = connection.Close() })
	must(k, connection.SetDeadline(time.Now().Add(patience)))
	return connection, bufio.NewReader(connection)
}

// raw sends a request, line by line, with the key. The status is 0 if the gateway
// hangs up instead.
func (k *kit) raw(of key, lines ...string) (net.Conn, int) {
	k.Helper()
	k.upstream.take()
	connection, answers := k.dial()
	_, err := io.WriteString(connection, strings.Join(lines, "\r\n")+"\r\nX-Api-Key: "+of.Secret+"\r\n\r\n")
	must(k, err)
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return connection, 0
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, response.Body) // may be cut off; only the upstream's view matters
		_ = response.Body.Close()
	}
	return connection, response.StatusCode
}

var (
	requestLine = regexp.MustCompile(`(?m)^([A-Z]+) (\S*) HTTP/[\d.]+\r$`)
	upgradeLine = regexp.MustCompile(`(?mi)^(upgrade|http2-settings)\s*:\s*(.*?)\r$`)
	plainTarget = regexp.MustCompile(`^/profile(/[\w?=&]+)+$`) // the key may use everything below /profile/
)

// wantHarmless checks every byte that reached the upstream: only requests for a profile with the key
// of, and at most an upgrade to websocket. Forged values contain "forged".
func (k *kit) wantHarmless(of key, attack any) {
	k.Helper()
	sent := k.upstream.takeRaw()
	for _, r := range requestLine.FindAllStringSubmatch(sent, -1) {
		if r[1] == http.MethodConnect || r[1] == "PRI" || !plainTarget.MatchString(r[2]) {
			k.Errorf("%q: the upstream was sent %s %s", attack, r[1], r[2])
		}
	}
	for _, header := range upgradeLine.FindAllStringSubmatch(sent, -1) {
		if header[2] != "websocket" {
			k.Errorf("%q: the upstream was offered %s", attack, header[0])
		}
	}
	if strings.Contains(strings.ToLower(sent), "forged") {
		k.Errorf("%q: what is forged reached the upstream:\n%s", attack, sent)
	}
	for _, r := range k.upstream.take() {
		if !plainTarget.MatchString(r.uri) {
			k.Errorf("%q: the upstream served %s", attack, r.uri)
		}
		k.wantIdentity(of, r)
	}
}

// Headers of a WebSocket handshake.
const (
	webSocketVersion = "Sec-WebSocket-Version: 13"
	webSocketKey     = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
)

func webSocketsPass(k *kit, bare key) {
	for _, name := range []string{"websocket", "WebSocket"} {
		connection, status := k.raw(bare, "GET /profile/1 HTTP/1.1", "Host: x", "Connection: keep-alive, Upgrade",
			"Upgrade: "+name, webSocketVersion, webSocketKey)
		if status != http.StatusSwitchingProtocols {
			k.Fatalf("the status is %d", status)
		}
		_, err := io.WriteString(connection, "ping")
		must(k, err)
		echo := make([]byte, 4)
		_, err = io.ReadFull(connection, echo)
		must(k, err)
		if string(echo) != "ping" {
			k.Errorf("the upstream echoes %q", echo)
		}
		k.wantHarmless(bare, name)
	}
	_, status := k.raw(bare, "GET /reports/1 HTTP/1.1", "Host: x", "Connection: Upgrade",
		"Upgrade: websocket", webSocketVersion, webSocketKey)
	if status != http.StatusForbidden {
		k.Errorf("without the scope the status is %d", status)
	}
	k.wantHarmless(bare, "without the scope")
}

// After a 101 the gateway only copies bytes between client and upstream, so the protocol that the
// upstream was offered matters.
func otherUpgradesDoNot(k *kit, bare key) {
	const settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
	for attack, lines := range map[string][]string{
		"h2c":                    {"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", settings},
		"lower case":             {"upgrade: h2c", "connection: upgrade, http2-settings", settings},
		"upper case":             {"UPGRADE: H2C", "CONNECTION: UPGRADE,HTTP2-SETTINGS", settings},
		"without settings":       {"Upgrade: h2c", "Connection: Upgrade"},
		"without Connection":     {"Upgrade: h2c", settings},
		"other Connection":       {"Upgrade: h2c", "Connection: keep-alive"},
		"Connection twice":       {"Upgrade: h2c", "Connection: keep-alive", "Connection: Upgrade", "Connection: HTTP2-Settings", settings},
		"after websocket":        {"Upgrade: websocket, h2c", "Connection: Upgrade, HTTP2-Settings", settings},
		"before websocket":       {"Upgrade: h2c, websocket", "Connection: Upgrade, HTTP2-Settings", settings},
		"a line after websocket": {"Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", settings},
		"a line before websocket": {
			"Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade, HTTP2-Settings", settings,
		},
		"websocket with settings": {"Upgrade: websocket", "Connection: Upgrade, HTTP2-Settings", settings},
		"settings twice":          {"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", settings, settings},
		"tabs":                    {"Upgrade:\th2c\t", "Connection:\tUpgrade\t,\tHTTP2-Settings", settings},
		"empty elements":          {"Upgrade: , ,h2c,", "Connection: ,Upgrade,,HTTP2-Settings", settings},
		"folded":                  {"Upgrade:", " h2c", "Connection: Upgrade, HTTP2-Settings", settings},
		"space before the colon":  {"Upgrade : h2c", "Connection : Upgrade, HTTP2-Settings", settings},
		"vertical tab":            {"Upgrade: \vh2c", "Connection: Upgrade", settings},
		"quoted":                  {`Upgrade: "h2c"`, "Connection: Upgrade", settings},
		"version":                 {"Upgrade: websocket/13, HTTP/2.0", "Connection: Upgrade"},
		"like websocket":          {"Upgrade: websockets", "Connection: Upgrade"},
		"TLS":                     {"Upgrade: TLS/1.3", "Connection: Upgrade"},
		"HTTP/2":                  {"Upgrade: HTTP/2.0", "Connection: Upgrade"},
		"connect-udp":             {"Upgrade: connect-udp", "Connection: Upgrade", "Capsule-Protocol: ?1"},
		"underscore":              {"Upgrade: websocket", "Up_grade: h2c", "HTTP2_Settings: AAMAAABk", "Connection: Upgrade"},
		"identity taken away":     {"Connection: Upgrade, X-Api-Key-Owner, X-Api-Key-Id", "Upgrade: websocket"},
	} {
		for _, line := range []string{"GET /profile/1 HTTP/1.1", "POST /profile/1 HTTP/1.1", "GET /profile/1 HTTP/1.0"} {
			k.raw(bare, append([]string{line, "Host: x", "Content-Length: 0", webSocketVersion, webSocketKey}, lines...)...)
			k.wantHarmless(bare, attack+": "+line)
		}
	}
	for _, target := range []string{"/profile/1", "/reports/1", "127.0.0.1:9000", "app:9000", "x/profile/1", "*", "http://x/profile/1"} {
		_, status := k.raw(bare, "CONNECT "+target+" HTTP/1.1", "Host: x")
		if status != 0 && status < http.StatusBadRequest {
			k.Errorf("CONNECT %s: the status is %d", target, status)
		}
		k.wantHarmless(bare, "CONNECT "+target)
	}
}

// The upstream may parse another path from a target than the gateway.
func targetsArePlain(k *kit, bare key) {
	for _, target := range []string{
		"http://x/profile/1", "HTTP://x/profile/1", "https://x/profile/1", "http://x:80/profile/1?a=b", "http://[::1]/profile/1",
		"http:///profile/1", "http:///profile/reports/1", "https:///profile/reports/1", "HtTp:///profile/reports/1",
		"ws:///profile/1", "x:///profile/reports/1", "x://y/profile/1", "file:///profile/1",
		"http:////profile/reports/1", "http:/profile/reports/1", "http:profile/reports/1", "http:profile/1", "http:",
		"http://", "http://profile", "http://profile/reports/1", "http://profile//reports/1", "http://reports/profile/1",
		"//profile/reports/1", "//x/profile/1", "///profile/1", "////profile/1", "profile/1", "*", "/*", "?/profile/1", "",
		"http://@/profile/reports/1", "http://:/profile/1", "http://:80/profile/reports/1", "http://:@/profile/1",
		"http://a@b/profile/1", "http://a:b@c/profile/1", "http://a@b@c/profile/1", "http://x?/profile/1", "http://x#/profile/1",
		"http://?/profile/reports/1", "http://#/profile/1", "http://x;/profile/1", `http://x\/profile/1`, `http:\\x\profile\1`,
		"http://%2fprofile/reports/1", "http://x%2fprofile/reports/1", "http://%78/profile/1", "http://x /profile/1",
		"http://x,y/profile/1", "http://x:99999/profile/1", "http://x:y/profile/1", "http://[::1/profile/1", "http://[x]/profile/1",
		"http://[fe80::1%25lo]/profile/1", "http://../profile/1", "http://x/../profile/1", "http://_/profile/1", "http://x_y/profile/1",
		"http://x/http://x/profile/1", "http://x/profile/../reports/1", "http:///profile/../reports/1", "http://x/reports/1",
	} {
		for _, host := range [][]string{
			{"Host: x"}, {"Host:"}, {"Host: /profile"}, {"Host: x", "Host: y"}, {"Host: a@b"}, {"Host: x/reports/1?"}, {"Host: other.example"},
			{}, // forbidden in HTTP/1.1
		} {
			k.raw(bare, append([]string{"GET " + target + " HTTP/1.1"}, host...)...)
			k.wantHarmless(bare, fmt.Sprint(target, host))
		}
	}
}

func overridesAreDropped(k *kit, bare key) {
	for _, name := range overriding {
		for _, spelling := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
			strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1),
		} {
			_, status := k.raw(bare, "GET /profile/1 HTTP/1.1", "Host: x", spelling+": /reports/forged", spelling+": forged", "Kept: yes")
			if status != http.StatusOK {
				k.Fatalf("%s: the status is %d", spelling, status)
			}
			k.wantHarmless(bare, spelling)
		}
	}
}

// HTTP/2 without an upgrade: a gateway that accepts it must check it like any other request.
func http2IsChecked(k *kit, bare key) {
	secret := [2]string{"x-api-key", bare.Secret}
	for _, fields := range [][][2]string{
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}, {"x-original-url", "/reports/forged"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}, {"x_api_key_owner", "forged"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", ""}, {":path", "/profile/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":path", "/profile/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/reports/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "http:///profile/reports/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "/profile"}, {":path", "/reports/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x/profile"}, {":path", "/reports/1"}},
		{{":method", "GET"}, {":scheme", "http:///profile/"}, {":authority", "x"}, {":path", "/reports/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "profile/1"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "*"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}, {"host", "forged"}},
		{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}, {"upgrade", "h2c"}, {"connection", "upgrade"}},
		{{":method", "CONNECT"}, {":authority", "127.0.0.1:9000"}},
		{{":method", "CONNECT"}, {":protocol", "h2c"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}},
		{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/reports/1"}},
		{{":method", "CONNECT"}, {":protocol", "connect-udp"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/profile/1"}},
	} {
		k.upstream.take()
		connection, _ := k.dial()
		askByHTTP2(connection, append(fields, secret))
		k.wantHarmless(bare, fields)
	}
}

// askByHTTP2 sends one request over a connection and waits for the end of its answer, or of
// the connection.
func askByHTTP2(connection net.Conn, fields [][2]string) {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // cannot fail with a builder
	}
	if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
		return
	}
	frames := http2.NewFramer(connection, connection)
	_ = frames.WriteSettings() // if the other side hangs up, reading ends too
	_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return
		case *http2.HeadersFrame, *http2.DataFrame:
			if frame.Header().Flags.Has(http2.FlagDataEndStream) {
				return
			}
		}
	}
}
