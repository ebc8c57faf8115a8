package cli

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates that its pool trusts.
type authority struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pool   *x509.CertPool
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	a := &authority{t: t, cert: cert, key: key, pool: x509.NewCertPool(), serial: 1}
	a.pool.AddCert(cert)
	return a
}

// issue returns a certificate for 127.0.0.1, its key, and its serial number.
func (a *authority) issue(notAfter time.Time) (cert, key []byte, serial int64) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	a.serial++
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter,
	}, a.cert, private.Public(), a.key)
	must(a.t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	must(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), a.serial
}

// pairIn writes a certificate and its key into a folder.
func pairIn(t *testing.T, dir string, cert, key []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), cert, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600))
}

// client trusts the authority, and speaks HTTP/2 where the server does.
func (a *authority) client(change func(*tls.Config)) *http.Client {
	config := &tls.Config{RootCAs: a.pool}
	if change != nil {
		change(config)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// shown returns the serial number of the certificate on new connections.
func (a *authority) shown(s *server) int64 {
	a.t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: a.pool}}
	connection, err := dialer.DialContext(a.t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
	must(a.t, err)
	defer func() { _ = connection.Close() }()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// serveTLS starts a server with a certificate of the authority.
func (a *authority) serveTLS(cert, key []byte) *server {
	a.t.Helper()
	dir := a.t.TempDir()
	pairIn(a.t, dir, cert, key)
	return serve(a.t, dir, "--tls-cert", "tls.crt", "--tls-key", "tls.key")
}

// reply is what distinguishes answers here.
type reply struct {
	status int
	proto  string
}

// get asks for the list of keys.
func (s *server) get(client *http.Client, secret string) (reply, error) {
	r, err := http.NewRequest(http.MethodGet, s.url+"/v1/api-keys", http.NoBody)
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("X-Api-Key", secret)
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return reply{response.StatusCode, response.Proto}, err
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Fatalf("the URL is %s", s.url)
	}
	old := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	}
	for name, tt := range map[string]struct {
		change func(*tls.Config)
		proto  string // empty if the handshake fails
	}{
		"TLS 1.3, HTTP/2": {nil, "HTTP/2.0"},
		"TLS 1.2, HTTP/2": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "HTTP/2.0"},
		"TLS 1.1":         {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, ""},
		"old suites": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, old
		}, ""},
		"a stranger's pool": {func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, ""},
	} {
		response, err := s.get(a.client(tt.change), s.adminKey())
		switch {
		case tt.proto == "" && err == nil:
			t.Errorf("%s: status %d over %s", name, response.status, response.proto)
		case tt.proto != "" && (err != nil || response.status != http.StatusOK || response.proto != tt.proto):
			t.Errorf("%s: %v, %v", name, response, err)
		}
	}
	// HTTP/1.1 for clients that ask for it.
	one := a.client(nil)
	one.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	one.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	if response, err := s.get(one, s.adminKey()); err != nil || response.proto != "HTTP/1.1" {
		t.Errorf("HTTP/1.1: %v, %v", response, err)
	}
	// Plain-text requests get an explanation and nothing else.
	plain := &server{process: s.process, t: t, url: "http" + strings.TrimPrefix(s.url, "https")}
	if response, err := plain.get(httpClient, ""); err != nil || response.status != http.StatusBadRequest {
		t.Errorf("plain text: %v, %v", response, err)
	}
	if log := s.output.String(); strings.Contains(log, "level=WARN msg=\"everybody") {
		t.Errorf("a key that only its owner reads is complained about:\n%s", log)
	}
}

// An invalid pair is not used, and logged once.
func TestBrokenCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, first := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	other, otherKey, second := a.issue(time.Now().Add(-time.Hour))
	const kept = "the new certificate is invalid"
	for i, tt := range []struct {
		cert, key []byte
		says      string
	}{
		{cert[:len(cert)/2], key, "failed to find any PEM data"},
		{other, key, "private key does not match public key"},
		{cert, nil, "failed to find any PEM data in key input"},
	} {
		pairIn(t, s.dir, tt.cert, tt.key)
		must(t, s.wait(func() bool {
			log := s.output.String()
			return strings.Count(log, kept) > i && strings.Contains(log, tt.says)
		}))
		if got := a.shown(s); got != first {
			t.Errorf("certificate %d is shown, want %d", got, first)
		}
	}
	must(t, os.Remove(filepath.Join(s.dir, "tls.key")))
	must(t, s.wait(func() bool { return strings.Contains(s.output.String(), "tls.key: no such file") }))
	said := strings.Count(s.output.String(), kept)

	// An expired pair is used all the same, since refusing it would help nobody, but with a warning.
	pairIn(t, s.dir, other, otherKey)
	must(t, os.Chmod(filepath.Join(s.dir, "tls.key"), 0o644))
	must(t, s.wait(func() bool { return strings.Contains(s.output.String(), "the certificate is not valid now") }))
	if response, err := s.get(a.client(nil), ""); err == nil {
		t.Errorf("certificate %d has expired: status %d", second, response.status)
	}
	if log := s.output.String(); strings.Count(log, kept) > said+1 { // one more while both files change
		t.Errorf("it says again and again:\n%s", log)
	}
}

