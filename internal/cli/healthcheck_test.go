package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One environment starts the server and checks it, at every address of the machine.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	for _, address := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port, "localhost:" + port} {
		if got := s.command("healthcheck", "--listen", address); got != "ready\n" {
			t.Errorf("at %s it says %q", address, got)
		}
	}
	must(t, os.Rename(filepath.Join(s.dir, "apikeyd.db"), filepath.Join(s.dir, "moved.db")))
	p, err := launch(s.dir, nil, "healthcheck", "--listen", "127.0.0.1:"+port)
	must(t, err)
	must(t, p.waitExit(exitFailure))
	if want := "/readyz answers 503 Service Unavailable"; !strings.Contains(p.output.String(), want) {
		t.Errorf("it says %q, want %q", p.output.String(), want)
	}
}

// A URL writes an IPv6 zone differently than serve does.
func TestHealthcheckWithZone(t *testing.T) {
	t.Parallel()
	loopback := "[::1%" + loopbackName(t) + "]"
	if l, err := net.Listen("tcp", loopback+":0"); err != nil {
		t.Skip("no zone here: " + err.Error())
	} else {
		must(t, l.Close())
	}
	s := serveWith(t, t.TempDir(), nil, "--listen", loopback+":0")
	address, err := url.Parse(s.url)
	must(t, err)
	if got := s.command("healthcheck", "--listen", loopback+":"+address.Port()); got != "ready\n" {
		t.Errorf("it says %q", got)
	}
}

func loopbackName(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	must(t, err)
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("no loopback interface")
	return ""
}

// Over TLS, any certificate will do.
func TestHealthcheckOverTLS(t *testing.T) {
	t.Parallel()
	ready := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(ready.Close)
	p, err := launch(t.TempDir(), []string{
		"APIKEYD_LISTEN=" + strings.TrimPrefix(ready.URL, "https://"), "APIKEYD_TLS_CERT=server.pem",
	}, "healthcheck")
	must(t, err)
	must(t, p.waitExit(exitOK))
}

// systemd is notified when the service is ready, and not before it answers.
func TestNotify(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	s := serveWith(t, t.TempDir(), []string{"NOTIFY_SOCKET=" + path}, "--listen", "127.0.0.1:0")
	message := make([]byte, 100)
	n, err := socket.Read(message)
	must(t, err)
	if got := string(message[:n]); got != "READY=1" {
		t.Errorf("it says %q", got)
	}
	s.probe(http.StatusOK, "/readyz")
}
