// Package servertest starts the real service for a test: real handlers over a real SQLite file, on
// 127.0.0.1. Every exchange through its Client is checked against the contract. It is for tests only.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	contracttest "apikeyd/internal/testkit/contract"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// Pepper is the pepper of imported HMACs.
const Pepper = "a pepper for tests"

// Options configure the service. The zero Options are the program's defaults and the real clock.
type Options struct {
	Now       func() time.Time
	Configure []func(*handlers.Config)        // each changes the configuration
	Handler   func(http.Handler) http.Handler // wraps the service, to break it
	Coverage  *contracttest.Coverage          // records the answers
}

// Server is a running service.
type Server struct {
	URL      string
	Client   *http.Client // checks every exchange
	Plain    *http.Client // checks nothing: for net/http's own answers and broken services
	DB       *sqlstore.DB
	Path     string // of the database
	Verifier *verify.Verifier
	Log      *Log

	now  func() time.Time
	http *httptest.Server
}

// Start starts a service on an empty database. It stops when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Path: filepath.Join(t.TempDir(), "keys.db"), Log: &Log{}, now: o.Now}
	empty, err := emptyDatabase()
	if err == nil {
		err = os.WriteFile(s.Path, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.DB, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: s.Path, Serve: true, Now: o.Now, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.DB.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Verifier = verify.New(keycache.New(s.DB, keycache.Options{Now: o.Now}), log, verify.Options{Quotas: s.DB, Reporter: s.DB, Pepper: []byte(Pepper)})
	config := handlers.Config{Store: s.DB, Verifier: s.Verifier, Log: log, Now: o.Now}
	for _, configure := range o.Configure {
		configure(&config)
	}
	handler, err := handlers.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if o.Handler != nil {
		handler = o.Handler(handler)
	}
	s.listen(t, handler, log, o)
	return s
}

// emptyDatabase returns the content of a new database. It is made once, because each migration waits
// for the disk.
var emptyDatabase = sync.OnceValues(func() (_ []byte, err error) {
	folder, err := os.MkdirTemp("", "servertest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "keys.db")
	db, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: path, Serve: true})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Stop closes the service's listener and connections, as if its process had ended. The database stays
// open.
func (s *Server) Stop() { s.http.Close() }

// contract is loaded once, because it does not change while tests run.
var contract = sync.OnceValues(func() (*contracttest.Contract, error) { return contracttest.Load(gen.Contract) })

// Contract returns openapi.yaml, ready to check exchanges.
func Contract(t testing.TB) *contracttest.Contract {
	t.Helper()
	c, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *Server) listen(t testing.TB, handler http.Handler, log *slog.Logger, o Options) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	s.http = server
	s.URL = server.URL
	s.Plain = server.Client()
	s.Plain.Timeout = time.Minute // a request that hangs fails
	checked := *s.Plain
	checked.Transport = &contracttest.Transport{
		TB: t, Contract: Contract(t), Base: s.Plain.Transport, Coverage: o.Coverage,
	}
	s.Client = &checked
}

// Add stores a key that lives ten years, as the operator would.
func (s *Server) Add(t testing.TB, owner, name string, scopes ...string) (apikey.Key, apikey.Secret) {
	t.Helper()
	now := s.now()
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Settings{
		Owner: owner, Name: name, Scopes: scopes, ExpiresAt: now.AddDate(10, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DB.CreateKey(t.Context(), store.Operator("test"), key); err != nil {
		t.Fatal(err)
	}
	return key, secret
}

// Log is a log that is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
