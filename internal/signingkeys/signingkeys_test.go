package signingkeys_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/internal/signingkeys"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store/storetest"
)

const body = `[{"token":"t","type":"y"}]`

// github is a server with a list of keys, over HTTPS.
type github struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32
}

func newGithub(t *testing.T, signers ...signertest.Signer) *github {
	t.Helper()
	g := &github{}
	g.lists(t, signers...)
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked.Add(1)
		(*g.answer.Load())(w, r)
	}))
	g.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(g.Close)
	return g
}

func (g *github) answers(f http.HandlerFunc) { g.answer.Store(&f) }

func (g *github) lists(t *testing.T, signers ...signertest.Signer) {
	t.Helper()
	list := signertest.List(t, signers...)
	g.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(list) })
}

func (g *github) open(t *testing.T, clock *storetest.Clock) (*signingkeys.Keys, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	keys, err := signingkeys.Open(t.Context(), signingkeys.Source{
		Name: g.URL, Transport: g.Client().Transport, Now: clock.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, &log
}

func wantVerdict(t *testing.T, keys *signingkeys.Keys, by signertest.Signer, want error) {
	t.Helper()
	if err := keys.Verify(t.Context(), by.ID, by.Sign(t, body), []byte(body)); !errors.Is(err, want) {
		t.Errorf("a signature by %s: %v, want %v", by.ID, err, want)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	known, other := signertest.New(t, "known"), signertest.New(t, "other")
	larger := signertest.On(t, elliptic.P384(), "P-384")
	keys := signertest.Keys(t, known, other, larger)
	wantVerdict(t, keys, known, nil)
	wantVerdict(t, keys, other, nil)
	wantVerdict(t, keys, larger, signingkeys.ErrUnknownKey)
	wantVerdict(t, keys, signertest.New(t, "unknown"), signingkeys.ErrUnknownKey)
	wantVerdict(t, keys, signertest.New(t, ""), signingkeys.ErrUnknownKey)
	wantVerdict(t, keys, signertest.New(t, "known"), signingkeys.ErrBadSignature)
	good := known.Sign(t, body)
	for name, tt := range map[string]struct{ signature, body string }{
		"one byte differs":  {good, strings.Replace(body, "t", "u", 1)},
		"a space more":      {good, body + " "},
		"a line break more": {good, body + "\n"},
		"an empty body":     {good, ""},
		"no signature":      {"", body},
		"not base64":        {"!" + good[1:], body},
		"cut":               {good[:40], body},
		"more behind it":    {good + good, body},
		"another's":         {other.Sign(t, body), body},
		"P-384":             {larger.Sign(t, body), body},
	} {
		if err := keys.Verify(t.Context(), known.ID, tt.signature, []byte(tt.body)); !errors.Is(err, signingkeys.ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A new key counts once somebody signs with it, and one that is gone from the list no more.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	old, next := signertest.New(t, "old"), signertest.New(t, "next")
	g := newGithub(t, old)
	keys, _ := g.open(t, clock)
	wantVerdict(t, keys, old, nil)
	g.lists(t, next)
	wantVerdict(t, keys, next, signingkeys.ErrUnknownKey) // the list was just read
	clock.Advance(time.Minute)
	wantVerdict(t, keys, old, nil) // a known key asks nobody
	if n := g.asked.Load(); n != 1 {
		t.Errorf("the list was read %d times, want once", n)
	}
	wantVerdict(t, keys, next, nil)
	wantVerdict(t, keys, old, signingkeys.ErrUnknownKey)
	for range 100 { // a stranger's identifiers
		wantVerdict(t, keys, signertest.New(t, "made up"), signingkeys.ErrUnknownKey)
	}
	if n := g.asked.Load(); n != 2 {
		t.Errorf("the list was read %d times, want twice", n)
	}
}

// Requests with a new key that come at the same moment all wait for the one reading.
func TestKeysRotateAmidRequests(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	old, next := signertest.New(t, "old"), signertest.New(t, "next")
	g := newGithub(t, old)
	keys, _ := g.open(t, clock)
	g.lists(t, old, next)
	clock.Advance(time.Minute)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { wantVerdict(t, keys, next, nil) })
		all.Go(func() { wantVerdict(t, keys, old, nil) })
	}
	all.Wait()
	if n := g.asked.Load(); n != 2 {
		t.Errorf("the list was read %d times, want twice", n)
	}
}

// Whatever is wrong with the list, the known keys stay, and the log says why.
func TestFailedReadingKeepsTheKeys(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	known, next := signertest.New(t, "known"), signertest.New(t, "next")
	elsewhere := newGithub(t, next)
	g := newGithub(t, known)
	keys, log := g.open(t, clock)
	list := string(signertest.List(t, next))
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		logged string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "answers 500"},
		"a rate limit": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(list))
		}, "answers 403"},
		"a redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "answers 302"},
		"cut off":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"not JSON":       {text("<html>"), "is not JSON"},
		"half of it":     {text(list[:len(list)/2]), "is not JSON"},
		"too large":      {text(list + strings.Repeat(" ", 64<<10)), "more than 64 KiB"},
		"no keys":        {text("{}"), "no ECDSA key"},
		"no identifiers": {text(strings.ReplaceAll(list, `"next"`, `""`)), "no ECDSA key"},
		"no PEM":         {text(strings.ReplaceAll(list, "BEGIN", "BEGUN")), "no ECDSA key"},
		"an RSA key":     {text(rsaList(t)), "no ECDSA key"},
	} {
		log.Reset()
		g.answers(tt.answer)
		clock.Advance(time.Minute)
		wantVerdict(t, keys, next, signingkeys.ErrUnknownKey)
		wantVerdict(t, keys, known, nil)
		if !strings.Contains(log.String(), tt.logged) {
			t.Errorf("%s: logged %q, want %q", name, log, tt.logged)
		}
	}
	if elsewhere.asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func rsaList(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"public_keys": []any{map[string]any{
		"key_identifier": "next", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A service starts without GitHub, and learns its keys at the first signature.
func TestStartWithoutAnswer(t *testing.T) {
	t.Parallel()
	known := signertest.New(t, "known")
	g := newGithub(t)
	keys, log := g.open(t, storetest.NewClock())
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("logged %q", log)
	}
	g.lists(t, known)
	wantVerdict(t, keys, known, nil)
}

func TestFile(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	old, next := signertest.New(t, "old"), signertest.New(t, "next")
	path := signertest.File(t, old)
	source := signingkeys.Source{Name: path, Now: clock.Now, Log: slog.New(slog.DiscardHandler)}
	keys, err := signingkeys.Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, signertest.List(t, next), 0o600); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, keys, next, signingkeys.ErrUnknownKey)
	clock.Advance(time.Minute)
	wantVerdict(t, keys, next, nil)
	for name, text := range map[string]string{"empty": "", "another format": `{"keys":[]}`, "no keys": `{"public_keys":[]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := signingkeys.Open(t.Context(), source); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	source.Name += ".missing"
	if _, err := signingkeys.Open(t.Context(), source); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"": true, "keys.json": true, "/etc/keys.json": true, "https://api.github.com/meta/public_keys/secret_scanning": true,
		"http://api.github.com": false, "ftp://x": false, "https://": false, "https://user:pass@example.com": false, "https://%zz": false,
	} {
		if err := signingkeys.Check(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	g := newGithub(t, signertest.New(t, "a"), signertest.On(t, elliptic.P384(), "b"))
	source := signingkeys.Source{Name: g.URL, Transport: g.Client().Transport}
	if n, err := signingkeys.Count(t.Context(), source); n != 1 || err != nil {
		t.Errorf("the source has %d keys, %v; want 1", n, err)
	}
	g.answers(http.NotFound)
	if n, err := signingkeys.Count(t.Context(), source); n != 0 || err == nil {
		t.Errorf("a source that is not there has %d keys, %v", n, err)
	}
}
