package client_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestSecretDoesNotPrintItself(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	created, err := k.admin.Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: inAnHour()})
	must(t, err)
	text := created.Secret.Reveal()
	_, err = k.as(t, text).Get(t.Context(), "n")
	must(t, err)

	type config struct { // fmt does not call methods of unexported fields
		created client.CreatedKey
		secret  client.Secret
		clients []*client.Client
	}
	hidden := config{created, created.Secret, []*client.Client{k.as(t, text)}}
	values := []any{created.Secret, &created.Secret, created, &created, hidden, &hidden, *hidden.clients[0]}
	var printed bytes.Buffer
	log := slog.New(slog.NewTextHandler(&printed, nil))
	structured := slog.New(slog.NewJSONHandler(&printed, nil))
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&printed, verb+"\n", value)
		}
		log.Info("text", "value", value)
		structured.Info("json", "value", value)
	}
	encoded, err := json.Marshal(created)
	must(t, err)
	printed.Write(encoded)
	must(t, xml.NewEncoder(&printed).Encode(created.Secret))
	fmt.Fprint(&printed, created.Secret.String(), created.Secret.GoString(), created.Secret.LogValue())

	wantNoSecret(t, printed.String(), text)
	if !strings.Contains(string(encoded), `"Secret":"[redacted]"`) {
		t.Errorf("encoded as %s", encoded)
	}
	if (client.Secret{}).Reveal() != "" {
		t.Error("the zero secret is one")
	}
}

// wantNoSecret checks that a text does not contain a secret, as it is or in hexadecimal.
func wantNoSecret(t *testing.T, text, secret string) {
	t.Helper()
	for _, form := range []string{secret[20:], fmt.Sprintf("%x", secret[20:]), fmt.Sprintf("%X", secret[20:])} {
		if strings.Contains(text, form) {
			t.Errorf("the secret is in:\n%s", text)
		}
	}
}

// No error contains the secret, whatever goes wrong.
func TestNoErrorHoldsTheSecret(t *testing.T) {
	t.Parallel()
	const secret = "ak_00000000000000000000000000000000000000000000000000000000000000"
	const asked = "ak_11111111111111111111111111111111111111111111111111111111111111"
	everywhere := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("X-Api-Key") + " " + keyIn(r)
			w.Header().Set("X-Request-Id", key)
			w.Header().Set("Content-Type", key+"/"+key)
			w.Header().Set("Location", "http://"+key)
			w.WriteHeader(status)
			text, _ := json.Marshal(map[string]any{
				"status": status, "message": "bad " + key, "code": key, "request_id": key,
				"details": []map[string]string{{"field": key, "message": key}},
			})
			_, _ = w.Write(text)
		}
	}
	handlers := map[string]http.HandlerFunc{
		"the keys in an error": everywhere(400),
		"in a redirect":        everywhere(302),
		"in a good answer":     everywhere(200),
		"in text": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("X-Api-Key")+" "+keyIn(r), http.StatusBadGateway)
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			hijack(w, func(c net.Conn) { _, _ = c.Write([]byte("what?\r\n\r\n")) })
		},
		"closed": func(w http.ResponseWriter, _ *http.Request) { hijack(w, func(net.Conn) {}) },
	}
	for name, handler := range handlers {
		server := httptest.NewServer(handler)
		defer server.Close()
		c := newClient(t, server.URL, " "+secret+"\n", client.Options{MaxRetries: -1})
		_, err := c.Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: inAnHour()})
		_, err2 := c.Get(t.Context(), secret) // passed as a name by mistake
		_, err3 := names(t.Context(), c, client.ListOptions{})
		_, err4 := c.Rotate(t.Context(), secret, 0)
		_, err5 := c.Verify(t.Context(), asked)
		err6 := c.ReportLeak(t.Context(), asked)
		for _, err := range []error{err, err2, err3, err4, err5, err6} {
			if err == nil {
				t.Fatalf("%s: no error", name)
			}
			texts := fmt.Sprintf("%s: %v %+v", name, err, err)
			if e, ok := errors.AsType[*client.Error](err); ok {
				texts += fmt.Sprintf("%+v", *e) // every field
			}
			wantNoSecret(t, texts, secret)
			wantNoSecret(t, texts, asked)
		}
	}
}

// keyIn returns the property "key" of a body, if any.
func keyIn(r *http.Request) string {
	var body struct{ Key string }
	_ = json.NewDecoder(r.Body).Decode(&body) // others have none
	return body.Key
}

// hijack takes over the connection of an exchange and closes it.
func hijack(w http.ResponseWriter, do func(net.Conn)) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // a mistake in the test
	}
	do(connection)
	_ = connection.Close() // the exchange is over
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const good = "http://127.0.0.1:8080"
	for _, tt := range []struct{ name, url, secret, want string }{
		{"no URL", "", "s", "must begin with http:// or https://"},
		{"no scheme", "keys.example.com", "s", "must begin with http:// or https://"},
		{"an address and a port", "127.0.0.1:8080", "s", "must begin with http:// or https://"},
		{"another scheme", "ftp://keys.example.com", "s", "must begin with http:// or https://"},
		{"a scheme by mistake", "localhost:8080", "s", "must begin with http:// or https://"},
		{"a file", "file:///etc/passwd", "s", "must begin with http:// or https://"},
		{"no host", "http:///v1", "s", "must name a host"},
		{"a user", "http://user:password@host", "s", "must not hold a user or password"},
		{"a query", good + "/?a=b", "s", "must not hold a query or fragment"},
		{"an empty query", good + "/?", "s", "must not hold a query or fragment"},
		{"a fragment", good + "/#a", "s", "must not hold a query or fragment"},
		{"a broken URL", "http://host/%zz", "s", "is not a URL"},
		{"arguments the wrong way round", "ak_secret", good, "must begin with http:// or https://"},
		{"no secret", good, "", "the secret is empty"},
		{"only white space", good, " \n", "the secret is empty"},
		{"only a byte order mark", good, "\uFEFF\r\n", "the secret is empty"},
		{"two lines", good, "ak_secret\nak_secret", "characters that no secret has"},
		{"not ASCII", good, "ak_secretä", "characters that no secret has"},
	} {
		_, err := client.New(tt.url, tt.secret, client.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "ak_secret") || err != nil && strings.Contains(err.Error(), ":password") {
			t.Errorf("%s: the error repeats the argument: %v", tt.name, err)
		}
	}
	for _, url := range []string{good, "HTTPS://keys.example.com:8443/a/path/"} {
		if _, err := client.New(url, "s", client.Options{}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
