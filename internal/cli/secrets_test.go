package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// Whatever a caller does with a secret, it is neither logged nor returned.
func TestSecretsAreNeverLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	created := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("ci"))
	secret := created.Secret
	mistyped := secret[:len(secret)-1] + "!"
	swapped := strings.Replace(secret, "_", "_0", 1)[:len(secret)] // checksum wrong

	refusals := []answer{
		s.want(http.StatusNotFound, "GET", "/v1/api-keys/"+secret, admin, ""),
		s.want(http.StatusNotFound, "DELETE", "/v1/api-keys/x"+url.PathEscape(secret+"/"+secret), admin, ""),
		s.want(http.StatusNotFound, "GET", "/"+secret, admin, ""),
		s.want(http.StatusBadRequest, "GET", "/v1/api-keys?owner="+secret, admin, ""),
		s.want(http.StatusBadRequest, "GET", "/v1/api-keys?key="+secret, admin, ""),
		s.want(http.StatusBadRequest, "GET", "/v1/api-keys?"+secret+"=1", admin, ""),
		s.want(http.StatusBadRequest, "POST", "/v1/api-keys", admin, keyJSON(secret)),
		s.want(http.StatusBadRequest, "POST", "/v1/api-keys", admin, fmt.Sprintf(`{%q: 1}`, secret)),
		s.want(http.StatusBadRequest, "POST", "/v1/api-keys", admin, secret),
		s.want(http.StatusUnauthorized, "GET", "/v1/api-keys", mistyped, ""),
		s.want(http.StatusUnauthorized, "GET", "/v1/api-keys", swapped, ""),
	}
	for _, refusal := range refusals {
		wantNoSecret(t, refusal.body)
	}
	for _, nonsense := range []string{
		secret + "\r\n\r\n",
		"GET /" + secret + " HTTP/9.9\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\n" + secret + "\r\n\r\n",
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		must(t, err)
		_, err = io.WriteString(connection, nonsense)
		must(t, err)
		said, err := io.ReadAll(connection)
		must(t, err)
		wantNoSecret(t, string(said))
		must(t, connection.Close())
	}
	must(t, s.terminate())

	// The log has a line for each of them, so a leak would show.
	log := s.output.String()
	if lines := strings.Count(log, "msg=request"); lines != len(refusals)+1 {
		t.Errorf("the log has %d lines of requests, want %d", lines, len(refusals)+1)
	}
	for _, text := range []string{secret, admin} {
		const randomWidth, checksumWidth = 32, 6
		end := len(text) - checksumWidth
		if strings.Contains(log, text[end-randomWidth:end]) {
			t.Error("the random part of a secret is in the log")
		}
	}
}

// A secret typed in the wrong place on the command line is not repeated.
func TestSecretsOnTheCommandLine(t *testing.T) {
	s := serve(t, t.TempDir())
	secret := s.adminKey()
	t.Chdir(s.dir)
	t.Setenv("HOME", "/nonexistent")
	for _, args := range [][]string{
		{secret},
		{"keys", "list", secret},
		{"keys", "revoke", secret},
		{"keys", "create", "--name", secret, "--expires-in", "1h"},
		{"keys", "create", "--name", "x", "--scope", secret, "--expires-in", "1h"},
		{"keys", "create", "--name", "x", "--expires-in", secret},
		{"keys", "create", "--name", "x", "--expires-at", secret},
		{"keys", "list", "--database", secret},
		{"keys", "list", "--" + secret},
		{"keys", "get", secret},
		{"keys", "get", "x", "--owner", secret},
		{"keys", "get", "x", "--url", s.url, "--key", secret},
		{"keys", "get", "x", "--url", secret, "--key-file", "admin.key"},
		{"keys", "get", "x", "--url", "https://" + secret + ".invalid", "--key-file", "admin.key", "--timeout", "1ms"},
		{"keys", "get", "x", "--url", s.url, "--key-file", secret},
		{"keys", "get", "x", "--profile", secret},
		{"keys", "get", secret, "--url", s.url, "--key-file", "admin.key"},
		{"keys", "create", "--name", "x", "--expires-in", "1h", "--metadata", "x=" + secret},
		{"keys", "create", "--name", "x", "--expires-in", "1h", "--metadata", secret},
		{"keys", "create", "--name", secret, "--expires-in", "1h", "--url", s.url, "--key-file", "admin.key"},
		{"keys", "update", "admin", "--name", secret},
		{"keys", "update", secret, "--name", "x"},
		{"keys", "update", "admin", "--rate-limit", secret},
		{"keys", "rotate", secret},
		{"keys", "list", "--status", secret},
		{"keys", "verify", secret},
		{"keys", "verify", "--scope", secret},
		{"keys", "verify", "--secret-file", secret},
		{"login", secret},
		{"login", "--url", s.url, "--key", secret},
		{"login", "--url", secret, "--key-file", "admin.key"},
		{"login", "--url", s.url, "--key-file", "admin.key", "--profile", secret},
		{"logout", "--profile", secret},
		{"completion", secret},
		{"backup", "new.bak", "--database", secret},
		{"restore", secret, "--database", "new.db"},
		{"doctor", "--database", secret},
		{"doctor", "--json", "--key-prefix", secret, "--admin-key-file", secret},
		{"serve", "--listen", secret},
		{"serve", "--key-prefix", secret, "--listen", "127.0.0.1:0"},
	} {
		stdout, stderr, status := runHere(t, "", args...)
		if status == exitOK {
			t.Errorf("it succeeded with a secret as argument %d", len(args))
		}
		wantNoSecret(t, stdout+stderr)
	}
}

// No way of printing a profile shows its key.
func TestProfilesDoNotPrintTheirKey(t *testing.T) {
	t.Parallel()
	p := profile{url: "https://keys.example.com", key: apikey.NewSecret("ak", apikey.NewID())}
	keys, err := openServer(p, time.Second)
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{p, &p, []profile{p}, keys} {
			text := fmt.Sprintf(verb, value)
			wantNoSecret(t, text)
			if strings.Contains(text, p.key.Reveal()[12:40]) {
				t.Errorf("%s prints the key", verb)
			}
		}
	}
	issued, err := openEmptyDatabase(t).create(t.Context(), nil, client.NewKey{Name: "x", ExpiresAt: time.Now().Add(time.Hour)})
	must(t, err)
	wantNoSecret(t, fmt.Sprintf("%v %+v %#v", issued, issued, issued))
}
