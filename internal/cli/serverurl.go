package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"apikeyd/internal/service"
)

// explainNoAnswer says in one line why no answer came, and what may help.
func explainNoAnswer(server string, err error) string {
	if wait, _ := errors.AsType[net.Error](err); wait != nil && wait.Timeout() {
		return "no answer in time; is apikeyd serving there? --timeout sets a longer wait"
	}
	return explainConnection(server, err)
}

// explainConnection adds to an error what may help to get a connection.
func explainConnection(server string, err error) string {
	text := strings.TrimPrefix(err.Error(), "apikeyd: ")
	dial, _ := errors.AsType[*net.OpError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case untrusted:
		text += "; this machine does not trust the certificate of the server"
	case plain || strings.Contains(text, "HTTP response to HTTPS client"):
		text += "; the server does not use TLS: its URL begins with http://"
	case speaksNoHTTP(err):
		text += askTLS(server)
	case dial != nil && dial.Op == "dial":
		text += "; is apikeyd serving there?"
	}
	return text
}

// speaksNoHTTP reports whether a server closed the connection, or answered in another protocol.
func speaksNoHTTP(err error) bool {
	return errors.Is(err, io.EOF) || err != nil && strings.Contains(err.Error(), "malformed HTTP response")
}

// askTLS suggests https if a server does not understand http.
func askTLS(server string) string {
	if rest, plain := strings.CutPrefix(server, "http://"); plain {
		return "; if it uses TLS, its URL is https://" + rest
	}
	return ""
}

// ownPaths are paths that people copy along with a server's URL.
var ownPaths = []string{"/v1/api-keys", "/v1", "/console", "/docs", "/openapi.yaml", "/openapi.json"}

// socketURL splits the URL of a server at a Unix socket: unix:PATH, with :/BASE behind if it has a base path.
func socketURL(text string) (path, base string, isSocket bool) {
	rest, isSocket := service.SocketPath(text)
	path, below, found := strings.Cut(rest, ":/")
	if found {
		base = "/" + below
	}
	return path, base, isSocket
}

// httpURL returns a server's URL for requests. If the server is at a Unix socket, the transport connects there.
func httpURL(server string, transport *http.Transport) string {
	socket, base, isSocket := socketURL(server)
	if !isSocket {
		return server
	}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return "http://localhost" + base
}

// checkURL refuses anything but a server's URL, and suggests what may be meant. It never repeats what
// may contain a password.
func checkURL(text string) error {
	if path, _, isSocket := socketURL(text); isSocket {
		return service.CheckListen("--url", "unix:"+path)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("--url must begin with http:// or https:// and name a host" + suggestURL(text))
	}
	path := strings.TrimRight(u.Path, "/")
	for _, own := range ownPaths {
		if base, found := strings.CutSuffix(path, own); found && u.User == nil {
			u.Path, u.RawPath, u.RawQuery, u.Fragment = base, "", "", ""
			return fmt.Errorf("--url must end before %s; write --url %s", own, u)
		}
	}
	return nil
}

// suggestURL suggests the scheme for an address that lacks one.
func suggestURL(text string) string {
	u, err := url.Parse("https://" + text)
	isAddress := err == nil && (u.Port() != "" || u.Hostname() == "localhost" || strings.Contains(u.Hostname(), "."))
	if !isAddress || strings.ContainsAny(text, "@ ") || strings.Contains(text, "://") {
		return ", such as https://keys.example.com"
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		u.Scheme = "http"
	}
	return "; write --url " + u.String()
}