func TestReadablePrivateKey(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	dir := t.TempDir()
	pairIn(t, dir, cert, key)
	must(t, os.Chmod(filepath.Join(dir, "tls.key"), 0o644))
	s := serve(t, dir, "--tls-cert", "tls.crt", "--tls-key", "tls.key")
	if !strings.Contains(s.output.String(), "all users of this machine can read the private key") {
		t.Errorf("nobody is warned of a key that everybody reads:\n%s", s.output.String())
	}
}

func TestCertificatesAtStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue(time.Now().Add(time.Hour))
	_, key, _ := a.issue(time.Now().Add(time.Hour))
	for name, tt := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"a certificate alone": {[]string{"--tls-cert", "tls.crt"}, exitUsage, "go together"},
		"a key alone":         {[]string{"--tls-key", "tls.key"}, exitUsage, "go together"},
		"no such certificate": {[]string{"--tls-cert", "x", "--tls-key", "tls.key"}, exitFailure, "--tls-cert: open x"},
		"no such key":         {[]string{"--tls-cert", "tls.crt", "--tls-key", "x"}, exitFailure, "--tls-key: open x"},
		"no pair":             {[]string{"--tls-cert", "tls.crt", "--tls-key", "tls.key"}, exitFailure, "does not match"},
		"the wrong way round": {[]string{"--tls-cert", "tls.key", "--tls-key", "tls.crt"}, exitFailure, "PEM"},
	} {
		dir := t.TempDir()
		pairIn(t, dir, cert, key)
		p, err := launch(dir, nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, tt.args...)...)
		must(t, err)
		err = p.waitExit(tt.status)
		p.kill()
		if out := p.output.String(); err != nil || !strings.Contains(out, tt.says) || strings.Contains(out, "PRIVATE") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if got := filesIn(t, dir); len(got) != 2 {
			t.Errorf("%s: left behind %v", name, got)
		}
	}
}

// Every command explains when its URL is http but the server uses TLS, and the other way round.
func TestPlainTextWhereTLSIsSpoken(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key, _ := a.issue(time.Now().Add(time.Hour))
	s := a.serveTLS(cert, key)
	address := strings.TrimPrefix(s.url, "https://")
	for want, args := range map[string][]string{
		"; if it uses TLS, its URL is https://" + address + "\n":    {"keys", "list", "--url", "http://" + address, "--key-file", "admin.key"},
		"EOF; if it uses TLS, its URL is https://" + address + "\n": {"conformance", "--read-only", "--url", "http://" + address, "--key-file", "admin.key"},
		"if serve uses TLS, name its certificate with --tls-cert\n": {"healthcheck", "--listen", address},
	} {
		command, err := apikeyd(s.dir, nil, args...)
		must(t, err)
		out, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s; want %s", args, err, out, want)
		}
	}
	plain := serve(t, t.TempDir())
	address = strings.TrimPrefix(plain.url, "http://")
	command, err := apikeyd(s.dir, nil, "healthcheck", "--listen", address, "--tls-cert", "tls.crt")
	must(t, err)
	if out, _ := command.CombinedOutput(); !strings.Contains(string(out), "serve does not use TLS there; omit --tls-cert") {
		t.Errorf("healthcheck says %s", out)
	}
}

// Other machines may be served in plain text, as behind a proxy, but with a warning.
func TestPlainTextElsewhereIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--listen", "0.0.0.0:0")
	if !strings.Contains(s.output.String(), "serving other machines without TLS") {
		t.Errorf("nobody is warned:\n%s", s.output.String())
	}
	if loopback := serve(t, t.TempDir()); strings.Contains(loopback.output.String(), "level=WARN") {
		t.Errorf("a warning that is none:\n%s", loopback.output.String())
	}
}

// readStatus reads the status of the next answer on a connection, or 0 if there is none. The body may
// be truncated.
func readStatus(r *bufio.Reader) (int, error) {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
