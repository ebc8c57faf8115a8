package service

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// tlsFlags name the certificate of a server that speaks TLS itself.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" env:"APIKEYD_TLS_CERT" placeholder:"FILE" help:"Serve HTTPS with this certificate and its chain, in PEM (off). It is read again when it changes."`
	TLSKey  string `name:"tls-key" env:"APIKEYD_TLS_KEY" placeholder:"FILE" help:"The certificate's private key, in PEM."`
}

// Validate requires both or neither.
func (f tlsFlags) Validate() error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	return nil
}

// certificate is the server's certificate. It follows changes of its two files.
type certificate struct {
	tlsFlags
	log     *slog.Logger
	now     func() time.Time
	current atomic.Pointer[tls.Certificate]
	seen    [sha256.Size]byte // hash of the files when they were last read
	trouble string            // the last problem with them, or empty
}

// certificateInterval is how often the files are read. Reading them is cheap, and more reliable than
// comparing modification times.
const certificateInterval = time.Second

// load reads the certificate. It returns nil if none is configured.
func (f tlsFlags) load(log *slog.Logger, now func() time.Time) (*certificate, error) {
	if f.TLSCert == "" {
		return nil, nil //nolint:nilnil // none is configured
	}
	c := &certificate{tlsFlags: f, log: log, now: now}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// look reads the files again. If they hold no valid pair, it keeps the current certificate and warns
// once.
func (c *certificate) look() {
	trouble := ""
	if err := c.read(); err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != c.trouble {
		c.log.Warn("the new certificate is invalid; keeping the old one", "error", trouble)
	}
	c.trouble = trouble
}

// read loads the files if they are a valid pair, which half-written files are not.
func (c *certificate) read() error {
	chain, err := os.ReadFile(c.TLSCert)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	key, err := os.ReadFile(c.TLSKey)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	defer clear(key)
	held := sha256.New()
	fmt.Fprintf(held, "%d\n", len(chain))
	held.Write(chain)
	held.Write(key)
	if seen := [sha256.Size]byte(held.Sum(nil)); seen != c.seen {
		if isEncrypted(key) {
			return fmt.Errorf("--tls-key: %[1]s is encrypted, and serve asks for no password; decrypt it with "+
				"openssl pkey -in %[1]s -out plain.key, for the server's user alone", c.TLSKey)
		}
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			return fmt.Errorf("--tls-cert %s and --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
		}
		c.seen = seen
		c.current.Store(&pair)
		c.tell(&pair)
	}
	return nil
}

// isEncrypted reports whether a private key in PEM is password-protected.
func isEncrypted(text []byte) bool {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return false
		}
		if strings.Contains(block.Type+block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
		text = rest
	}
}

// tell logs the certificate that is used from now on, and problems with it.
func (c *certificate) tell(pair *tls.Certificate) {
	leaf := pair.Leaf
	c.log.Info("using a certificate", "names", leaf.DNSNames, "addresses", leaf.IPAddresses,
		"not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
	if now := c.now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		c.log.Warn("the certificate is not valid now", "file", c.TLSCert)
	}
	const others fs.FileMode = 0o007
	if info, err := os.Stat(c.TLSKey); err == nil && info.Mode()&others != 0 && runtime.GOOS != "windows" {
		c.log.Warn("all users of this machine can read the private key; restrict its permissions", "file", c.TLSKey,
			"mode", info.Mode().String())
	}
}

// config allows only TLS 1.2 and 1.3, with forward secrecy and authenticated encryption.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; all of 1.3 are fine
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Certificate returns the certificate that a server would start with, or nil if none is configured.
func (s *Settings) Certificate() (*x509.Certificate, error) {
	c, err := s.load(slog.New(slog.DiscardHandler), time.Now)
	if c == nil || err != nil {
		return nil, err
	}
	return c.current.Load().Leaf, nil
}
